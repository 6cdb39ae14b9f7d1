//! The events and actions of the machine of supervise.

use svdir::record::{Over, Script};
use svdir::{Command, Exit, KillMode};

use super::copy::Start;
use super::gate::Held;
use super::health;
use super::knobs::Knobs;
use super::rules::Rules;
use crate::overlap::Why;
use crate::{Pid, Signal};

/// The processes of one supervise: a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The main copy, which serves.
    Main,
    /// The second copy, beside the main one.
    Second,
    /// A process that is not the service itself.
    Job(Job),
}

/// A process that does something about the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// `check`: finds out whether this copy is ready.
    Check(Pid),
    /// A script for which the service waits.
    Hook(Script),
    /// The script of `control/` with the letter of this command, in this place of those that run.
    Control(Command, usize),
    /// `health`: finds out whether this copy, the main one, still works.
    Health(Pid),
}

/// What a look has found of what a copy has left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// One of the processes; `None` if the kernel does not tell.
    pub pid: Option<Pid>,
    /// One of them is a child, so its end will be told by [`Event::Orphans`].
    pub told: bool,
}

/// Why a process was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// No further process can be made now.
    Fork,
    /// Something that the process needs is not available; or it could not execute its program.
    Refused,
    /// There is no such program. For the main copy: there is no `run`, and `start` was all.
    Gone,
    /// Of the main copy: the first process of a start must wait until another service is ready.
    Held(Held),
}

/// A message about a copy, from itself or from one of its processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The copy is ready.
    Ready,
    /// The copy reads its configuration again, since this moment as it says, in nanoseconds on the monotonic clock. It is not ready any more, and
    /// will say when it is ready again.
    Reloading(Option<u64>),
    /// The copy is not ready any more, and ends by itself.
    Stopping,
    /// The copy is alive.
    Alive,
    /// The copy hangs.
    Hangs(Knobs),
    /// The copy changes its watchdog interval to this many nanoseconds; 0 for no watchdog.
    Watch(u64),
    /// The copy needs at least this many more nanoseconds to get ready.
    Extend(u64),
    /// The copy is this process from now on. Only if [`can_move`](super::Machine::can_move) allows it.
    Moved(Pid),
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Supervision begins.
    Begin,
    /// [`Action::Start`] was done.
    Started(Slot, Start),
    /// [`Action::Start`] failed.
    NotStarted(Slot, NotStarted),
    /// A child, or a process that was taken over, ended. But for the knobs in them, the rules count only for the main copy.
    Ended(Pid, Exit, Rules),
    /// The run of `health` about this copy has ended. The knobs count only if it has failed.
    Judged(Pid, Exit, health::Settings, Knobs),
    /// A child was stopped.
    Stopped(Pid),
    /// A child was continued.
    Continued(Pid),
    /// This process has sent a message about its copy.
    Word(Pid, Word),
    /// A command came.
    Command(Command, Knobs),
    /// The main copy [is overdue](super::Machine::is_overdue), and all its messages were read.
    Overdue(Knobs),
    /// [`Action::Look`] was done for this copy, and has found this; `None` if nothing is left.
    Left(Pid, Option<Left>),
    /// Children have ended that may be some of what was left behind.
    Orphans,
    /// What a start waits for may have changed.
    Gate,
    /// [`Action::IsEssential`] was done.
    Essential(bool),
    /// The deadline has come.
    Timeout,
}

/// The receiver of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// This process.
    Process(Pid),
    /// This process, a copy, and the process group that it leads or has led before it moved.
    Led(Pid, Pid),
    /// The rest of the process group that this process, a copy that has ended, has led.
    Group(Pid),
    /// This process, a copy, which was started as the second one; with KILL also all that descends from it.
    Tree(Pid, Pid),
    /// All that is left of what descended from this process, a copy that has ended.
    Orphans(Pid),
    /// The process group of this job, which was not reaped yet.
    Job(Pid),
}

impl Target {
    /// What is left of it once these processes have ended, so that others may have their pids; `None` if nothing is.
    pub fn without(self, ended: &[Option<Pid>]) -> Option<Target> {
        let has_ended = |pid| ended.contains(&Some(pid));
        match self {
            Target::Process(pid) | Target::Job(pid) | Target::Tree(pid, _) if has_ended(pid) => None,
            Target::Led(pid, group) if has_ended(pid) => Some(Target::Group(group)),
            Target::Process(_) | Target::Job(_) | Target::Led(..) => Some(self),
            Target::Group(_) | Target::Tree(..) | Target::Orphans(_) => Some(self),
        }
    }
}

/// A message to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// This process hangs and will be ended: it has not said within this many nanoseconds that it is alive, or (`None`) it has
    /// said itself that it hangs.
    Hung(Pid, Option<u64>),
    /// This process has not ended in time, and is killed.
    Late(Pid),
    /// A replacement was given up.
    GaveUp(Why),
    /// This script, which is this process, has not ended in time, and is killed.
    HookLate(Script, Pid),
    /// This script of `control/`, which is this process, has not ended in time, and is killed.
    ControlLate(Command, Pid),
    /// This script of `control/` is not asked, since too many run already.
    Unasked(Command),
    /// What is left of this copy, which has ended, has not ended in time, and is killed.
    LeftLate(Pid, KillMode),
    /// The service is not started again.
    Over(Over),
    /// This process is ended, since so many runs of `health` have failed in a row.
    Unhealthy(Pid, u8),
    /// This process is ended, since it has not got ready within so many nanoseconds, or in the time that it has asked for.
    NotReady(Pid, u64),
    /// The service is essential, and no svscan ends with it.
    NoInit,
}

/// What is to be done, in the order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a process, and report the outcome by [`Event::Started`] or [`Event::NotStarted`] before any other event. For the main copy
    /// [`next`](super::Machine::next) says which process that is: it may be a script that comes before `run`, and then the outcome is about that. Before the
    /// [first](super::Machine::begins_start) process of a start, it is to be looked what the service waits for. A copy takes the time itself; a copy or a script writes [`decided_once_started`](super::Machine::decided_once_started) before it executes its program.
    Start(Slot),
    /// Look whether something is left of the copy that was started as this process, with this mode, and report that by [`Event::Left`] before any other
    /// event. The last process is the one that was found before.
    Look(Pid, KillMode, Option<Pid>),
    /// Send a signal.
    Signal(Target, Signal),
    /// The two copies have changed places: the second copy is the main one from now on, and the old main copy, if it still runs,
    /// is the second.
    Promote,
    /// Take the time of the last change of pid.
    Stamp,
    /// Take the time at which the service became ready.
    StampReady,
    /// Write the record.
    Announce,
    /// Note in the death tally, of which so many are kept, that the main copy has ended so, at the time of the stamp.
    Tally(Exit, u16),
    /// Find out whether the directory calls the service essential, which is down for good by itself, and report that by [`Event::Essential`] before any
    /// other event.
    IsEssential,
    /// Print a message.
    Say(Say),
    /// Exit.
    Quit,
}
