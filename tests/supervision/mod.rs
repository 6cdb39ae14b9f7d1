//! supervise and svscan, as far as daemontools 0.76 has them. Every case passes on the original too
//! (`UPHOLD_UNDER_TEST=original`); where we differ on purpose is in `tests/differences`.

mod commands;
mod control;
mod ending;
mod failing_run;
mod files;
mod pace;
mod pairs;
mod run;
mod scan;
mod startup;
mod status;
mod svscan;
mod svscan_log;
mod svscan_names;
mod world;
