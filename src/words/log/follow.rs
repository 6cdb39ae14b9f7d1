//! Waits until something is written.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Context;
use cli::{Exit, text};
use machine::SECOND;
use sys::watch::{Change, Watch, Watcher};
use sys::{fd, poll};

use super::source::Source;

/// The interval between two looks where nothing reports changes, in nanoseconds.
const LOOK: u64 = SECOND / 10;

/// Hears of what is written into log directories.
pub struct Follower {
    watcher: Option<Watcher>,
    /// The directory of each source.
    watches: Vec<(usize, Watch)>,
    /// There is a directory whose changes nobody reports.
    must_look: bool,
    /// Whether stdout is a pipe, which may lose its reader.
    is_piped: bool,
}

impl Follower {
    /// Begins without any directory.
    pub fn new() -> Follower {
        let watcher = Watcher::new().ok();
        let is_piped = fd::pipe_id(fd::stdout()).is_some();
        Follower { must_look: watcher.is_none(), watcher, watches: Vec::new(), is_piped }
    }

    /// Hears of what is written into the log directory of the source with this number.
    pub fn watch(&mut self, source: usize, directory: &Path) {
        match self.watcher.as_ref().map(|watcher| watcher.add_for_contents_and_names(directory)) {
            Some(Ok(watch)) => self.watches.push((source, watch)),
            _ => self.must_look = true,
        }
    }

    /// Waits until something may have been written, and looks which files there are then.
    ///
    /// # Errors
    /// If a log directory cannot be read; quietly, if nobody reads the output any more.
    pub fn wait(&mut self, sources: &mut [Source]) -> anyhow::Result<()> {
        let timeout = self.must_look.then_some(LOOK);
        let stdout = fd::stdout();
        let writers = if self.is_piped { std::slice::from_ref(&stdout) } else { &[] };
        let (changed, unread) = match &self.watcher {
            Some(watcher) => poll::readable_or_unread([watcher.fd().as_fd()], writers, timeout),
            None => poll::readable_or_unread([], writers, timeout).map(|([], unread)| ([false], unread)),
        }
        .context(text!("unable to wait"))?;
        if !unread.is_empty() {
            return Err(Exit(0).into());
        }
        let changes = match &self.watcher {
            Some(watcher) if changed[0] => watcher.changes().context(text!("unable to wait"))?,
            _ => Vec::new(),
        };
        for (number, source) in sources.iter_mut().enumerate() {
            let own = |change: &Change| match change {
                Change::Entry(watch, _) | Change::Gone(watch) => self.watches.contains(&(number, *watch)),
                Change::Lost => true,
            };
            if self.must_look || changes.iter().any(own) {
                refresh(source).with_context(|| text!("unable to read ", source.path()))?;
            }
        }
        Ok(())
    }
}

/// Looks at the files. A directory that is gone has no others any more.
fn refresh(source: &mut Source) -> io::Result<()> {
    match source.refresh() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        refreshed => refreshed,
    }
}
