//! Where ours differs from daemontools 0.76 on purpose: one file for each difference, which says what the original does,
//! what ours does, and why.

mod talker;
mod world;

mod accounts_by_getent;
mod envdir_dangling_link;
mod fghack_passes_term_on;
mod file_size_limit;
mod help_and_version;
mod multilog_bare_bang;
mod multilog_clean_state;
mod multilog_clock_set_back;
mod multilog_crash_reason;
mod multilog_directory_names;
mod multilog_ignored_sigchld;
mod multilog_nonblocking_stdin;
mod multilog_pause_once;
mod multilog_size_limit;
mod multilog_term_in_pause;
mod oom_score;
mod services_hear_nothing_from_above;
mod softlimit_overflow;
mod stderr_that_stands_still;
mod steady_state;
mod supervise_is_never_deaf;
mod supervise_says_once;
mod supervise_sees_stops;
mod supervise_takes_over;
mod supervise_wants_fifos;
mod svc_control_is_no_fifo;
mod svc_svstat_long_options;
mod svscan_at_once;
mod svscan_bad_directories;
mod svscan_default_directory;
mod svscan_log;
mod svscan_says_once;
mod svscan_takes_over;
mod svscanboot_keeps_svscan;
mod svscanboot_stops_in_order;
mod svstat_read_error;
mod svstat_trouble_with_run;
mod svstat_zero_record;
mod tai64nlocal_bad_labels;
mod tai64nlocal_zones;
mod upgrade_in_place;
mod uphold_log;
