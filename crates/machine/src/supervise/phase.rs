//! The state of a service while there is no main copy.

use svdir::Want;
use svdir::record::{Decided, Over, Script};

use crate::Tick;

/// The state while there is no main copy. It is `Down` while there is one. `asked`: a start that `u` or `o` asked for is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing runs, nothing is due.
    Down,
    /// It is due to start then.
    Waiting { until: Tick, asked: bool },
    /// A start is held back until another service is ready ([`super::gate`]).
    Held { asked: bool },
    /// The loop makes the next process of a start, which comes after this script.
    Starting { asked: bool, after: Option<Script> },
    /// `start` or `control/u` runs.
    Preparing { asked: bool },
    /// The main copy has ended, and what it has left behind is waited for. Then `finish` is run, or not.
    Leaving { asked: bool, over: Option<Over>, finish: bool },
    /// `finish` runs, and the service will be over, or goes on.
    Finishing { asked: bool, over: Option<Over> },
    /// `stop` runs.
    Stopping { asked: bool },
}

impl Phase {
    /// The phase in which a predecessor has left the service.
    pub fn resume(left: &Decided) -> Phase {
        let asked = left.service.start_due;
        let is_wanted = asked || (left.service.want == Want::Up && !left.service.exiting);
        match (left.main, left.hook.map(|hook| hook.script)) {
            (None, Some(Script::Start | Script::Up)) => Phase::Preparing { asked },
            (None, Some(Script::Finish)) => Phase::Finishing { asked, over: left.over },
            (None, Some(Script::Stop)) => Phase::Stopping { asked },
            (None, None) if left.leftovers.ending => {
                Phase::Leaving { asked, over: left.over, finish: left.leftovers.finish }
            }
            // Begin looks again.
            (None, None) if left.gate.is_some() && is_wanted => Phase::Held { asked },
            // Begin makes of this what is due.
            (None, None) if asked => Phase::Waiting { until: Tick::default(), asked },
            (None | Some(_), _) => Phase::Down,
        }
    }

    /// When a start is due.
    pub const fn deadline(self) -> Option<Tick> {
        match self {
            Phase::Waiting { until, .. } => Some(until),
            _ => None,
        }
    }

    /// Whether a start is due that somebody has asked for, for the record.
    pub const fn start_due(self) -> bool {
        match self {
            Phase::Down => false,
            // This is announced before the start is made, so that a successor does not forget a start that was asked for.
            Phase::Starting { .. } => true,
            Phase::Waiting { asked, .. }
            | Phase::Held { asked }
            | Phase::Preparing { asked }
            | Phase::Leaving { asked, .. }
            | Phase::Finishing { asked, .. }
            | Phase::Stopping { asked } => asked,
        }
    }

    /// Returns whether the end of the main copy is not over yet: what follows is decided, and may change.
    pub const fn is_ending(self) -> bool {
        matches!(self, Phase::Leaving { .. } | Phase::Finishing { .. })
    }

    /// Returns whether the loop is making a process.
    pub const fn is_starting(self) -> bool {
        matches!(self, Phase::Starting { .. })
    }

    /// A script runs, or a start is held back, and a start is asked for: it is made when that is over. Otherwise the phase stays.
    #[must_use]
    pub const fn asked(self) -> Phase {
        match self {
            Phase::Held { .. } => Phase::Held { asked: true },
            Phase::Preparing { .. } => Phase::Preparing { asked: true },
            Phase::Leaving { finish, .. } => Phase::Leaving { asked: true, over: None, finish },
            Phase::Finishing { .. } => Phase::Finishing { asked: true, over: None },
            Phase::Stopping { .. } => Phase::Stopping { asked: true },
            Phase::Down | Phase::Waiting { .. } | Phase::Starting { .. } => self,
        }
    }

    /// The service is to be down: nothing follows.
    #[must_use]
    pub const fn unasked(self) -> Phase {
        match self {
            Phase::Down | Phase::Waiting { .. } | Phase::Held { .. } => Phase::Down,
            Phase::Starting { .. } => self,
            Phase::Preparing { .. } => Phase::Preparing { asked: false },
            Phase::Leaving { finish, .. } => Phase::Leaving { asked: false, over: None, finish },
            Phase::Finishing { .. } => Phase::Finishing { asked: false, over: None },
            Phase::Stopping { .. } => Phase::Stopping { asked: false },
        }
    }
}
