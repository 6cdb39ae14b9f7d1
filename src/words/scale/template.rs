//! The template of instances: a directory `NAME@`, and what an instance has of it.
//!
//! An instance has a link to each entry of the template. Its `log/` is a directory of its own, with links to the entries of the template's `log/`; and where that has a log
//! directory, such as `log/main`, the instance has an empty one with the same owner and mode. `supervise/` is nobody's but of the supervise that runs there.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cli::text;
use svdir::listener::Address;
use svdir::{Listener, names};

use crate::service::home::Home;
use crate::service::listeners;
use crate::words::shown;

/// What multilog and svlogd call a log directory in every service directory that is written about.
const MAIN: &str = "main";
/// Files by which a log directory is known: of multilog, svlogd and s6-log.
const OF_A_LOG_DIRECTORY: [&str; 3] = ["current", "lock", "state"];
/// What svlogd is told, in the log directory itself.
const CONFIG: &str = "config";

/// What an instance has in place of an entry of the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A link to it.
    Link,
    /// A directory of its own.
    Directory,
}

/// A template.
pub struct Template {
    /// Where it is.
    pub dir: PathBuf,
    /// What an instance has of it, by paths relative to both, each directory before what is in it.
    pub parts: BTreeMap<PathBuf, Part>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(dir: PathBuf) -> anyhow::Result<Template> {
        let unable = || text!("unable to read the template ", dir);
        let mut parts = BTreeMap::new();
        add(&mut parts, &dir, Path::new("")).with_context(unable)?;
        Ok(Template { dir, parts })
    }

    /// Why no service can be made of it; `None` if one can.
    pub fn unfit(&self) -> Option<&'static str> {
        let has = |name: &str| self.parts.contains_key(Path::new(name));
        let is_something = [names::RUN, names::START, names::DEPENDENCIES].into_iter().any(has);
        (!is_something).then_some("it has no run")
    }

    /// Returns whether instances have loggers.
    pub fn has_log(&self) -> bool {
        self.parts.get(Path::new(names::LOG)) == Some(&Part::Directory)
    }

    /// A socket of which only one instance could have the address, as it is shown; `None` if there is none.
    ///
    /// # Errors
    /// If the way back from the template fails.
    pub fn unshared(&self, home: &Home) -> anyhow::Result<Option<String>> {
        let find = || {
            let mut files = listeners::list().ok()?.into_iter();
            // What is no listener holds the start of each instance back, and supervise says why.
            files.find(|file| listeners::read(file).is_ok_and(|listener| is_for_one(&listener)))
        };
        let found = home.visit(&self.dir, find)?.ok().flatten();
        Ok(found.map(|file| format!("{}/{}", names::SOCKETS, shown::name(&file))))
    }
}

/// Returns whether two processes cannot both listen so, each in a directory of its own.
fn is_for_one(listener: &Listener) -> bool {
    match &listener.address {
        Address::Tcp(_, port) | Address::Udp(_, port) => *port != 0 && !listener.reuse_port,
        Address::Unix(file) => file.path.starts_with(b"/"),
    }
}

/// Adds the parts in the directory `within` of the template `dir`.
fn add(parts: &mut BTreeMap<PathBuf, Part>, dir: &Path, within: &Path) -> io::Result<()> {
    let is_top = within.as_os_str().is_empty();
    for entry in fs::read_dir(dir.join(within))? {
        let name = entry?.file_name();
        let (path, there) = (within.join(&name), dir.join(within).join(&name));
        if name == names::SUPERVISE {
            continue;
        }
        let is_directory = || fs::metadata(&there).is_ok_and(|entry| entry.is_dir());
        if is_top && name == names::LOG && is_directory() {
            parts.insert(path.clone(), Part::Directory);
            add(parts, dir, &path)?;
        } else if !is_top && is_directory() && is_log_directory(&name, &there) {
            parts.insert(path.clone(), Part::Directory);
            if fs::symlink_metadata(there.join(CONFIG)).is_ok() {
                parts.insert(path.join(CONFIG), Part::Link);
            }
        } else {
            parts.insert(path, Part::Link);
        }
    }
    Ok(())
}

/// Returns whether a directory in `log/` is one into which the logger writes.
fn is_log_directory(name: &OsStr, there: &Path) -> bool {
    let has = |file: &str| fs::symlink_metadata(there.join(file)).is_ok();
    let is_empty = || fs::read_dir(there).is_ok_and(|mut entries| entries.next().is_none());
    name == MAIN || OF_A_LOG_DIRECTORY.into_iter().any(has) || is_empty()
}
