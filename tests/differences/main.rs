//! Where ours is meant to differ from daemontools 0.76: one file for each difference, with its reason.

mod multilog_bare_bang;
mod multilog_clean_state;
mod multilog_crash_reason;
mod multilog_directory_names;
mod multilog_ignored_sigchld;
mod multilog_nonblocking_stdin;
mod multilog_pause_once;
mod multilog_size_limit;
mod multilog_term_in_pause;
mod tai64nlocal_bad_labels;
