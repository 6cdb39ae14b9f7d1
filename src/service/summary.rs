//! The one word that says how a service is, and what a table shows of it.

use std::num::NonZeroU32;

use tai::Label;

/// How a service is, in one word: the first of these that is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No supervise runs it, its `run` cannot be executed, or it cannot be looked at.
    Broken,
    /// It is down for good by itself, and not because it is done.
    Failed,
    /// It is down for good, and has done what it was for.
    Done,
    /// Its start waits for another service.
    Waiting,
    /// Its next start is later than a second after the last one.
    BackingOff,
    /// It could not be started.
    Refused,
    /// `start` or `control/u` runs, or it is up and has not told yet that it is ready.
    Starting,
    /// `finish` runs.
    Finishing,
    /// It was told to end and lives, `stop` runs, or something is left of it.
    Stopping,
    /// It was paused.
    Paused,
    /// The last run of `health` has failed.
    Unhealthy,
    /// It has a second copy.
    Replacing,
    /// It has told that it is ready.
    Ready,
    /// It runs.
    Up,
    /// It does not run.
    Down,
}

impl State {
    /// The word that people read.
    pub const fn word(self) -> &'static str {
        match self {
            State::Broken => "broken",
            State::Failed => "failed",
            State::Done => "done",
            State::Waiting => "waiting",
            State::BackingOff => "backing off",
            State::Refused => "refused",
            State::Starting => "starting",
            State::Finishing => "finishing",
            State::Stopping => "stopping",
            State::Paused => "paused",
            State::Unhealthy => "unhealthy",
            State::Replacing => "replacing",
            State::Ready => "ready",
            State::Up => "up",
            State::Down => "down",
        }
    }
}

/// What a table shows of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How it is.
    pub state: State,
    /// Since when it is up or down.
    pub since: Label,
    /// Its process.
    pub pid: Option<NonZeroU32>,
    /// Since when it is ready, if it tells that.
    pub ready: Option<Label>,
    /// How often it was started; `None` if its supervise does not tell.
    pub starts: Option<u32>,
    /// How it has ended last.
    pub last_exit: Option<String>,
    /// The process of its second copy.
    pub second: Option<NonZeroU32>,
    /// The pid of its supervise, and the version of that if it tells.
    pub supervise: Option<(u32, String)>,
    /// The name of the service for which its start waits.
    pub awaited: Option<Vec<u8>>,
    /// It is wanted up, now or later.
    pub is_wanted_up: bool,
    /// What has changed since it was started, and holds from the next start on. Its looker knows that: the record does not tell.
    pub changed: Vec<&'static str>,
    /// What there is to say about its state; empty if nothing.
    pub why: String,
}

impl Summary {
    /// That of a service which cannot be looked at, or is not supervised.
    pub fn broken(why: String) -> Summary {
        Summary {
            state: State::Broken,
            since: Label::default(),
            pid: None,
            ready: None,
            starts: None,
            last_exit: None,
            second: None,
            supervise: None,
            awaited: None,
            is_wanted_up: false,
            changed: Vec::new(),
            why,
        }
    }
}
