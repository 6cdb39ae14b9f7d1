//! How often a service may end, where the directory says so: the ends that nobody asked for are counted, and the service has failed when there were too many within some time.

use svdir::record::Over;

use super::pace;
use crate::{SECOND, Tick};

/// So many ends within such a time are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How many, at least 1.
    pub times: u8,
    /// Within so many nanoseconds.
    pub within: u64,
}

impl Limit {
    /// How many nanoseconds so many ends take at least, where each comes at once and the longest pace is `backoff`.
    pub fn least(self, backoff: Option<u64>) -> u64 {
        (1..self.times).map(|count| pace::after(count - 1, backoff)).fold(0, u64::saturating_add)
    }
}

/// The ends that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restarts {
    /// When they were. Where there is no limit it takes no memory.
    ends: Vec<Tick>,
}

impl Restarts {
    /// The service has ended, and nobody has asked for it. Returns why it is over, if that was once too often.
    pub fn count(&mut self, now: Tick, limit: Option<Limit>) -> Option<Over> {
        let Some(limit) = limit else {
            self.forget();
            return None;
        };
        self.ends.retain(|end| end.until(now) <= limit.within);
        self.ends.push(now);
        let first = *self.ends.get(self.ends.len().checked_sub(usize::from(limit.times))?)?;
        let seconds = u32::try_from(first.until(now) / SECOND).unwrap_or(u32::MAX);
        Some(Over::Often { times: limit.times, seconds })
    }

    /// What was counted does not matter any more.
    pub fn forget(&mut self) {
        self.ends = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { times: 3, within: 10 * SECOND };

    /// What is said after each of these ends, at so many seconds.
    fn counted(limit: Limit, seconds: &[u64]) -> Vec<Option<(u8, u32)>> {
        let mut restarts = Restarts::default();
        let said = seconds.iter().map(|second| restarts.count(Tick(second * SECOND), Some(limit)));
        said.map(|over| match over {
            Some(Over::Often { times, seconds }) => Some((times, seconds)),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn the_last_of_so_many_ends_in_so_much_time_is_one_too_many() {
        assert_eq!(counted(LIMIT, &[0, 1, 2]), [None, None, Some((3, 2))]);
        assert_eq!(counted(LIMIT, &[0, 5, 10]), [None, None, Some((3, 10))]);
        // The window slides.
        assert_eq!(counted(LIMIT, &[0, 9, 11, 12]), [None, None, None, Some((3, 3))]);
        assert_eq!(counted(LIMIT, &[0, 6, 12, 18, 24]), [None; 5]);
        assert_eq!(counted(Limit { times: 1, within: 1 }, &[7]), [Some((1, 0))]);
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let mut restarts = Restarts::default();
        restarts.count(Tick(0), Some(LIMIT));
        restarts.count(Tick(1), Some(LIMIT));
        assert_eq!(restarts.count(Tick(2), None), None);
        assert_eq!(restarts, Restarts::default());
        assert_eq!(restarts.count(Tick(3), Some(LIMIT)), None);
    }

    #[test]
    fn a_limit_takes_its_time_to_be_reached() {
        let least = |times, backoff| Limit { times, within: 0 }.least(backoff) / SECOND;
        assert_eq!([least(1, None), least(3, None), least(100, None)], [0, 2, 99]);
        // Starts at 0, 1, 3, 7, 11.
        assert_eq!([least(2, Some(4 * SECOND)), least(5, Some(4 * SECOND))], [1, 11]);
        assert_eq!(Limit { times: 100, within: 0 }.least(Some(u64::MAX)), u64::MAX);
    }
}
