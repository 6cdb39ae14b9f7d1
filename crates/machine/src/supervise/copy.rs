//! One copy of the service: a process, and what is known of it.
//!
//! A copy tells when it is ready, or counts as ready when it runs. One that tells so by sd_notify may have a watchdog: from when it is ready until it says that it ends, it must
//! tell within its interval that it is alive. Whatever says that it is ready or alive, and the end of a pause, begins the interval anew. A copy that is paused, or was told to end, is not
//! judged, and none that was told to end is checked any more: it shall not be found ready on its way out.

use std::num::NonZeroU32;

use svdir::record;

use crate::probe::Probe;
use crate::{Pid, Tick};

/// What a start has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The new process.
    pub pid: Pid,
    /// It has become `run`. If not it will end at once, and why was said.
    pub executed: bool,
    /// It tells when it is ready, in whatever way.
    pub declares: bool,
    /// One of these ways is `check`.
    pub check: bool,
    /// Within so many nanoseconds it tells that it is alive; 0 if it need not.
    pub watchdog: u64,
}

impl Start {
    /// A process of which nothing is to be told.
    pub const fn plain(pid: Pid) -> Start {
        Start { pid, executed: true, declares: false, check: false, watchdog: 0 }
    }
}

/// A process that was told to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// TERM was sent.
    pub got_term: bool,
    /// Then it gets KILL; `None` for never, or if it got that already.
    pub kill_at: Option<Tick>,
    /// It was late, and got KILL for that.
    pub killed: bool,
}

/// A process that runs `run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The process.
    pub pid: Pid,
    /// It has become `run`.
    pub executed: bool,
    /// It tells when it is ready.
    pub declares: bool,
    /// It has told so.
    pub ready: bool,
    /// It was ready, and does not end by itself: it is held to its watchdog.
    pub watched: bool,
    /// Nanoseconds; 0 for none.
    pub watchdog: u64,
    /// When it told last that it is alive, or the interval began anew.
    pub alive_at: Tick,
    /// It was stopped.
    pub paused: bool,
    /// It was told to end.
    pub ending: Option<Ending>,
    /// The checks whether it is ready.
    pub probe: Probe,
    /// It leads a process group of its own.
    pub leads: bool,
    /// Somebody has told it to end by a command. A watchdog is nobody.
    pub asked: bool,
}

impl Copy {
    /// A copy that was started now.
    pub fn new(now: Tick, start: Start) -> Copy {
        let mut probe = Probe::default();
        if start.check {
            probe.begin(now);
        }
        Copy {
            pid: start.pid,
            executed: start.executed,
            declares: start.declares,
            ready: false,
            watched: false,
            watchdog: start.watchdog,
            alive_at: now,
            paused: false,
            ending: None,
            probe,
            leads: false,
            asked: false,
        }
    }

    /// When it counts as one that hangs, if it tells nothing until then.
    pub fn hung_at(&self) -> Option<Tick> {
        let judged = self.watched && self.watchdog > 0 && !self.paused && self.ending.is_none();
        judged.then(|| self.alive_at.after(self.watchdog))
    }

    /// When something is due: KILL, or the judgement that it hangs.
    pub fn deadline(&self) -> Option<Tick> {
        self.ending.map_or(self.hung_at(), |ending| ending.kill_at)
    }

    /// It is the main copy from now on.
    pub fn promote(&mut self, now: Tick) {
        self.ready &= self.declares;
        (self.paused, self.ending) = (false, None);
        (self.watched, self.alive_at) = (self.ready, now);
    }

    /// It says that it is ready. Returns whether that is news.
    pub fn observe_ready(&mut self, now: Tick) -> bool {
        if !self.declares {
            return false;
        }
        self.alive_at = now;
        self.watched = true;
        !std::mem::replace(&mut self.ready, true)
    }

    /// It says that it is not ready any more: it reloads, or ends by itself. Returns whether that is news.
    pub fn observe_unready(&mut self, stopping: bool) -> bool {
        let watched = self.watched && !stopping;
        let known = (self.ready, self.watched);
        (self.ready, self.watched) = (false, watched);
        known != (false, watched)
    }

    /// It was told to end, and gets KILL at `kill_at` unless that was said before.
    pub fn end(&mut self, got_term: bool, kill_at: Option<Tick>) {
        let ending = self.ending.get_or_insert_default();
        ending.got_term |= got_term;
        ending.kill_at = ending.kill_at.or(kill_at);
    }

    /// It is another process from now on. Where the old one was told to end, so is this, with `got_term`; and where the old one was killed because it was
    /// late, this one has until `kill_at`. Returns whether it is to be told.
    pub fn observe_move(&mut self, now: Tick, pid: Pid, got_term: bool, kill_at: Tick) -> bool {
        (self.pid, self.paused, self.alive_at, self.leads) = (pid, false, now, false);
        let Some(ending) = &mut self.ending else {
            return false;
        };
        ending.got_term = got_term;
        if std::mem::take(&mut ending.killed) {
            ending.kill_at = Some(kill_at);
        }
        true
    }

    /// What stands in the record.
    pub fn record(&self) -> Option<record::Copy> {
        Some(record::Copy {
            pid: NonZeroU32::new(self.pid.0)?,
            executed: self.executed,
            declares: self.declares,
            ready: self.ready,
            watched: self.watched,
            watchdog: self.watchdog,
            paused: self.paused,
            ending: self.ending.is_some(),
            got_term: self.ending.is_some_and(|ending| ending.got_term),
            kill_due: self.ending.is_some_and(|ending| ending.kill_at.is_some()),
            check: self.probe.pid().and_then(|pid| NonZeroU32::new(pid.0)),
            check_over: self.probe.is_over(),
            undeclared: false,
            leads: self.leads,
            asked: self.asked,
        })
    }

    /// The copy of which a predecessor has left this. Its intervals begin anew; a KILL that was due comes at `kill_at`. `checks` says that it tells by `check`
    /// when it is ready, and `ours` that the predecessor was in this process, so that its children are ours.
    pub fn resume(now: Tick, left: &record::Copy, kill_at: Tick, checks: bool, ours: bool) -> Copy {
        // It is followed to its end, even where there is no `check` any more.
        let runs = left.check.filter(|_| ours);
        // Records of older versions do not say that it is over.
        let is_awaited = left.declares && !left.ready && !left.ending && !left.check_over;
        let start = Start {
            pid: Pid(left.pid.get()),
            // Whoever writes this has waited until it was, or its process has ended.
            executed: true,
            declares: left.declares,
            check: runs.is_some() || (checks && is_awaited),
            watchdog: left.watchdog,
        };
        let ending = Ending { got_term: left.got_term, kill_at: left.kill_due.then_some(kill_at), killed: false };
        let mut copy = Copy {
            ready: left.ready,
            watched: left.watched,
            paused: left.paused,
            ending: left.ending.then_some(ending),
            // What is no child of ours may end unseen, and its group be another's then.
            leads: left.leads && ours,
            asked: left.asked,
            ..Copy::new(now, start)
        };
        if let Some(check) = runs {
            copy.probe.started(now, Pid(check.get()));
        }
        copy
    }
}
