//! How far a service is from the state that a client waits for. [`client`](super::client) collects the news, [`machine::wait`] decides what it means.

use std::fs::File;
use std::io;

use cli::{Text, text};
use machine::Tick;
use machine::wait::{Reload, Verdict, Wanted};
use svdir::{Command, knob};
use sys::limits::{self, Resource};

use super::client::{News, Suites, Watched, Watching};
use super::facts::Facts;
use super::reload::{self, Limit};
use super::tick;

/// A service that is waited for.
pub struct Awaited {
    watched: Watched,
    wanted: Wanted,
    /// It is to tell that it reloads.
    reload: Option<Limit>,
}

/// How far a service is from the wanted state.
pub enum Progress {
    /// It is in the state.
    There,
    /// It is in this one instead.
    NotYet(String),
    /// It cannot get there, for this reason.
    Never(Text),
}

/// Raises the soft limit of open files to the hard one: each service that is waited for takes two descriptors. The soft limit protects programs that
/// cannot deal with high descriptor numbers, and a client starts no other program. If it cannot be raised, the services beyond it get a warning.
pub fn allow_many_files() {
    let files = Resource::RLIMIT_NOFILE;
    let _ = limits::get(files).and_then(|limit| limits::set_soft(files, limit.hard));
}

impl Awaited {
    /// Watches the service of the current directory, before anything is sent to its supervise. `fifo` is the write end of one of its FIFOs.
    ///
    /// # Errors
    /// A text for the user, if the supervise there cannot be waited for.
    pub fn of_here(watching: &Watching, fifo: File, wanted: Wanted) -> Result<Awaited, Text> {
        Ok(Awaited { watched: watching.watch(fifo, Suites::Ours)?, wanted, reload: None })
    }

    /// Prepares for these letters, which are sent next: if they ask for a reload, and it is waited for until the service is ready, its end is waited for too.
    ///
    /// # Errors
    /// A text for the user, if the service could tell of that, and its supervise does not say so.
    pub fn prepare(&mut self, letters: &[u8]) -> Result<(), Text> {
        if self.wanted != Wanted::Ready || !letters.contains(&Command::Reload.letter()) {
            return Ok(());
        }
        let facts = self.watched.facts()?;
        if facts.tells_of_reloads() {
            self.watched.expect_reload();
            self.reload = Some(Limit::of_here());
        } else if facts.pid().is_some() && reload::is_told() {
            return Err(text!(
                "its supervise cannot tell when a reload is over: it is of an older version, or has started the service without a notify socket"
            ));
        }
        Ok(())
    }

    /// Sends letters to its supervise.
    ///
    /// # Errors
    /// If the supervise has ended meanwhile.
    pub fn send(&mut self, letters: &[u8]) -> io::Result<()> {
        self.watched.send(letters)
    }

    /// What sleeps until there is news.
    pub fn watched(&mut self) -> &mut Watched {
        &mut self.watched
    }

    /// When it is to be looked at though nothing is new.
    pub fn deadline(&self) -> Option<Tick> {
        self.reload.as_ref().and_then(Limit::deadline)
    }

    /// What is known about it now.
    ///
    /// # Errors
    /// If its supervise does not understand marks, or nothing can be read.
    pub fn facts(&self) -> Result<Facts, Text> {
        self.watched.facts()
    }

    /// How far it is, if that may have changed.
    pub fn news(&mut self) -> Option<Progress> {
        match self.watched.news() {
            News::None if !self.is_due() => None,
            News::Killed => Some(Progress::Never(text!("supervise was killed, and no other was started"))),
            News::None | News::Some => Some(self.progress()),
        }
    }

    /// Returns whether it may be too late for it to tell that it reloads.
    fn is_due(&self) -> bool {
        self.reload.as_ref().and_then(Limit::deadline).is_some_and(|deadline| deadline <= tick())
    }

    /// How far it is now.
    pub fn progress(&mut self) -> Progress {
        let wanted = self.wanted;
        let facts = match self.watched.facts() {
            Ok(facts) => facts,
            Err(why) => return Progress::Never(why),
        };
        if !self.watched.was_heard() {
            return Progress::NotYet("its supervise has not obeyed yet".to_owned());
        }
        let commanded = self.watched.commanded();
        match facts.judge(wanted, commanded) {
            Verdict::There => Progress::There,
            Verdict::NotYet if facts.reload(commanded) == Reload::Untold => self.untold(&facts.clause(wanted)),
            Verdict::NotYet => {
                self.reload = None;
                Progress::NotYet(facts.clause(wanted))
            }
            Verdict::Never if facts.has_exited() && !facts.is_over() => Progress::Never(text!("supervise has exited")),
            Verdict::Never => Progress::Never(text!(facts.clause(wanted).as_str())),
        }
    }

    /// How far it is while it has not told that it reloads. `state` is the state that it is in.
    fn untold(&mut self, state: &str) -> Progress {
        match self.reload.as_mut().and_then(Limit::is_over) {
            Some(within) => {
                let within = knob::shown(within);
                Progress::Never(text!("it has not told within ", within.as_str(), " that it reloads"))
            }
            None => Progress::NotYet(format!("{state}, and has not told that it reloads")),
        }
    }
}
