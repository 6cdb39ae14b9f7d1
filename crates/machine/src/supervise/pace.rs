//! The pace of starts: at least [`PACE`] passes from one start to the next. That is a deadline, never a sleep.

use svdir::{Exit, record};

use crate::{SECOND, Tick};

/// The least time between two starts, in nanoseconds, as in daemontools.
pub const PACE: u64 = SECOND;
/// The time from a failed fork to the next attempt, in nanoseconds, as in Debian's daemontools.
pub const FORK_RETRY: u64 = 60 * SECOND;

/// The starts of a service, as far as they matter to the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// When the last start was tried.
    last_start: Option<Tick>,
    starts: u32,
    last_exit: Option<Exit>,
}

impl Pace {
    /// Takes over the pace of a predecessor from its record, with the time of its last start.
    pub const fn resume(left: record::Pace, last_start: Option<Tick>) -> Pace {
        Pace { last_start, starts: left.starts, last_exit: left.last_exit }
    }

    /// The earliest time for the next start; not before `now`.
    pub fn next(&self, now: Tick) -> Tick {
        self.last_start.map_or(now, |last| last.after(PACE)).max(now)
    }

    /// Notes that a start is made now.
    pub const fn start(&mut self, now: Tick) {
        self.last_start = Some(now);
        self.starts = self.starts.wrapping_add(1);
    }

    /// Takes back the last start, since no process was made.
    pub const fn take_back(&mut self) {
        self.starts = self.starts.wrapping_sub(1);
    }

    /// Notes how the main copy has ended.
    pub const fn ended(&mut self, exit: Exit) {
        self.last_exit = Some(exit);
    }

    /// The part of the record about starts.
    pub const fn record(&self) -> record::Pace {
        record::Pace { starts: self.starts, last_exit: self.last_exit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_passes_from_start_to_start() {
        let mut pace = Pace::default();
        assert_eq!(pace.next(Tick(7)), Tick(7));
        pace.start(Tick(7));
        assert_eq!(pace.next(Tick(8)), Tick(7 + PACE));
        assert_eq!(pace.next(Tick(9 + PACE)), Tick(9 + PACE));
        pace.start(Tick(9 + PACE));
        pace.take_back();
        assert_eq!((pace.record().starts, pace.next(Tick(9 + PACE))), (1, Tick(9 + 2 * PACE)));
    }
}
