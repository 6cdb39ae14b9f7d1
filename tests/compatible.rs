//! What daemontools 0.76 does, and so do we: every case passes on the original too (`UPHOLD_UNDER_TEST=original`). Where we differ on purpose is in
//! `tests/differences`.
//!
//! One file of tests, as most of them wait: many are run at a time.

mod boot;
mod chain;
mod control;
mod logging;
mod supervision;
