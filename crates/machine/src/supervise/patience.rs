//! How long a copy may take to get ready, where the service directory says so for each start.
//!
//! | state | meaning | leaves it by |
//! |---|---|---|
//! | over | nobody waits: there is no limit, or the copy has been ready | |
//! | waiting | the copy must be ready at a deadline | it is ready: over; a message of the copy that asks for more time: a later deadline; the end of a pause, or it becomes the main copy: the time begins anew |
//!
//! What a copy that is not ready in time comes to is decided by its owner, which asks only while the copy is judged: not while it is paused, or was told to end.

use crate::Tick;

/// The time until a copy must be ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patience {
    /// In nanoseconds.
    limit: u64,
    until: Option<Tick>,
}

impl Patience {
    /// For a copy that has so many nanoseconds from now on; 0 for no limit.
    pub fn new(now: Tick, limit: u64) -> Patience {
        Patience { limit, until: (limit > 0).then(|| now.after(limit)) }
    }

    /// The time that the copy has, in nanoseconds.
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// When the copy must be ready; `None` if nobody waits for that.
    pub const fn deadline(&self) -> Option<Tick> {
        self.until
    }

    /// The copy needs at least this many more nanoseconds.
    pub fn extend(&mut self, now: Tick, nanoseconds: u64) {
        self.until = self.until.map(|until| until.max(now.after(nanoseconds)));
    }

    /// The copy could not run for some time, or was not held to it.
    pub fn begin_anew(&mut self, now: Tick) {
        self.extend(now, self.limit);
    }

    /// The copy is ready.
    pub const fn end(&mut self) {
        self.until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_only_ever_added_until_it_is_over() {
        let mut patience = Patience::new(Tick(1), 10);
        patience.extend(Tick(2), 3);
        assert_eq!((patience.deadline(), patience.limit()), (Some(Tick(11)), 10));
        patience.extend(Tick(9), 3);
        assert_eq!(patience.deadline(), Some(Tick(12)));
        patience.begin_anew(Tick(20));
        assert_eq!(patience.deadline(), Some(Tick(30)));
        patience.end();
        patience.extend(Tick(21), 3);
        patience.begin_anew(Tick(22));
        assert_eq!(patience.deadline(), None);
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let mut patience = Patience::new(Tick(1), 0);
        patience.extend(Tick(2), 3);
        patience.begin_anew(Tick(4));
        assert_eq!(patience, Patience::default());
    }
}
