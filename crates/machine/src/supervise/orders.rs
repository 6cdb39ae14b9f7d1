//! The commands that stay in force until others change them.

use svdir::Want;
use svdir::record::Service;

/// What is wanted of the service and of its supervise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orders {
    /// Up, down, or up once.
    pub want: Want,
    /// supervise exits when the service is down. No command cancels that.
    pub exiting: bool,
    /// supervise exits when `run` ends by itself.
    pub last_run: bool,
    /// `run` has ended by itself, so supervise exits.
    pub ended: bool,
}

impl Orders {
    /// Begins with `want`, and nothing else.
    pub const fn new(want: Want) -> Orders {
        Orders { want, exiting: false, last_run: false, ended: false }
    }

    /// Takes over the orders of a predecessor.
    pub const fn resume(left: &Service) -> Orders {
        let Service { want, exiting, last_run, ended, .. } = *left;
        Orders { want, exiting, last_run, ended }
    }

    /// Returns whether a service that is down is to be started without another command.
    pub fn is_wanted(&self) -> bool {
        self.want == Want::Up && !self.exiting
    }

    /// Takes in the end of the main copy, `by_itself` or because it was told to end.
    pub const fn run_ended(&mut self, by_itself: bool) {
        if self.last_run && by_itself {
            (self.ended, self.exiting) = (true, true);
        }
    }
}
