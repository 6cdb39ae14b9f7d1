//! What `start` and `run` set up, and `stop` takes down.
//!
//! The service comes up once, however often `run` is started then: `start` is run before the first of these. It has gone down when nothing runs, nothing is due and it is
//! not wanted; then `stop` is run, if `start` or `run` has run since the last time. A service that has failed stays as it is, and so does one that is done without a `run`,
//! by its `start` or as a name for others, until a command says otherwise.

use svdir::record::{self, Script};

/// Which of the programs of a start the service directory has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Programs {
    /// `start`
    pub start: bool,
    /// `control/u`
    pub up: bool,
    /// `run`. Where there is nothing else by which the directory could be a service, it counts as there.
    pub run: bool,
}

/// What a start does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Run this script.
    Script(Script),
    /// Start `run`.
    Run,
    /// Nothing: there is no `run`, and `start` was all, or what the start has waited for.
    Nothing,
}

/// What was set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    left: record::Setup,
}

impl Setup {
    /// Goes on from the record of a predecessor. Where a copy `is_up`, that may be one that knew nothing of this.
    pub(super) const fn resume(left: record::Setup, is_up: bool) -> Setup {
        let record::Setup { prepared, used, kept } = left;
        Setup { left: record::Setup { prepared: prepared || is_up, used: used || is_up, kept } }
    }

    /// What a start does after this script, or at its beginning.
    pub const fn next(self, after: Option<Script>, there: Programs) -> Next {
        match after {
            None if there.start && !self.left.prepared => Next::Script(Script::Start),
            Some(Script::Start) if !there.run => Next::Nothing,
            // One that has run before has lost its `run`.
            None if !there.run && !there.start && !self.left.prepared => Next::Nothing,
            None | Some(Script::Start) if there.up => Next::Script(Script::Up),
            None | Some(_) => Next::Run,
        }
    }

    /// `start` has done its work.
    pub(super) const fn prepared(&mut self) {
        (self.left.prepared, self.left.used) = (true, true);
    }

    /// `start` has failed: some of its work may be done.
    pub(super) const fn failed(&mut self) {
        self.left.used = true;
    }

    /// A process was started, which has executed `run` or not. If not, a `start` may be made before it is tried again: somebody fills the directory slowly.
    pub(super) const fn started(&mut self, executed: bool) {
        self.left.kept = false;
        self.left.prepared |= executed;
        self.left.used |= executed;
    }

    /// The service is over, and what is set up is kept or not.
    pub(super) const fn over(&mut self, kept: bool) {
        self.left.kept = kept;
    }

    /// The service was told to be up or down. Returns whether something was kept.
    pub(super) const fn release(&mut self) -> bool {
        std::mem::replace(&mut self.left.kept, false)
    }

    /// Nothing runs, nothing is due, and the service is not wanted. Returns whether `stop` is to be run. `leaving`: supervise is about to exit.
    pub(super) const fn rest(&mut self, leaving: bool) -> bool {
        self.left.prepared = false;
        let stops = self.left.used && (leaving || !self.left.kept);
        if stops {
            (self.left.used, self.left.kept) = (false, false);
        }
        stops
    }

    /// What stands in the record.
    pub const fn record(self) -> record::Setup {
        self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Programs = Programs { start: true, up: true, run: true };

    #[test]
    fn start_comes_once_and_control_u_before_each_run() {
        let mut setup = Setup::default();
        assert_eq!(setup.next(None, ALL), Next::Script(Script::Start));
        setup.prepared();
        assert_eq!(setup.next(Some(Script::Start), ALL), Next::Script(Script::Up));
        assert_eq!(setup.next(Some(Script::Up), ALL), Next::Run);
        setup.started(true);
        assert_eq!(setup.next(None, ALL), Next::Script(Script::Up), "it is started again");
        assert_eq!(setup.next(None, Programs { up: false, ..ALL }), Next::Run);
        assert!(setup.rest(false) && !setup.rest(false), "`stop` is run once");
        assert_eq!(setup.next(None, ALL), Next::Script(Script::Start));
    }

    #[test]
    fn a_run_that_is_missing_is_none_only_behind_start_or_where_none_has_run() {
        let none = Programs { run: false, up: false, ..ALL };
        let alone = Programs { start: false, ..none };
        let mut setup = Setup::default();
        assert_eq!(setup.next(None, alone), Next::Nothing);
        assert_eq!(setup.next(None, Programs { up: true, ..alone }), Next::Nothing);
        setup.started(true);
        assert_eq!(setup.next(None, alone), Next::Run);
        let mut setup = Setup::default();
        setup.prepared();
        assert_eq!((setup.next(Some(Script::Start), none), setup.next(None, none)), (Next::Nothing, Next::Run));
    }

    #[test]
    fn what_is_kept_stays_until_it_is_released_or_supervise_leaves() {
        for leaving in [false, true] {
            let mut setup = Setup::default();
            setup.prepared();
            setup.over(true);
            assert!(!setup.rest(false));
            assert!(leaving || setup.release());
            assert!(setup.rest(leaving) && !setup.rest(leaving));
        }
    }

    #[test]
    fn what_has_never_run_is_not_stopped() {
        let mut setup = Setup::default();
        setup.started(false);
        assert_eq!(setup.next(None, ALL), Next::Script(Script::Start));
        assert!(!setup.rest(true));
        assert!(Setup::resume(record::Setup::default(), true).rest(false));
        assert!(!Setup::resume(record::Setup::default(), false).rest(false));
    }
}
