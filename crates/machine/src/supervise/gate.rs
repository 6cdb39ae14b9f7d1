//! The gate before a start: where the service directory names other services, the start is held back until these are ready.
//!
//! | state | meaning | leaves it by |
//! |---|---|---|
//! | open | no start is held back | a start, which the loop finds to wait for another service: held |
//! | held | a start waits for another service | a look that finds it ready, at a change or at the deadline: open; a start that is refused for another reason: lapsed; a command that ends the wait: open |
//! | lapsed | the start has passed, and was refused or could not fork; it is tried again later | as held |
//!
//! The loop looks when it is to make the first process of a start, so a service whose directory names no other costs nothing here. What a look has found is judged by
//! [`wait`]. The time that one which is only wanted may take counts from when the loop finds that all which is needed is ready, however often it is looked meanwhile; for a
//! start that was refused for another reason, and below a successor, from when the start was first held back.

use svdir::record;

use crate::wait::Verdict;
use crate::{SECOND, Tick};

/// The longest time for which a start waits for a service that is only wanted, in nanoseconds.
pub const PATIENCE: u64 = 60 * SECOND;
/// The time for which a start waits for the supervise of a service that is only wanted, in nanoseconds: at boot, svscan starts them side by side.
pub const UNSERVED: u64 = SECOND;

/// How another service is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In `dependencies.d`: it must be ready.
    Needed,
    /// In `wants.d`: it is waited for if it is coming.
    Wanted,
}

/// What a look at another service has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is no such service.
    Absent,
    /// There is one, and no supervise runs it.
    Unserved,
    /// A supervise runs it, and so far it is from being ready.
    Served(Verdict),
}

/// For how long a start waits for another service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// Until it has waited so many nanoseconds for what is only wanted.
    For(u64),
    /// Until it is ready.
    Ever,
}

/// For how long a start waits for a service that is named so, and was found so. `patience` is how long that one may take to get ready, in nanoseconds, if there is a
/// limit; it is asked only where that matters.
pub fn wait(kind: Kind, found: Found, patience: impl FnOnce() -> Option<u64>) -> Wait {
    match (kind, found) {
        (_, Found::Served(Verdict::There)) => Wait::No,
        (Kind::Needed, _) => Wait::Ever,
        (Kind::Wanted, Found::Absent | Found::Served(Verdict::Never)) => Wait::No,
        (Kind::Wanted, Found::Unserved) => Wait::For(UNSERVED),
        (Kind::Wanted, Found::Served(Verdict::NotYet)) => Wait::For(patience().unwrap_or(PATIENCE).min(PATIENCE)),
    }
}

/// What the loop has found where a start is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// When it must look again, whatever changes.
    pub until: Option<Tick>,
    /// The service that is waited for is another one than the record says.
    pub news: bool,
}

/// The state of the gate, and how long the last start has waited that has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    since: Option<Tick>,
    held: bool,
    until: Option<Tick>,
    /// When the start was tried that came before the one about which the loop is asked.
    earlier: Option<Tick>,
    /// In nanoseconds. `None` while one waits.
    waited: Option<u64>,
}

impl Gate {
    /// The one that a predecessor has left.
    pub(super) fn resume(left: Option<record::Gate>, waited: Option<record::Waited>) -> Gate {
        let waited = waited.map(|waited| waited.nanoseconds);
        Gate { since: left.map(|left| Tick(left.since)), held: left.is_some(), waited, ..Gate::default() }
    }

    /// The loop is asked for a start. The one before was tried at the time `earlier`.
    pub(super) const fn ask(&mut self, earlier: Option<Tick>) {
        self.earlier = earlier;
    }

    /// When the start was tried that came before the one about which the loop was asked.
    pub(super) const fn earlier(&self) -> Option<Tick> {
        self.earlier
    }

    /// The start is held back. Returns whether the record must say something else now.
    pub(super) fn hold(&mut self, now: Tick, found: Held) -> bool {
        let is_news = !self.held || found.news;
        self.since.get_or_insert(now);
        (self.held, self.until, self.waited) = (true, found.until, None);
        is_news
    }

