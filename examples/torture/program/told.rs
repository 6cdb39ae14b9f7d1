//! What the record of a supervise tells.

use svdir::Status;
use svdir::record::{layout1, slots};

use super::line::Micros;

/// What stands in `supervise/status` and `supervise/record`.
#[derive(Clone, Copy)]
pub struct Told {
    /// What every suite tells.
    pub status: Status,
    /// The copy beside the one that serves.
    pub second: Option<u32>,
    /// There is such a copy, or another is asked for.
    pub replacing: bool,
    /// The `finish` that runs.
    pub finish: Option<u32>,
    /// Its supervise leaves when it is down.
    pub exiting: bool,
    /// The service is not started again, though nobody has told it to be down.
    pub over: bool,
    /// The copy that serves is up and, if it says when it is ready, ready.
    pub ready: bool,
    /// Who wrote it, if it tells that.
    pub supervise: Option<u32>,
}

impl Told {
    /// Reads the status of any suite and, if it is ours, the record.
    pub fn read(status: &[u8], record: &[u8]) -> Option<Told> {
        let record = layout1::decode(status).or_else(|| slots::newest(record).map(|(_, record)| record));
        let status = record.map_or_else(|| Status::decode(status).ok(), |record| Some(record.status()))?;
        let second = record.and_then(|record| record.decided.second).map(|(_, second)| second.pid.get());
        let replacing = record.is_some_and(|record| second.is_some() || record.decided.service.replace_due);
        let finish = record.and_then(|record| record.decided.hook).map(|hook| hook.pid.get());
        let over = finish.is_none() && record.is_some_and(|record| record.decided.over.is_some());
        Some(Told {
            status,
            second,
            replacing,
            finish,
            exiting: record.is_some_and(|record| record.decided.service.exiting),
            over,
            ready: record
                .and_then(|record| record.decided.main)
                .is_some_and(|copy| copy.executed && (!copy.declares || copy.ready)),
            supervise: record.map(|record| record.observed.supervise.pid),
        })
    }

    /// The process that serves.
    pub fn pid(&self) -> Option<u32> {
        self.status.pid.map(|pid| pid.get()).filter(|&pid| Some(pid) != self.finish)
    }

    /// All processes of the service, in order.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids: Vec<u32> = self.pid().into_iter().chain(self.second).collect();
        pids.sort_unstable();
        pids
    }
}

/// The times in which a service may have two copies.
#[derive(Default)]
pub struct Overlaps {
    /// Those that are over: from before the command until after it was done.
    over: Vec<(Micros, Micros)>,
    /// When the one that lasts began.
    since: Option<Micros>,
    /// The command for it may still wait to be read.
    unsure: bool,
}

impl Overlaps {
    /// A replacement is about to be asked for.
    pub fn begin(&mut self, now: Micros) {
        self.since.get_or_insert(now);
    }

    /// It is done, and was so a moment before `now`.
    pub fn end(&mut self, now: Micros) {
        self.over.extend(self.since.take().map(|since| (since, now)));
        self.unsure = false;
    }

    /// Nobody knows whether the command for it was read.
    pub fn doubt(&mut self) {
        self.unsure = true;
    }

    /// Whether that is so.
    pub fn is_unsure(&self) -> bool {
        self.unsure
    }

    /// Whether one lasts.
    pub fn lasts(&self) -> bool {
        self.since.is_some()
    }

    /// Whether there may have been two copies then.
    pub fn covers(&self, then: Micros) -> bool {
        self.since.is_some_and(|since| since <= then) || self.over.iter().any(|span| (span.0..=span.1).contains(&then))
    }
}
