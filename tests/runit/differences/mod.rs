//! The differences from runit 2.1.2 that are on purpose: one file for each, which says what runit's program does, what ours does, and why. Each is checked on runit too.

mod chpst_dangling_link;
mod chpst_empty_id;
mod chpst_has_one_name;
mod chpst_large_numbers;
mod sv_control_is_no_fifo;
mod sv_log_never_supervised;
mod sv_restart_is_another_start;
mod sv_script_tells_of_the_service;
mod sv_tells_ours_more;
mod sv_trailing_slash;
