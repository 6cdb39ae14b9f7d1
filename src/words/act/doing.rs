//! Tells services what to do, in their order, and waits until each has done so.

use std::fs::File;
use std::io;
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt;

use machine::wait::{Verdict, Wanted};
use machine::{SECOND, Tick};
use svdir::Command;
use sys::process::Signal;
use sys::signals::Signals;

use crate::service::client::{self, Unreachable, Watched, Watching};
use crate::service::facts::Facts;
use crate::service::home::Home;
use crate::service::tick;
use crate::service::wait::{Awaited, Progress};

use super::super::line::Line;
use super::super::{changed, look, shown};
use super::asked::Asked;
use super::plan::Job;
use super::verbs::Verb;

/// What is done, and how far it is.
pub struct Doing<'a> {
    verb: &'a Verb,
    command: Command,
    /// The signal that is sent, as it was typed.
    signal: Option<String>,
    asked: &'a Asked,
    /// A svscan serves the scan directory, if that is known.
    served: Option<bool>,
    watching: Watching,
    jobs: Vec<(Job, State)>,
    failed: bool,
    line: Line,
}

/// How far a service is.
enum State {
    /// It is to be told.
    Due,
    /// It was told, and is waited for.
    Waited(Box<Waited>),
    /// It has done so.
    Done,
    /// It has not, and will not be waited for.
    Failed,
}

struct Waited {
    awaited: Awaited,
    since: Tick,
    /// It was there already, and nobody has named it.
    silent: bool,
    /// The process that it had, and what has changed since that was started, where the process goes on.
    had: (Option<NonZeroU32>, Vec<&'static str>),
}

/// How it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Over,
    /// By Ctrl-C.
    Interrupted,
}

/// What came of telling a service.
enum Told {
    /// It is waited for.
    Waits(Box<Waited>),
    /// It is not to be waited for.
    Sent,
    /// There was nothing to tell, nor to say.
    Needless,
}

