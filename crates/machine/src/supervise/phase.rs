//! Where a service is that is down: what is due, and what follows the end of its last life.

use svdir::record::{Decided, Over};

use crate::Tick;

/// What follows the end of a main copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// A command has asked for a start.
    pub asked: bool,
    /// The service is not started again, and why.
    pub over: Option<Over>,
}

/// The state while there is no main copy. It is `Down` while there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is due.
    #[default]
    Down,
    /// A start is due then, or when nothing is left of earlier copies.
    Waiting {
        /// When the pace allows it.
        until: Tick,
        /// A command has asked for it.
        asked: bool,
    },
    /// The loop forks in this moment.
    Starting,
    /// The main copy has ended, and what it has left behind is waited for.
    Leaving {
        /// What follows then.
        next: Next,
        /// Before that, `finish` is run.
        finish: bool,
    },
    /// The main copy has ended, and `finish` runs, or is started in this moment.
    Finishing(Next),
}

impl Phase {
    /// The phase in which a predecessor was.
    pub const fn resume(left: &Decided) -> Phase {
        let next = Next { asked: left.service.start_due, over: left.over };
        match (left.main, left.finish) {
            (Some(_), _) => Phase::Down,
            (None, Some(_)) => Phase::Finishing(next),
            (None, None) if left.leftovers.ending => Phase::Leaving { next, finish: left.leftovers.finish },
            // Begin makes of this what is due.
            (None, None) if next.asked => Phase::Waiting { until: Tick(0), asked: true },
            (None, None) => Phase::Down,
        }
    }

    /// What follows the end of the last life, if that is not over yet.
    pub const fn next(self) -> Option<Next> {
        match self {
            Phase::Leaving { next, .. } | Phase::Finishing(next) => Some(next),
            Phase::Down | Phase::Waiting { .. } | Phase::Starting => None,
        }
    }

    /// Whether a start is due that a command has asked for.
    pub const fn is_start_due(self) -> bool {
        match self {
            // This is announced before the start is made, so that a successor does not forget a start that was asked
            // for.
            Phase::Starting => true,
            Phase::Waiting { asked, .. } | Phase::Leaving { next: Next { asked, .. }, .. } => asked,
            Phase::Finishing(next) => next.asked,
            Phase::Down => false,
        }
    }

    /// When a start is due.
    pub const fn due(self) -> Option<Tick> {
        match self {
            Phase::Waiting { until, .. } => Some(until),
            Phase::Down | Phase::Starting | Phase::Leaving { .. } | Phase::Finishing(_) => None,
        }
    }

    /// Somebody wants a start. Returns whether that follows the end of the last life.
    pub const fn ask(&mut self) -> bool {
        self.follow(Next { asked: true, over: None })
    }

    /// Nobody wants a start any more.
    pub const fn call_off(&mut self) {
        if !self.follow(Next { asked: false, over: None })
            && let Phase::Waiting { .. } = self
        {
            *self = Phase::Down;
        }
    }

    /// Changes what follows the end of the last life. Returns whether there is something that it follows.
    const fn follow(&mut self, then: Next) -> bool {
        match self {
            Phase::Leaving { next, .. } | Phase::Finishing(next) => {
                *next = then;
                true
            }
            Phase::Down | Phase::Waiting { .. } | Phase::Starting => false,
        }
    }
}
