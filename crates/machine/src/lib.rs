//! Every decision of the suite. Events in, actions out: no clock, no file, no process, no system call.
//!
//! A loop in `src/` translates: news from the kernel becomes an event, an action becomes a system call.

#![forbid(unsafe_code)]

pub mod actions;
pub mod hupwatch;
pub mod order;
pub mod overlap;
pub mod probe;
pub mod runs;
pub mod scan;
mod signal;
pub mod speaker;
pub mod stop;
pub mod supervise;
pub mod wait;

pub use signal::Signal;

/// A time on the monotonic clock, in nanoseconds since a fixed moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub u64);

impl Tick {
    /// The time `nanoseconds` later.
    #[must_use]
    pub const fn after(self, nanoseconds: u64) -> Tick {
        Tick(self.0.saturating_add(nanoseconds))
    }

    /// Nanoseconds from `self` until `later`; 0 if that has passed.
    pub const fn until(self, later: Tick) -> u64 {
        later.0.saturating_sub(self.0)
    }
}

/// One second in nanoseconds.
pub const SECOND: u64 = 1_000_000_000;

/// The pid of a process. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub u32);
