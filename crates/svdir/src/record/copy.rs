//! A copy of the service in the record. There are at most two, the main one, which serves, and a second; both are the same sections under other tags.

use std::num::NonZeroU32;

use tai::Label;

use super::sections::{Fields, Writer};

/// What a second copy is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It shall take the place of the main one, and is not ready yet.
    Warming,
    /// The main one has taken its place.
    EndingOld,
    /// It was to take the place of the main one, and was given up.
    EndingNew,
}

/// What is decided about a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Its process.
    pub pid: NonZeroU32,
    /// That process has become `run`, as far as its supervise knows. A record that the process wrote itself says no.
    pub executed: bool,
    /// It tells when it is ready.
    pub declares: bool,
    /// It has told so, and nothing else since.
    pub ready: bool,
    /// It has been ready, so it is held to its [`watchdog`](Copy::watchdog).
    pub watched: bool,
    /// Within so many nanoseconds it tells again that it is alive; 0 if it need not.
    pub watchdog: u64,
    /// It was stopped by STOP.
    pub paused: bool,
    /// It was sent what shall end it: TERM, KILL, or the signal that it has for that.
    pub ending: bool,
    /// TERM was among the signals that shall end it.
    pub got_term: bool,
    /// It gets KILL if it takes too long over its end.
    pub kill_due: bool,
    /// The `check` that runs about it. It matters to a successor in the same process only.
    pub check: Option<NonZeroU32>,
    /// It is not checked any more whether it is ready: a check has succeeded, it said so itself, it ends, or nobody ever asked.
    pub check_over: bool,
    /// Whether it [`declares`](Copy::declares) is not known: the first layout does not say it of a second copy.
    pub undeclared: bool,
    /// It leads a process group of its own.
    pub leads: bool,
    /// Somebody has told it to end by a command, whatever else may end it.
    pub asked: bool,
}

impl Copy {
    /// A process that is up, of which nothing else is to be said.
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
        }
    }

    /// Writes pid, flags, role, watchdog, check and more flags. `role` is `None` for the main copy.
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
        section.flags([self.check_over, self.undeclared, self.leads, self.asked != ending]);
    }

    /// What [`encode`](Copy::encode) wrote. `None` if there is no pid.
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
        let [check_over, undeclared, leads, asked_differs] = section.flags();
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
        };
        Some((role, copy))
    }
}

/// A span of time in which a process was born: nanoseconds since the boot, sleep included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Born {
    /// Not before this.
    pub earliest: u64,
    /// Not after this.
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

/// What supervise has seen of the process of a copy, or of the last one while none runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// When it was started or, of the main one while none runs, when that ended.
    pub since: Label,
    /// When it was born, on the clock that a pid is told apart by.
    pub born: Born,
    /// Since when it is ready.
    pub ready: Option<Label>,
    /// Inode number of the pipe on which it tells that it is ready; 0 for none.
    pub ready_pipe: u64,
}

impl Process {
    /// Writes since, born, ready and pipe.
    pub(super) fn encode(&self, section: &mut Writer<'_>) {
        section.label(self.since);
        self.born.encode(section);
        section.put(&self.ready.map_or([0; Label::PACKED], Label::pack));
        section.long(self.ready_pipe);
    }

    /// What [`encode`](Process::encode) wrote.
    pub(super) fn decode(section: &mut Fields<'_>) -> Process {
        Process {
            since: section.label(),
            born: Born::decode(section),
            ready: Some(section.array()).filter(|ready| *ready != [0; Label::PACKED]).map(Label::unpack),
            ready_pipe: section.long(),
        }
    }
}
