//! Where ours differs from daemontools 0.76 on purpose: one file for each difference, which says what the original does,
//! what ours does, and why.

mod svc_control_is_no_fifo;
mod svc_svstat_long_options;
mod svstat_read_error;
mod svstat_zero_record;