impl<'a> Doing<'a> {
    /// Nothing is done yet.
    pub fn new(
        verb: &'a Verb,
        command: Command,
        signal: Option<String>,
        asked: &'a Asked,
        served: Option<bool>,
        jobs: Vec<Job>,
    ) -> Doing<'a> {
        let jobs = jobs.into_iter().map(|job| (job, State::Due)).collect();
        let watching = Watching::begin();
        Doing { verb, command, signal, asked, served, watching, jobs, failed: false, line: Line::new() }
    }

    /// Does it all, or as much as goes. `interrupt` tells of Ctrl-C.
    ///
    /// # Errors
    /// If the way back from a service directory fails.
    pub fn run(&mut self, home: &Home, interrupt: Option<&Signals>) -> anyhow::Result<End> {
        loop {
            while let Some(at) = self.next() {
                self.tell(home, at)?;
            }
            self.look();
            if self.waited().next().is_none() {
                if self.next().is_none() {
                    self.line.clear();
                    return Ok(End::Over);
                }
                continue;
            }
            if interrupt.is_some_and(|signals| signals.arrived(Signal::SIGINT)) {
                self.line.clear();
                return Ok(End::Interrupted);
            }
            // A service that has got there makes room for the next.
            if self.next().is_none() {
                let wake = self.show();
                self.sleep(wake, interrupt);
            }
        }
    }

    /// The services that are waited for.
    pub fn waited(&self) -> impl Iterator<Item = &str> {
        self.named(|state| matches!(state, State::Waited(_)))
    }

    /// The services that were not told, and will not be.
    pub fn untouched(&self) -> impl Iterator<Item = &str> {
        self.named(|state| matches!(state, State::Due))
    }

    fn named(&self, is: impl Fn(&State) -> bool) -> impl Iterator<Item = &str> {
        self.jobs.iter().filter(move |(_, state)| is(state)).map(|(job, _)| job.name.as_str())
    }

    /// Returns whether some service has not got there.
    pub const fn has_failed(&self) -> bool {
        self.failed
    }

    /// The place of the next service that may be told.
    fn next(&self) -> Option<usize> {
        let waited = self.waited().count();
        if self.asked.at_a_time().is_some_and(|most| waited >= most || self.failed) {
            return None;
        }
        // What a service needs holds its start itself.
        let waits = self.command != Command::Up;
        let is_done = |&at: &usize| matches!(self.jobs[at].1, State::Done);
        self.jobs
            .iter()
            .position(|(job, state)| matches!(state, State::Due) && (!waits || job.first.iter().all(is_done)))
    }

    /// Tells a service what to do.
    fn tell(&mut self, home: &Home, at: usize) -> anyhow::Result<()> {
        let job = &self.jobs[at].0;
        let told = match home.visit(&job.dir, || self.tell_here(job.because_of.is_some()))? {
            Ok(told) => told,
            Err(error) if error.kind() == io::ErrorKind::NotFound && job.dir.symlink_metadata().is_err() => {
                Err("there is no such service".to_owned())
            }
            Err(error) => Err(look::no_way(&job.dir, &error)),
        };
        match told {
            Ok(Told::Waits(waited)) => self.jobs[at].1 = State::Waited(waited),
            Ok(Told::Needless) => self.jobs[at].1 = State::Done,
            Ok(Told::Sent) => {
                let done = match &self.signal {
                    Some(signal) => format!("told to send on {signal}"),
                    None => format!("told to {}", self.verb.to),
                };
                self.done(at, &done, "");
            }
            Err(why) => self.fail(at, &why),
        }
        Ok(())
    }

    /// Tells the service of the current directory what to do. `unnamed` says that it is told because of another. An error is the text that says why it was not told.
    fn tell_here(&self, unnamed: bool) -> Result<Told, String> {
        let needs_nothing = || match client::find() {
            Err(Unreachable::NotRunning) => true,
            Err(Unreachable::System(error)) => error.kind() == io::ErrorKind::NotFound,
            Err(_) => false,
            Ok(()) => client::read().is_ok_and(|facts| facts.judge(Wanted::Down, None) == Verdict::There),
        };
        if unnamed && self.command == Command::Down && needs_nothing() {
            return Ok(Told::Needless);
        }
        let fifo = client::reach().map_err(|why| look::unreachable(&why, self.served))?;
        let letters = [self.command.letter()];
        let unsent = |error: io::Error| format!("error writing the command: {}", cli::reason(&error));
        if !self.asked.wait {
            return client::send(&fifo, &letters).map(|()| Told::Sent).map_err(unsent);
        }
        let (mut awaited, silent) = self.watch(fifo, unnamed).map_err(|why| shown::bytes(&why.0))?;
        awaited.prepare(&letters).map_err(|why| shown::bytes(&why.0))?;
        let goes_on = matches!(self.command, Command::Up | Command::Reload);
        let facts = awaited.facts().ok().filter(|_| goes_on && !silent);
        let had = facts.map_or_else(Default::default, |facts| (facts.pid(), changed::since_start(&facts)));
        let since = tick();
        awaited.send(&letters).map_err(unsent)?;
        Ok(Told::Waits(Box::new(Waited { awaited, since, silent, had })))
    }

    fn watch(&self, fifo: File, unnamed: bool) -> Result<(Awaited, bool), cli::Text> {
        let awaited = Awaited::of_here(&self.watching, fifo, self.verb.wanted)?;
        let is_there = |facts: Facts| facts.judge(self.verb.wanted, None) == Verdict::There;
        let silent = unnamed && is_there(awaited.facts()?);
        Ok((awaited, silent))
    }

    /// Looks at the services that may have news.
    fn look(&mut self) {
        for at in 0..self.jobs.len() {
            let State::Waited(waited) = &mut self.jobs[at].1 else { continue };
            let is_late = waited.deadline(self.asked.timeout) <= tick();
            let progress = match waited.awaited.news() {
                None if !is_late => continue,
                None => waited.awaited.progress(),
                Some(progress) => progress,
            };
            let (silent, since, facts) = (waited.silent, waited.since, waited.awaited.facts());
            match progress {
                Progress::There if silent => self.jobs[at].1 = State::Done,
                Progress::There => {
                    let facts = facts.unwrap_or_default();
                    let (had, changed) = std::mem::take(&mut waited.had);
                    let changed = changed::said(&changed).filter(|_| had == facts.pid());
                    let done = self.done_word(facts);
                    let name = &self.jobs[at].0.name;
                    let more = changed.map_or_else(String::new, |changed| {
                        format!("; {changed}: uphold restart {name} takes that up")
                    });
                    self.done(at, &format!("{done}{}", shown::after(since)), &more);
                }
                Progress::NotYet(state) if is_late => self.fail(at, &format!("timed out, {state}")),
                Progress::NotYet(_) => {}
                Progress::Never(why) => {
                    let is_down = facts.is_ok_and(|facts| facts.pid().is_none() && !facts.has_exited());
                    let mut why = shown::bytes(&why.0);
                    if self.command == Command::Restart && is_down {
                        why += &format!("; uphold start {} starts it", self.jobs[at].0.name);
                    }
                    self.fail(at, &why);
                }
            }
        }
        self.give_up_what_waits();
    }

    /// Gives up the services that wait for one that was given up: they would wait until their time is over.
    fn give_up_what_waits(&mut self) {
        if self.command != Command::Up || !self.failed {
            return;
        }
        // Those that come first have lower places, but for a cycle.
        for at in 0..self.jobs.len() {
            let (job, State::Waited(waited)) = &self.jobs[at] else { continue };
            let Some(awaited) = waited.awaited.facts().ok().and_then(|facts| facts.awaited()) else { continue };
            let is_it = |(job, state): &(Job, State)| {
                let name = job.dir.file_name().is_some_and(|name| name.as_bytes() == awaited.as_bytes());
                name && matches!(state, State::Failed)
            };
            if job.first.iter().any(|&first| is_it(&self.jobs[first])) {
                self.fail(at, &format!("it waits for {awaited}"));
            }
        }
    }

    /// What is said of a service that has got there.
    fn done_word(&self, facts: Facts) -> String {
        if let Some(signal) = &self.signal {
            return format!("{signal} sent");
        }
        let word = match self.verb.done {
            Some(done) => done,
            None if self.command == Command::Reload && facts.tells_of_reloads() => "reloaded",
            None if self.command == Command::Reload => "told to reload; it does not tell when it has",
            None => shown::there(&facts),
        };
        word.to_owned()
    }

    fn done(&mut self, at: usize, what: &str, more: &str) {
        self.jobs[at].1 = State::Done;
        self.line.done(&self.jobs[at].0.name, what, more);
    }

    fn fail(&mut self, at: usize, why: &str) {
        self.jobs[at].1 = State::Failed;
        self.failed = true;
        let job = &self.jobs[at].0;
        let because_of = match &job.because_of {
            Some(other) if self.command == Command::Up => format!(" ({other} needs it)"),
            _ => String::new(),
        };
        let not = match &self.signal {
            Some(signal) => format!("{signal} {}", self.verb.not),
            None => self.verb.not.to_owned(),
        };
        self.line.failed(&job.name, &not, &format!("{why}{because_of}"));
    }

    /// Shows somebody who looks on, and has done so for a second, for what is waited. Returns when to do so again.
    fn show(&mut self) -> Option<Tick> {
        if !self.line.is_seen() {
            return None;
        }
        let waits = self.jobs.iter().filter_map(|(job, state)| match state {
            State::Waited(waited) => Some((job, waited)),
            _ => None,
        });
        let since = waits.clone().map(|(_, waited)| waited.since).min()?;
        let seconds = since.until(tick()) / SECOND;
        if seconds > 0 {
            let names: Vec<&str> = waits.clone().map(|(job, _)| job.name.as_str()).collect();
            let mut text = format!("waiting for {} to be {}: {seconds}s", names.join(", "), self.verb.wanted.name());
            if let [name, _, ..] = names[..] {
                text = format!(
                    "waiting for {} services to be {}: {seconds}s: {name}, ...",
                    names.len(),
                    self.verb.wanted.name()
                );
            } else if let Some((_, waited)) = waits.clone().next()
                && let Ok(facts) = waited.awaited.facts()
            {
                text += &format!(", {}", facts.clause(self.verb.wanted));
            }
            self.line.show(&text);
        }
        Some(since.after((seconds + 1) * SECOND))
    }

    /// Sleeps until there is news, or until `wake`.
    fn sleep(&mut self, wake: Option<Tick>, interrupt: Option<&Signals>) {
        let timeout = self.asked.timeout;
        let mut waits: Vec<&mut Waited> = Vec::new();
        for (_, state) in &mut self.jobs {
            if let State::Waited(waited) = state {
                waits.push(waited);
            }
        }
        let limits = waits.iter().flat_map(|waited| [Some(waited.deadline(timeout)), waited.awaited.deadline()]);
        let deadline = limits.flatten().chain(wake).min();
        let mut watched: Vec<&mut Watched> = waits.into_iter().map(|waited| waited.awaited.watched()).collect();
        self.watching.sleep_or(&mut watched, deadline, interrupt.map(Signals::fd));
    }
}

impl Waited {
    const fn deadline(&self, timeout: u64) -> Tick {
        self.since.after(timeout)
    }
}
