//! svc, svok and svstat, as far as daemontools 0.76 has them. Every case passes on the original too
//! (`UPHOLD_UNDER_TEST=original`); where we differ on purpose is in `tests/differences`.

mod fabricated;
mod svc;
mod svok;
mod svstat;
