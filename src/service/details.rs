//! What is known of a service besides its [summary](super::summary), exactly: for programs.

use std::num::NonZeroU32;

use machine::Tick;
use svdir::record::Role;
use svdir::{Exit, Want};
use tai::Label;

/// What is known of a service that a supervise runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Details {
    /// What the operator wants of it.
    pub want: Want,
    /// It has no file `down`.
    pub normally_up: bool,
    /// Its process is stopped by STOP.
    pub is_paused: bool,
    /// When it is started next, if its pace has become longer.
    pub next_start: Option<Tick>,
    /// How it has ended last.
    pub last_exit: Option<LastExit>,
    /// Its second copy.
    pub second: Option<Second>,
    /// How often `health` has failed in a row, and when the first time was.
    pub health: Option<(u8, Tick)>,
}

/// The last end of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastExit {
    /// How it has ended.
    pub exit: Exit,
    /// The kernel has killed it because memory ran out.
    pub memory: bool,
    /// When that was; known while it is down.
    pub at: Option<Label>,
}

/// The second copy of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Second {
    /// What it is there for.
    pub role: Role,
    /// Its process.
    pub pid: NonZeroU32,
    /// When it was started.
    pub since: Label,
}
