//! The copies of the service in the record. There are at most two: the main copy, which serves, and a second one; both have the same sections, with
//! different tags.

use std::num::NonZeroU32;

use tai::Label;

use super::sections::{Fields, Writer};
use crate::KillMode;

/// The role of a second copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is to replace the main copy, and is not ready yet.
    Warming,
    /// It is the old copy: the main copy has replaced it.
    EndingOld,
    /// It was to replace the main copy, and was given up.
    EndingNew,
}

/// The decisions about a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Its process.
    pub pid: NonZeroU32,
    /// The process has executed `run`, as far as its supervise knows. In a record that the process wrote itself it is
    /// false.
    pub executed: bool,
    /// It says when it is ready.
    pub declares: bool,
    /// It has said that it is ready, and has not taken that back.
    pub ready: bool,
    /// It has been ready, so its [`watchdog`](Copy::watchdog) runs.
    pub watched: bool,
    /// Its watchdog interval in nanoseconds; 0 for no watchdog.
    pub watchdog: u64,
    /// It is stopped by STOP.
    pub paused: bool,
    /// It was sent a signal that is to end it: TERM, KILL, or its `down-signal`.
    pub ending: bool,
    /// TERM was one of these signals.
    pub got_term: bool,
    /// It gets KILL if it does not end in time.
    pub kill_due: bool,
    /// The process of its `check`, if one runs. It matters only to an upgrade in the same process.
    pub check: Option<NonZeroU32>,
    /// No check is run any more: one has succeeded, the copy said itself that it is ready, it is ending, or there is no check.
    pub check_over: bool,
    /// It is not known whether it [`declares`](Copy::declares): the first layout does not say it for a second copy.
    pub undeclared: bool,
    /// It leads a process group of its own.
    pub leads: bool,
    /// Somebody has told it to end by a command, whatever else may end it.
    pub asked: bool,
    /// What is told to end with it, and what may be left behind.
    pub mode: KillMode,
    /// The process group in which that may be left; `None` if the mode is `process`.
    pub group: Option<NonZeroU32>,
    /// All that is told to end with it was told so.
    pub stopped: bool,
    /// It has to be ready in time, and has not been yet.
    pub awaited: bool,
}

impl Copy {
    /// A copy that is up as this process, with all else false or 0.
    pub const fn up(pid: NonZeroU32) -> Copy {
        Copy {
            pid,
            executed: true,
            declares: false,
            ready: false,
            watched: false,
            watchdog: 0,
            paused: false,
            ending: false,
            got_term: false,
            kill_due: false,
            check: None,
            check_over: false,
            undeclared: false,
            leads: false,
            asked: false,
            mode: KillMode::Process,
            group: None,
            stopped: false,
            awaited: false,
        }
    }

    /// Writes pid, flags, role, watchdog, check, more flags, mode and group. `role` is `None` for the main copy.
    pub(super) fn encode(&self, role: Option<Role>, section: &mut Writer<'_>) {
        section.number(self.pid.get());
        let Copy { executed, declares, ready, watched, paused, ending, got_term, kill_due, .. } = *self;
        section.flags([executed, declares, ready, watched, paused, ending, got_term, kill_due]);
        section.byte(match role {
            None => 0,
            Some(Role::Warming) => 1,
            Some(Role::EndingOld) => 2,
            Some(Role::EndingNew) => 3,
        });
        section.long(self.watchdog);
        section.number(self.check.map_or(0, NonZeroU32::get));
        // Releases before this one say only that it was sent what ends it.
        section.flags([self.check_over, self.undeclared, self.leads, self.asked != ending, self.stopped, self.awaited]);
        section.byte(self.mode.number());
        section.number(self.group.map_or(0, NonZeroU32::get));
    }

    /// Reads what [`encode`](Copy::encode) wrote. `None` if there is no pid.
    pub(super) fn decode(section: &mut Fields<'_>) -> Option<(Option<Role>, Copy)> {
        let pid = NonZeroU32::new(section.number())?;
        let [executed, declares, ready, watched, paused, ending, got_term, kill_due] = section.flags();
        let role = match section.byte() {
            1 => Some(Role::Warming),
            2 => Some(Role::EndingOld),
            3 => Some(Role::EndingNew),
            _ => None,
        };
        let watchdog = section.long();
        let check = NonZeroU32::new(section.number());
        let [check_over, undeclared, leads, asked_differs, stopped, awaited] = section.flags();
        let mode = KillMode::from_number(section.byte());
        let group = NonZeroU32::new(section.number()).filter(|_| mode.leads());
        let copy = Copy {
            pid,
            executed,
            declares,
            ready,
            watched,
            paused,
            ending,
            got_term,
            kill_due,
            watchdog,
            check,
            check_over,
            undeclared,
            leads,
            asked: ending != asked_differs,
            mode,
            group,
            stopped,
            awaited,
        };
        Some((role, copy))
    }
}

/// A span of time in which a process was born: nanoseconds since the boot, sleep included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Born {
    /// The earliest time.
    pub earliest: u64,
    /// The latest time.
    pub latest: u64,
}

impl Born {
    /// Writes both ends of the span.
    pub(super) fn encode(self, section: &mut Writer<'_>) {
        section.long(self.earliest);
        section.long(self.latest);
    }

    /// What [`encode`](Born::encode) wrote.
    pub(super) fn decode(section: &mut Fields<'_>) -> Born {
        Born { earliest: section.long(), latest: section.long() }
    }
}

/// What supervise has seen of the process of a copy; while no copy runs, of the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// When it was started; for the main copy while none runs, when the last one ended.
    pub since: Label,
    /// When it was born, on the clock by which the kernel counts births.
    pub born: Born,
    /// The time since which it is ready.
    pub ready: Option<Label>,
    /// Inode number of the pipe on which it says that it is ready; 0 for none.
    pub ready_pipe: u64,
    /// The number of its cgroup in that of the service; 0 if it has none.
    pub life: u32,
}

impl Process {
    /// Writes since, born, ready, pipe and life.
    pub(super) fn encode(&self, section: &mut Writer<'_>) {
        section.label(self.since);
        self.born.encode(section);
        section.put(&self.ready.map_or([0; Label::PACKED], Label::pack));
        section.long(self.ready_pipe);
        section.number(self.life);
    }

    /// Reads what [`encode`](Process::encode) wrote.
    pub(super) fn decode(section: &mut Fields<'_>) -> Process {
        Process {
            since: section.label(),
            born: Born::decode(section),
            ready: Some(section.array()).filter(|ready| *ready != [0; Label::PACKED]).map(Label::unpack),
            ready_pipe: section.long(),
            life: section.number(),
        }
    }
}
