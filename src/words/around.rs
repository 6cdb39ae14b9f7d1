//! What stands around a service: which others need it, and its logger.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use svdir::names;
use sys::fd;
use sys::process::Pid;

use crate::service::client::{self, Unreachable};
use crate::service::home::Home;
use crate::service::needs;
use crate::service::summary::State;

use super::log::place;
use super::look;
use super::scan::{Meant, Scan};

type Name = Vec<u8>;

/// Which services of a scan directory name which others, in `dependencies.d/` and `wants.d/`.
#[derive(Debug, Default)]
pub struct Needs {
    /// What each service names, if anything.
    named: BTreeMap<OsString, BTreeSet<Name>>,
    /// Who names it.
    by: BTreeMap<Name, BTreeSet<OsString>>,
}

impl Needs {
    /// Those of all services of a scan directory.
    pub fn of(scan: &Scan) -> Needs {
        let mut needs = Needs::default();
        for name in &scan.names {
            needs.look(name, &scan.dir.join(name));
        }
        needs
    }

    /// Looks at what the service `name` names, whose directory is `dir`. What cannot be read names nobody. Returns the names that have come or gone since the last look.
    pub fn look(&mut self, name: &OsStr, dir: &Path) -> Vec<Vec<u8>> {
        let directories = [names::DEPENDENCIES, names::WANTS].into_iter();
        let read = directories.filter_map(|of| needs::named(fd::CURRENT_DIRECTORY, &dir.join(of)).ok());
        let fit = |named: &Name| needs::unfit(named, name.as_bytes()).is_none();
        self.set(name, read.flat_map(|(named, _)| named).filter(fit).collect())
    }

    /// Forgets a service that is gone. Returns the names that it has named.
    pub fn forget(&mut self, name: &OsStr) -> Vec<Vec<u8>> {
        self.set(name, BTreeSet::new())
    }

    fn set(&mut self, name: &OsStr, named: BTreeSet<Name>) -> Vec<Name> {
        let before = self.named.remove(name).unwrap_or_default();
        for gone in before.difference(&named) {
            if let Some(by) = self.by.get_mut(gone)
                && by.remove(name)
                && by.is_empty()
            {
                self.by.remove(gone);
            }
        }
        for come in named.difference(&before) {
            self.by.entry(come.clone()).or_default().insert(name.to_owned());
        }
        let changed = before.symmetric_difference(&named).cloned().collect();
        if !named.is_empty() {
            self.named.insert(name.to_owned(), named);
        }
        changed
    }

    /// The services that name this one, in the order of their names.
    pub fn by(&self, name: &OsStr) -> impl Iterator<Item = &OsStr> {
        self.by.get(name.as_bytes()).into_iter().flatten().map(OsString::as_os_str)
    }
}

/// The logger of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logger {
    /// How it is.
    pub state: State,
    /// Its process.
    pub pid: Option<NonZeroU32>,
    /// Where it writes; the first of several.
    pub directory: Option<PathBuf>,
}

impl Logger {
    /// Looks at the logger of a service. `served` says whether a svscan serves the scan directory, if that is known. `None` if it has no logger.
    ///
    /// # Errors
    /// If the way back from its directory fails.
    pub fn of(home: &Home, meant: &Meant, served: Option<bool>) -> anyhow::Result<Option<Logger>> {
        Logger::found(home, meant, served, client::find)
    }

    /// Looks at the logger of a service as [`of`](Logger::of) does; `find` finds its supervise.
    ///
    /// # Errors
    /// If the way back from its directory fails.
    pub fn found<T>(
        home: &Home,
        meant: &Meant,
        served: Option<bool>,
        find: impl FnOnce() -> Result<T, Unreachable>,
    ) -> anyhow::Result<Option<Logger>> {
        let dir = meant.dir.join(names::LOG);
        if !dir.is_dir() {
            return Ok(None);
        }
        let logger = Meant { name: Path::new(&meant.name).join(names::LOG).into(), dir };
        let summary = look::look_and(home, &logger, || look::here(served, find))?.summary;
        let process = |pid: NonZeroU32| Pid::from_raw(pid.get().cast_signed());
        let supervise = summary.supervise.and_then(|(pid, _)| NonZeroU32::new(pid));
        let running = summary.pid.map(process).zip(supervise.map(process));
        let directory =
            place::find_for(&logger.dir, || running).ok().and_then(|place| place.directories.into_iter().next());
        Ok(Some(Logger { state: summary.state, pid: summary.pid, directory }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_needs_a_service_is_known_after_each_change() {
        let mut needs = Needs::default();
        let set = |needs: &mut Needs, name: &str, named: &[&str]| {
            let named = named.iter().map(|name| name.as_bytes().to_vec()).collect();
            let changed = needs.set(OsStr::new(name), named);
            changed.into_iter().map(|name| String::from_utf8(name).expect("text")).collect::<Vec<_>>()
        };
        let by = |needs: &Needs, name: &str| needs.by(OsStr::new(name)).map(ToOwned::to_owned).collect::<Vec<_>>();
        assert_eq!(set(&mut needs, "web", &["db", "cache"]), ["cache", "db"]);
        assert_eq!(set(&mut needs, "api", &["db"]), ["db"]);
        assert_eq!(set(&mut needs, "api", &["db"]), [""; 0]);
        assert_eq!(by(&needs, "db"), ["api", "web"]);
        assert_eq!(set(&mut needs, "web", &["cache"]), ["db"]);
        assert_eq!((by(&needs, "db"), by(&needs, "cache")), (vec!["api".into()], vec!["web".into()]));
        assert_eq!(needs.forget(OsStr::new("api")), [b"db"]);
        assert_eq!(by(&needs, "db"), [""; 0]);
        assert!(!needs.by.contains_key(&b"db"[..]));
    }
}
