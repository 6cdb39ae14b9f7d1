//! All that is known of a service, for programs: what the table shows, exactly, and what stands around it.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use svdir::tally::{self, Death};

use crate::service;
use crate::service::client::{self, Unreachable};
use crate::service::details::LastExit;
use crate::service::home::Home;

use super::around::{Logger, Needs};
use super::look::{self, Row};
use super::scan::{Meant, Scan};

/// The most deaths that are told, the last ones.
const DEATHS: usize = 10;

/// All that is known of a service.
pub struct Whole {
    /// What it is called, and where it is.
    pub meant: Meant,
    /// What was seen in its directory.
    pub row: Row,
    /// Its last ends, the oldest first; `None` if it keeps none.
    pub deaths: Option<Vec<Death>>,
    /// The services that need it, or want it; `None` if it is not one of a scan directory.
    pub needed_by: Option<Vec<OsString>>,
    /// Its logger.
    pub logger: Option<Logger>,
}

impl Whole {
    /// Looks at each of these services.
    ///
    /// # Errors
    /// If the way back from a directory fails.
    pub fn of_all(home: &Home, scan: &Scan, meant: Vec<Meant>) -> anyhow::Result<Vec<Whole>> {
        let needs = Needs::of(scan);
        let mut all = Vec::with_capacity(meant.len());
        for meant in meant {
            let logger = Logger::of(home, &meant, scan.served)?;
            let mut whole = Whole::look(home, meant, scan.served, client::find)?;
            whole.needed_by = needed_by(&needs, scan, &whole.meant);
            whole.logger = logger;
            all.push(whole);
        }
        Ok(all)
    }

    /// Looks at a service, and not at what stands around it. `find` finds its supervise.
    ///
    /// # Errors
    /// If the way back from its directory fails.
    pub fn look<T>(
        home: &Home,
        meant: Meant,
        served: Option<bool>,
        find: impl FnOnce() -> Result<T, Unreachable>,
    ) -> anyhow::Result<Whole> {
        let mut deaths = None;
        let row = look::look_and(home, &meant, || {
            let seen = look::here(served, find);
            deaths = service::tally::read().ok().map(|bytes| last(&bytes));
            seen
        })?;
        Ok(Whole { meant, row, deaths, needed_by: None, logger: None })
    }

    /// How it has ended last, and when, as far as that is known.
    pub fn last_exit(&self) -> Option<LastExit> {
        let last = self.row.details.as_ref()?.last_exit?;
        let death = self.deaths.as_ref().and_then(|deaths| deaths.last()).filter(|death| death.exit == last.exit);
        Some(LastExit { at: last.at.or(death.map(|death| death.at)), ..last })
    }
}

/// The services that need this one; `None` if it is not in the scan directory.
pub fn needed_by(needs: &Needs, scan: &Scan, meant: &Meant) -> Option<Vec<OsString>> {
    let is_there = meant.dir.parent() == Some(&scan.dir) && meant.dir.file_name() == Some(&meant.name);
    is_there.then(|| needs.by(&meant.name).map(OsStr::to_owned).collect())
}

fn last(bytes: &[u8]) -> Vec<Death> {
    let deaths = tally::deaths(bytes);
    let passed = deaths.len().saturating_sub(DEATHS);
    deaths.skip(passed).collect()
}

/// The path of a service directory from the root, as it was named.
pub fn path(dir: &Path) -> OsString {
    std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()).into()
}
