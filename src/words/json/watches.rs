//! Hears of what happens to services, by one inotify instance for all of them: two watches for each service, and two for its logger.
//!
//! The end of a supervise that was killed is heard too: then the kernel closes the lock which it had open.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use cli::{Voice, text};
use svdir::names;
use sys::watch::{Change, Watch, Watcher};

use crate::service::files;

/// Who is watched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// The scan directory.
    Scan,
    /// The service of this name.
    Service(OsString),
    /// Its logger.
    Logger(OsString),
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The scan directory, or one in which a directory that does not exist may appear.
    Around,
    /// The service directory.
    Directory,
    /// The files of its supervise.
    Supervise,
    /// The FIFO that its supervise opens last, when it begins.
    Ok,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum News {
    /// Anything.
    Lost,
    /// To this entry of the scan directory.
    Entry(OsString),
    /// Something has come or gone in the service directory, or it is another one.
    Changed(Who),
    /// Its supervise has written something.
    Written(Who),
    /// Its supervise is ending, or has ended.
    Ending(Who),
    /// If it had no supervise, it may have one now. A look at one that has is told as this too.
    Beginning(Who),
}

/// The watched directories.
pub struct Watches {
    watcher: Option<Watcher>,
    voice: Voice,
    of: BTreeMap<Watch, BTreeSet<(Who, What)>>,
    by: BTreeMap<Who, BTreeSet<Watch>>,
    /// Something is not watched that could be.
    must_look: bool,
}

impl Watches {
    /// Begins without any. `voice` says what cannot be watched.
    pub fn new(voice: Voice) -> Watches {
        let mut watches = Watches { watcher: None, voice, of: BTreeMap::new(), by: BTreeMap::new(), must_look: false };
        match Watcher::new() {
            Ok(watcher) => watches.watcher = Some(watcher),
            Err(error) => watches.missed(Path::new("anything"), &error),
        }
        watches
    }

    /// Whether there is something of which nobody tells.
    pub const fn must_look(&self) -> bool {
        self.must_look
    }

    /// What to poll.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watcher.as_ref().map(Watcher::fd)
    }

    /// Watches the scan directory.
    pub fn scan(&mut self, dir: &Path) {
        let _ = self.add(dir, Who::Scan, What::Around);
    }

    /// Watches a service directory and what its supervise writes, anew if it was watched.
    pub fn watch(&mut self, who: &Who, dir: &Path) {
        self.forget(who);
        if !self.add(dir, who.clone(), What::Directory)
            && let Ok(target) = std::fs::read_link(dir)
            && let Some(around) = dir.parent().map(|parent| parent.join(target))
        {
            self.add_around(&around, who);
            return;
        }
        let supervise = files::of(dir, names::SUPERVISE);
        if !self.add(&supervise, who.clone(), What::Supervise) && !supervise.starts_with(dir) {
            self.add_around(&supervise, who);
        }
    }

    /// Hears when a supervise is there, where none is. Returns true if it was not heard before: then look again.
    pub fn watch_for_supervise(&mut self, who: &Who, dir: &Path) -> bool {
        let is_it = |watch| self.of.get(watch).is_some_and(|whom| whom.contains(&(who.clone(), What::Ok)));
        let was_heard = self.by.get(who).into_iter().flatten().any(is_it);
        !was_heard && self.add(&files::of(dir, names::OK), who.clone(), What::Ok)
    }

    /// Watches where a directory may appear.
    fn add_around(&mut self, missing: &Path, who: &Who) {
        if let Some(parent) = missing.parent() {
            self.add(parent, who.clone(), What::Around);
        }
    }

    /// Watches a directory. Returns false if there is none.
    fn add(&mut self, dir: &Path, who: Who, what: What) -> bool {
        let Some(watcher) = &self.watcher else { return true };
        let added = match what {
            What::Around | What::Directory => watcher.add_for_names(dir),
            What::Supervise => watcher.add_for_writers(dir),
            What::Ok => watcher.add_for_next_open(dir),
        };
        match added {
            Ok(watch) => {
                self.by.entry(who.clone()).or_default().insert(watch);
                self.of.entry(watch).or_default().insert((who, what));
                true
            }
            Err(error) => {
                let is_there = !matches!(error.raw_os_error(), Some(sys::ENOENT | sys::ENOTDIR | sys::ELOOP));
                // Who may not look there is told nothing, and can read nothing.
                if is_there && error.kind() != io::ErrorKind::PermissionDenied {
                    self.missed(dir, &error);
                }
                is_there
            }
        }
    }

    fn missed(&mut self, dir: &Path, error: &io::Error) {
        if !std::mem::replace(&mut self.must_look, true) {
            let limit = match error.raw_os_error() {
                Some(sys::ENOSPC) => ": the limit fs.inotify.max_user_watches is reached",
                Some(sys::EMFILE) => ": the limit fs.inotify.max_user_instances is reached",
                _ => "",
            };
            self.voice.warning(&text!("unable to watch ", dir, limit, ", looking ten times a second"), error);
        }
    }

    /// Watches a service no more.
    pub fn forget(&mut self, who: &Who) {
        for watch in self.by.remove(who).unwrap_or_default() {
            if let Some(others) = self.of.get_mut(&watch) {
                others.retain(|(other, _)| other != who);
                if others.is_empty() {
                    self.of.remove(&watch);
                    if let Some(watcher) = &self.watcher {
                        watcher.remove(watch);
                    }
                }
            }
        }
    }

    /// What has happened since the last call.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn news(&mut self) -> io::Result<Vec<News>> {
        let mut news = Vec::new();
        while let Some(watcher) = &self.watcher {
            let changes = watcher.changes()?;
            if changes.is_empty() {
                break;
            }
            for change in changes {
                match change {
                    Change::Lost => return Ok(vec![News::Lost]),
                    Change::Entry(watch, name) => {
                        let whom = self.of.get(&watch).into_iter().flatten();
                        news.extend(whom.filter_map(|(who, what)| told(who, *what, &name)));
                    }
                    Change::Gone(watch) => {
                        for (who, what) in self.of.remove(&watch).into_iter().flatten() {
                            self.by.get_mut(&who).map(|watches| watches.remove(&watch));
                            news.push(if what == What::Ok { News::Beginning(who) } else { News::Changed(who) });
                        }
                    }
                }
            }
            news.sort_unstable();
            news.dedup();
        }
        Ok(news)
    }
}

