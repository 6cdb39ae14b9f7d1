//! The pace of starts: at least [`PACE`] passes from one start to the next. That is a deadline, never a sleep.
//!
//! Where the directory says so, the pace gets longer with each end that nobody asked for: it doubles, up to a longest one. A service that has lived longer than that begins anew.

use svdir::{Exit, record};

use super::events::NotStarted;
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
    /// The next one is not before this: the pace has become longer.
    due: Option<Tick>,
    /// How many ends have made it longer.
    ends: u8,
}

impl Pace {
    /// Takes over the pace of a predecessor from its record, with the time of its last start.
    pub fn resume(left: record::Pace, last_start: Option<Tick>) -> Pace {
        let due = left.next.map(Tick);
        Pace { last_start, starts: left.starts, last_exit: left.last_exit, due, ends: 0 }
    }

    /// The earliest time for the next start; not before `now`.
    pub fn next(&self, now: Tick) -> Tick {
        let paced = self.last_start.map(|last| last.after(PACE));
        [paced, self.due].into_iter().flatten().fold(now, Tick::max)
    }

    /// The copy that was started at `since` has ended, and nobody has asked for it. Another copy may have been started, and given up, after it. The longest
    /// pace is `longest`, in nanoseconds.
    pub fn slow_down(&mut self, now: Tick, since: Tick, longest: Option<u64>) {
        let has_lived = since.until(now) > longest.unwrap_or(PACE).max(PACE);
        let ends = if has_lived || longest.is_none() { 0 } else { self.ends };
        let pace = after(ends, longest);
        self.ends = ends.saturating_add(1);
        self.due = Some(since.after(pace)).filter(|&due| pace > PACE && due > now);
    }

    /// What has made it longer does not matter any more.
    pub const fn forget(&mut self) {
        (self.due, self.ends) = (None, 0);
    }

    /// Notes that a start is made now.
    pub const fn start(&mut self, now: Tick) {
        (self.last_start, self.due) = (Some(now), None);
        self.starts = self.starts.wrapping_add(1);
    }

    /// Notes that no process, or none that counts, has come of the last start. Returns how long to wait for the next one, in nanoseconds.
    pub const fn failed(&mut self, why: NotStarted) -> u64 {
        match why {
            NotStarted::Fork => FORK_RETRY,
            NotStarted::Refused | NotStarted::Gone | NotStarted::Held(_) => {
                self.take_back();
                PACE
            }
        }
    }

    /// When the last start was tried.
    pub const fn last_start(&self) -> Option<Tick> {
        self.last_start
    }

    /// Takes back the last start altogether, since it is held back: the one before was tried at the time `earlier`.
    pub const fn hold(&mut self, earlier: Option<Tick>) {
        self.take_back();
        self.last_start = earlier;
    }

    /// Takes back the last start, since no process was made.
    pub const fn take_back(&mut self) {
        self.starts = self.starts.wrapping_sub(1);
    }

    /// Notes how the main copy has ended.
    pub const fn ended(&mut self, exit: Exit) {
        self.last_exit = Some(exit);
    }

    /// How the last main copy has ended that has.
    pub const fn last_exit(&self) -> Option<Exit> {
        self.last_exit
    }

    /// The part of the record about starts.
    pub fn record(&self) -> record::Pace {
        record::Pace { starts: self.starts, last_exit: self.last_exit, next: self.due.map(|due| due.0) }
    }
}

/// The pace, in nanoseconds, after an end that nobody asked for, of which `ends` came before: [`PACE`] at first, then twice as much each time, up to `longest`.
pub fn after(ends: u8, longest: Option<u64>) -> u64 {
    let doubled = 1_u64.checked_shl(ends.into()).map_or(u64::MAX, |times| PACE.saturating_mul(times));
    doubled.min(longest.unwrap_or(PACE)).max(PACE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds at which a service is started, so often, that lives for so many nanoseconds each time.
    fn starts(count: usize, longest: Option<u64>, lives: u64) -> Vec<u64> {
        let (mut pace, mut now, mut starts) = (Pace::default(), Tick(0), Vec::new());
        for _ in 0..count {
            pace.start(now);
            starts.push(now.0 / SECOND);
            let since = now;
            now = since.after(lives);
            pace.slow_down(now, since, longest);
            now = pace.next(now);
        }
        starts
    }

    #[test]
    fn the_pace_doubles_up_to_the_longest() {
        assert_eq!(starts(5, Some(4 * SECOND), 0), [0, 1, 3, 7, 11]);
        assert_eq!(starts(9, Some(60 * SECOND), 0), [0, 1, 3, 7, 15, 31, 63, 123, 183]);
        assert_eq!(starts(4, None, 0), [0, 1, 2, 3]);
        assert_eq!(starts(4, Some(SECOND / 2), 0), [0, 1, 2, 3], "never below the pace of daemontools");
        // For two minutes; then the longest time that can be told.
        assert_eq!(starts(300, Some(u64::MAX), 0)[..8], [0, 1, 3, 7, 15, 31, 63, 127]);
    }

    #[test]
    fn one_that_has_lived_longer_than_the_longest_pace_begins_anew() {
        assert_eq!(starts(8, Some(60 * SECOND), 10 * SECOND), [0, 10, 20, 30, 40, 56, 88, 148]);
        assert_eq!(starts(4, Some(4 * SECOND), 5 * SECOND), [0, 5, 10, 15]);
    }

    #[test]
    fn a_longer_pace_holds_for_a_successor_and_is_forgotten_on_demand() {
        let mut pace = Pace::default();
        for second in [0, 1] {
            let at = Tick(second * SECOND);
            pace.start(at);
            pace.slow_down(at, at, Some(4 * SECOND));
        }
        let now = Tick(SECOND);
        let mut next = Pace::resume(pace.record(), Some(now));
        assert_eq!((pace.next(now), next.next(now)), (Tick(3 * SECOND), Tick(3 * SECOND)));
        next.forget();
        assert_eq!((next.next(now), next.record().next), (Tick(2 * SECOND), None));
    }

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
