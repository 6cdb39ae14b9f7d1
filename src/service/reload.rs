//! `svc --reload --wait=ready`: how a service tells when its reload is over, which only a service with `sd-notify` can.

use std::os::fd::AsFd;
use std::path::Path;

use machine::Tick;
use machine::supervise::PATIENCE;
use svdir::knob::{self, Unit};
use svdir::names;
use sys::fd;

use super::tick;

/// Returns whether the service of the current directory is to tell of its reloads.
pub fn is_told() -> bool {
    Path::new(names::SD_NOTIFY).exists()
}

/// How long a service may take to tell that it reloads.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// In nanoseconds; for ever if `None`.
    pub within: Option<u64>,
    /// When it is over. It begins when supervise has obeyed.
    until: Option<Tick>,
}

impl Limit {
    /// The limit for the service of the current directory: its `timeout-ready`. supervise warns if the knob is wrong.
    pub fn of_here() -> Limit {
        let mut bytes = [0; knob::LONGEST + 1];
        let read = fd::open_read(Path::new(names::TIMEOUT_READY)).and_then(|file| fd::read(file.as_fd(), &mut bytes));
        let value = read.ok().and_then(|count| knob::duration(bytes.get(..count)?, Unit::Milliseconds).ok());
        Limit { within: Some(value.unwrap_or(PATIENCE)).filter(|&within| within > 0), until: None }
    }

    /// Notes that supervise has obeyed. Returns the limit in nanoseconds if it is over.
    pub fn is_over(&mut self) -> Option<u64> {
        let within = self.within?;
        let until = *self.until.get_or_insert_with(|| tick().after(within));
        (until <= tick()).then_some(within)
    }

    /// When it is over, if it has begun.
    pub const fn deadline(&self) -> Option<Tick> {
        self.until
    }
}