    /// The start was refused for another reason, and will be tried again.
    pub(super) const fn lapse(&mut self) {
        (self.held, self.until) = (false, None);
    }

    /// The start is made.
    pub(super) fn pass(&mut self, now: Tick) {
        self.waited = self.since.map(|since| since.until(now)).or(self.waited);
        self.open();
    }

    /// Nothing is waited for any more.
    pub(super) const fn open(&mut self) {
        (self.since, self.held, self.until) = (None, false, None);
    }

    /// Since when the start waits that is due, if it was held back before.
    pub const fn since(&self) -> Option<Tick> {
        self.since
    }

    /// When the loop must look again, whatever changes.
    pub(super) const fn deadline(&self) -> Option<Tick> {
        self.until
    }

    /// What stands in the record.
    pub(super) fn record(&self) -> Option<record::Gate> {
        self.since.filter(|_| self.held).map(|since| record::Gate { since: since.0 })
    }

    /// What stands in the record of the last start that has waited.
    pub(super) fn record_waited(&self) -> Option<record::Waited> {
        self.waited.map(|nanoseconds| record::Waited { nanoseconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: u64 = 3 * SECOND;

    fn waits(found: Found, patience: Option<u64>) -> [Wait; 2] {
        [Kind::Needed, Kind::Wanted].map(|kind| wait(kind, found, || patience))
    }

    #[test]
    fn each_row_of_the_table() {
        for (found, patience, expected) in [
            (Found::Served(Verdict::There), None, [Wait::No, Wait::No]),
            (Found::Served(Verdict::NotYet), Some(THREE), [Wait::Ever, Wait::For(THREE)]),
            (Found::Served(Verdict::NotYet), None, [Wait::Ever, Wait::For(PATIENCE)]),
            (Found::Served(Verdict::NotYet), Some(2 * PATIENCE), [Wait::Ever, Wait::For(PATIENCE)]),
            (Found::Served(Verdict::Never), Some(THREE), [Wait::Ever, Wait::No]),
            (Found::Unserved, Some(THREE), [Wait::Ever, Wait::For(UNSERVED)]),
            (Found::Absent, Some(THREE), [Wait::Ever, Wait::No]),
        ] {
            assert_eq!(waits(found, patience), expected, "{found:?}");
        }
    }

    #[test]
    fn the_time_counts_from_when_a_start_was_first_held_back() {
        let mut gate = Gate::default();
        let found = |until, news| Held { until: Some(Tick(until)), news };
        assert!(gate.hold(Tick(1), found(9, false)), "it was not said before");
        assert_eq!((gate.since(), gate.deadline()), (Some(Tick(1)), Some(Tick(9))));
        assert!(!gate.hold(Tick(2), found(9, false)) && gate.hold(Tick(3), found(9, true)));
        gate.lapse();
        assert_eq!((gate.since(), gate.deadline(), gate.record()), (Some(Tick(1)), None, None));
        assert!(gate.hold(Tick(4), found(9, false)), "the record does not say it any more");
        assert_eq!(Gate::resume(gate.record(), None).since(), Some(Tick(1)));
        gate.open();
        assert_eq!((gate.since(), gate.record(), gate.record_waited()), (None, None, None));
    }

    #[test]
    fn how_long_a_start_has_waited_is_known_until_another_one_waits() {
        let mut gate = Gate::default();
        let found = Held { until: None, news: true };
        let waited = |nanoseconds| Some(record::Waited { nanoseconds });
        gate.pass(Tick(1));
        assert_eq!(gate.record_waited(), None);
        gate.hold(Tick(2), found);
        gate.lapse();
        gate.hold(Tick(3), found);
        gate.pass(Tick(9));
        assert_eq!((gate.record(), gate.record_waited()), (None, waited(7)));
        gate.pass(Tick(20));
        gate.open();
        assert_eq!(Gate::resume(None, gate.record_waited()).record_waited(), waited(7));
        gate.hold(Tick(30), found);
        assert_eq!(gate.record_waited(), None);
        gate.pass(Tick(31));
        assert_eq!(gate.record_waited(), waited(1));
    }
}
