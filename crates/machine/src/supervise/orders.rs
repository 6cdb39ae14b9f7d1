//! The commands that stay in force until others change them.

use svdir::Want;
use svdir::record::{Decided, Over, Service};

use super::Actions;
use super::events::{Action, Say};

/// What is wanted of the service and of its supervise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// Up, down, or up once.
    pub want: Want,
    /// supervise exits when the service is down. No command cancels that.
    pub exiting: bool,
    /// supervise exits when `run` ends by itself.
    pub last_run: bool,
    /// svscan is an init: it ends with an essential service.
    pub below_init: bool,
    /// `run` has ended by itself, or an essential service is down for good, so supervise exits, and svscan ends with it.
    pub ended: bool,
    /// Why it is down for good, if it is so by itself. Then it is wanted down.
    pub over: Option<Over>,
}

impl Orders {
    /// Begins with `want`, and nothing else.
    pub const fn new(want: Want) -> Orders {
        Orders { want, exiting: false, last_run: false, below_init: false, ended: false, over: None }
    }

    /// Takes over the orders of a predecessor. While `finish` runs, nothing is over.
    pub const fn resume(left: &Decided, finishing: bool) -> Orders {
        let Service { want, exiting, last_run, below_init, ended, .. } = left.service;
        Orders { want, exiting, last_run, below_init, ended, over: if finishing { None } else { left.over } }
    }

    /// The part of the record about what is wanted, besides a start or a replacement that is due.
    pub const fn record(&self, start_due: bool, replace_due: bool) -> Service {
        let Orders { want, exiting, last_run, below_init, ended, .. } = *self;
        Service { want, exiting, start_due, last_run, ended, replace_due, below_init }
    }

    /// Returns whether a service that is down is to be started without another command.
    pub fn is_wanted(&self) -> bool {
        self.want == Want::Up && !self.exiting
    }

    /// Somebody wants it to run. What had kept it down counts no more.
    pub const fn want_start(&mut self, want: Want) {
        self.ended &= self.over.is_none();
        (self.want, self.over) = (want, None);
    }

    /// Somebody wants it to be down. If it was done by its `start` alone, what that has `kept` is taken down now: it is not done any more.
    pub fn down(&mut self, kept: bool) {
        self.want = Want::Down;
        if kept && self.over == Some(Over::Done) {
            self.over = None;
        }
    }

    /// It is down for good, until somebody wants it up. That is announced when it is known whether it is essential.
    pub(super) fn end(&mut self, over: Over, todo: &mut Actions) {
        (self.want, self.over) = (Want::Down, Some(over));
        todo.push(Action::Say(Say::Over(over)));
        todo.push(Action::IsEssential);
    }

    /// Notes whether svscan is an init. If it was one, and an essential service is down for good, that service is just down now.
    pub const fn know_init(&mut self, init: bool) {
        if !init && self.ended && self.over.is_some() && !self.last_run {
            (self.ended, self.exiting) = (false, false);
        }
        self.below_init = init;
    }

    /// It is down for good, and `essential` or not. If svscan ends with it, supervise exits.
    pub(super) fn end_init(&mut self, essential: bool, todo: &mut Actions) {
        if essential && self.below_init {
            (self.ended, self.exiting) = (true, true);
        } else if essential {
            todo.push(Action::Say(Say::NoInit));
        }
        todo.push(Action::Announce);
    }

    /// Takes in the end of the main copy, `by_itself` or because it was told to end.
    pub const fn run_ended(&mut self, by_itself: bool) {
        if self.last_run && by_itself {
            (self.ended, self.exiting) = (true, true);
        }
    }
}