/// What it means that something has happened to the entry `name` of a directory.
fn told(who: &Who, what: What, name: &OsStr) -> Option<News> {
    const OF_A_SERVICE: [&str; 7] =
        [names::RUN, names::START, names::DOWN, names::LOG, names::DEPENDENCIES, names::WANTS, names::SUPERVISE];
    let is = |file: &str| Path::new(file).file_name() == Some(name);
    match (what, who) {
        (What::Around, Who::Scan) => Some(News::Entry(name.to_owned())),
        (What::Around, _) => Some(News::Changed(who.clone())),
        (What::Directory, _) => {
            let is_ours =
                OF_A_SERVICE.iter().any(|file| is(file)) || files::of(Path::new(""), names::SUPERVISE) == name;
            is_ours.then(|| News::Changed(who.clone()))
        }
        (What::Supervise, _) if is(names::LOCK) => Some(News::Ending(who.clone())),
        (What::Supervise, _) if is(names::OK) => Some(News::Beginning(who.clone())),
        (What::Ok, _) => None,
        (What::Supervise, _) => {
            let written = [names::STATUS, names::RECORD, names::DEATH_TALLY];
            written.iter().any(|file| is(file)).then(|| News::Written(who.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_matters_is_news() {
        let web = Who::Service("web".into());
        let news = |what, name: &str| told(&web, what, OsStr::new(name));
        assert_eq!(news(What::Directory, "down"), Some(News::Changed(web.clone())));
        assert_eq!(news(What::Directory, "core"), None);
        assert_eq!(news(What::Supervise, "record"), Some(News::Written(web.clone())));
        assert_eq!(news(What::Supervise, "lock"), Some(News::Ending(web.clone())));
        assert_eq!(news(What::Supervise, "ok"), Some(News::Beginning(web.clone())));
        for quiet in ["control", "status.new", "stored"] {
            assert_eq!(news(What::Supervise, quiet), None);
        }
        assert_eq!(told(&Who::Scan, What::Around, OsStr::new("x")), Some(News::Entry("x".into())));
    }
}
