//! What the machine of supervise is told, and what it asks for.

use svdir::record::Over;
use svdir::{Command, Exit};

use super::copy::Start;
use super::knobs::Knobs;
use super::rules::Rules;
use crate::overlap::Why;
use crate::{Pid, Signal};

/// Every process that there may be: a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The copy that serves.
    Main,
    /// The copy beside it.
    Second,
    /// Something that is not the service.
    Job(Job),
}

/// A process that does something about the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// `check`: finds out whether this copy is ready.
    Check(Pid),
    /// `finish`: is told how the main copy has ended.
    Finish,
}

/// Why a process was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// There can be no further process now.
    Fork,
    /// It was not even tried, or came to nothing: something that the service needs cannot be had.
    Refused,
}

/// What a copy, or one of its processes, tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The copy is ready.
    Ready,
    /// The copy is not ready any more, and will tell when it is again.
    Unready,
    /// The copy is not ready any more, and ends by itself.
    Stopping,
    /// The copy is alive.
    Alive,
    /// The copy hangs.
    Hangs(Knobs),
    /// From now on it tells within so many nanoseconds that it is alive; 0 for no more.
    Watch(u64),
    /// It needs at least so many nanoseconds more to get ready.
    Extend(u64),
    /// It is this process from now on, and [`Machine::can_move`].
    Moved(Pid),
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Supervision begins.
    Begin,
    /// What [`Action::Start`] asked for was made.
    Started(Slot, Start),
    /// What [`Action::Start`] asked for was not made.
    NotStarted(Slot, NotStarted),
    /// A child ended, or a process that was taken over. The rules are needed where it is that of the main copy.
    Ended(Pid, Exit, Rules),
    /// A child was stopped.
    Stopped(Pid),
    /// A child was continued.
    Continued(Pid),
    /// This process tells something of its copy.
    Word(Pid, Word),
    /// A command came.
    Command(Command, Knobs),
    /// The main copy [is overdue](Machine::is_overdue), and whatever it may have told before was heard.
    Overdue(Knobs),
    /// The deadline has come.
    Timeout,
}

/// Who gets a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// This process.
    Process(Pid),
    /// What is left of the process group that this process, a copy which has ended, has led.
    Group(Pid),
    /// A job of ours that was not reaped, with all that it has started.
    Job(Pid),
}

/// What is to be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// This process hangs, and will be ended: it has not told within so many nanoseconds that it is alive, or has said so itself.
    Hung(Pid, Option<u64>),
    /// This process has not ended in time, and is killed.
    Late(Pid),
    /// A replacement was given up.
    GaveUp(Why),
    /// `finish`, which is this process, has not ended in time, and is killed.
    FinishLate(Pid),
    /// The service is not started again.
    Over(Over),
}

/// What is to be done, in the order given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start this, and say how it went by [`Event::Started`] or [`Event::NotStarted`] before any other event. A copy takes the time itself and
    /// writes [`Machine::decided_once_started`] before it becomes `run`.
    Start(Slot),
    /// Send a signal.
    Signal(Target, Signal),
    /// The two copies have changed places: the second is the main one from now on, and if there was one before that is the second.
    Promote,
    /// Take the time: the pid has changed.
    Stamp,
    /// Take the time: the service is ready.
    StampReady,
    /// Write the record.
    Announce,
    /// Say something.
    Say(Say),
    /// Leave.
    Quit,
}
