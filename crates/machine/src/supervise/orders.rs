//! What was commanded, and stands until something else is.

use svdir::Want;
use svdir::record::{Decided, Over, Service};

/// What is wanted of the service, and of its supervise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orders {
    /// Up, down, or up once.
    pub want: Want,
    /// Supervise leaves when the service is down. That cannot be taken back.
    pub exiting: bool,
    /// A `run` that ends by itself is the end.
    pub last_run: bool,
    /// A `run` has ended by itself, and that is the end.
    pub ended: bool,
    /// Why it is down for good, if it is so by itself. Then it is wanted down.
    pub over: Option<Over>,
}

impl Orders {
    /// Nothing but this is wanted.
    pub const fn new(want: Want) -> Orders {
        Orders { want, exiting: false, last_run: false, ended: false, over: None }
    }

    /// The orders that a predecessor has had. While `finish` runs, nothing is over.
    pub const fn resume(left: &Decided, finishing: bool) -> Orders {
        let Service { want, exiting, last_run, ended, .. } = left.service;
        Orders { want, exiting, last_run, ended, over: if finishing { None } else { left.over } }
    }

    /// Whether a service that is down is to be started without another command.
    pub fn is_wanted(&self) -> bool {
        self.want == Want::Up && !self.exiting
    }

    /// Somebody wants it to run. What had kept it down counts no more.
    pub const fn want_start(&mut self, want: Want) {
        (self.want, self.over) = (want, None);
    }

    /// It is not started again by itself.
    pub const fn end(&mut self, over: Over) {
        (self.want, self.over) = (Want::Down, Some(over));
    }

    /// The main copy has ended, `by_itself` or because it was told to.
    pub const fn run_ended(&mut self, by_itself: bool) {
        if self.last_run && by_itself {
            (self.ended, self.exiting) = (true, true);
        }
    }
}
