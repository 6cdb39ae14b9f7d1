//! Links in the scan directory: made, with a wait until their services are there; and taken away, with their services ended in order.
//!
//! A service is taken away in steps, each of which leaves something whole behind if it is the last:
//!
//! | step | what is done | what ends it |
//! |---|---|---|
//! | expected | a supervise that svscan is about to start is waited for | it is there |
//! | ends | the service is told to be down | it is down |
//! | leaves | the link goes away, and then supervise is told to exit | supervise has exited |
//! | drains | svscan closes the log pipe, and the log supervise is told to exit | the logger has read the last lines, and its supervise has exited |
//!
//! The service is down before its link goes away: what is no longer listed gets no new supervise if its supervise is killed, and must not live on without one.

mod link;
mod waited;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cli::reason;
use machine::wait::Wanted;
use machine::{SECOND, Tick};
use svdir::names;
use sys::process::Signal;
use sys::signals::Signals;

use super::line::Line;
use super::scan::{Meant, Scan};
use super::{look, shown};
use crate::service::client::{self, Unreachable, Watched, Watching};
use crate::service::home::Home;
use crate::service::tick;
use crate::service::wait::{Awaited, Progress};
pub use link::{other_name, put};
use waited::{Step, Waited};

/// How long a supervise is waited for that svscan should start, before a service is taken to have none, in nanoseconds.
const START: u64 = 5 * SECOND;
/// The interval between two looks for a supervise where nothing tells of it, in nanoseconds.
const LOOK: u64 = SECOND / 10;

/// What is done about services, and how that is told.
pub struct What {
    /// They are taken away, else waited for.
    pub away: bool,
    /// What is said of one with which that is done; for those that are waited for only if they are not.
    pub done: &'static str,
    /// What is said of one with which it is not.
    pub not: &'static str,
}

/// How long services are waited for.
pub struct Patience<'a> {
    /// In nanoseconds, for each; `None` not at all.
    pub timeout: Option<u64>,
    /// It tells of Ctrl-C.
    pub interrupt: Option<&'a Signals>,
}

/// How it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Each service is done with, or has failed.
    Over,
    /// By Ctrl-C: this is how far they are.
    Interrupted(String),
}

/// Services that are waited for until they are there, or gone. All at once.
pub struct Changes<'a> {
    what: &'a What,
    patience: &'a Patience<'a>,
    scan: &'a Scan,
    watching: Watching,
    services: Vec<(Meant, State)>,
    failed: bool,
    line: Line,
}

#[derive(Default)]
enum State {
    /// Nothing was done.
    #[default]
    Due,
    Waited(Box<Waited>),
    Done,
    Failed,
}

/// The supervise of a directory, if one was found.
enum Found {
    /// With whether the service is normally up. The last word says that the kernel tells of one that begins.
    Supervise(Option<(Awaited, bool)>, bool),
    /// It cannot be asked, for this reason.
    Failed(String),
}

/// What follows for a service.
enum Next {
    /// It is waited for.
    Wait,
    Done(String),
    Failed(String),
}

impl<'a> Changes<'a> {
    /// Nothing is done yet about these services of the scan directory.
    pub fn new(what: &'a What, patience: &'a Patience, scan: &'a Scan, services: Vec<Meant>) -> Changes<'a> {
        let services = services.into_iter().map(|service| (service, State::Due)).collect();
        Changes { what, patience, scan, watching: Watching::begin(), services, failed: false, line: Line::new() }
    }

    /// Does it, and tells in a line what came of each service.
    ///
    /// # Errors
    /// If the way back from a service directory fails.
    pub fn run(&mut self, home: &Home) -> anyhow::Result<End> {
        for at in 0..self.services.len() {
            self.begin(at);
        }
        loop {
            for at in 0..self.services.len() {
                self.advance(home, at)?;
            }
            if self.waited().next().is_none() {
                self.line.clear();
                return Ok(End::Over);
            }
            if self.patience.interrupt.is_some_and(|signals| signals.arrived(Signal::SIGINT)) {
                self.line.clear();
                return Ok(End::Interrupted(self.so_far()));
            }
            let wake = self.show();
            self.sleep(wake);
        }
    }

    /// Returns whether something was not done.
    pub const fn has_failed(&self) -> bool {
        self.failed
    }

    fn waited(&self) -> impl Iterator<Item = (&Meant, &Waited)> + Clone {
        self.services.iter().filter_map(|(service, state)| match state {
            State::Waited(waited) => Some((service, &**waited)),
            _ => None,
        })
    }

    /// Begins with a service.
    fn begin(&mut self, at: usize) {
        let dir = self.services[at].0.dir.clone();
        let mut waited = Waited {
            step: Step::Expected { told: false },
            since: tick(),
            target: PathBuf::new(),
            service: None,
            logger: None,
        };
        if self.what.away {
            match self.before_taking(&dir) {
                Ok(target) => waited.target = target,
                Err(next) => return self.settle(at, next),
            }
        }
        self.services[at].1 = State::Waited(Box::new(waited));
    }

    /// Finds where a link leads that is to be taken away, unless nothing else is to be done about it.
    fn before_taking(&self, dir: &Path) -> Result<PathBuf, Next> {
        let target = match fs::read_link(dir) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Next::Done(format!("{}: it was not there", self.what.done)));
            }
            // It is no link.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                let dir = shown::name(dir.as_os_str());
                return Err(Next::Failed(format!(
                    "{dir} is the service directory itself and no link, so it stays; an empty file {dir}/down and uphold stop keep the service down"
                )));
            }
            Err(error) => return Err(Next::Failed(reason(&error).into_owned())),
        };
        match link::other_name(self.scan, dir) {
            Some(other) => {
                let stays =
                    format!("{}: the same service is there as {}, and stays", self.what.done, shown::name(other));
                Err(link::remove(dir, &target).map_or_else(Next::Failed, |()| Next::Done(stays)))
            }
            None => Ok(target),
        }
    }

    /// Looks for the supervise of a service, and of its logger, until both are found that are to come.
    fn expect(&self, home: &Home, dir: &Path, waited: &mut Waited) -> anyhow::Result<Next> {
        let limit = if self.what.away { START } else { self.patience.timeout.unwrap_or_default() };
        let late = waited.since.after(limit) <= tick();
        let mut told = true;
        if waited.service.is_none() {
            match home.visit(dir, || self.find_here())? {
                Ok(Found::Supervise(Some((_, false)), _)) if !self.what.away => {
                    let name = shown::name(dir.file_name().unwrap_or_default());
                    return Ok(Next::Done(format!("down, as its file down says; uphold start {name} starts it")));
                }
                Ok(Found::Supervise(found, tells)) => {
                    (waited.service, told) = (found.map(|(service, _)| service), tells);
                }
                Ok(Found::Failed(why)) => return Ok(Next::Failed(why)),
                Err(error) if self.what.away && link::leads_nowhere(&error) => {
                    let why = look::no_way(dir, &error);
                    return Ok(match link::remove(dir, &waited.target) {
                        Ok(()) => Next::Done(format!("{}: {why}", self.what.done)),
                        Err(why) => Next::Failed(why),
                    });
                }
                Err(error) => return Ok(Next::Failed(look::no_way(dir, &error))),
            }
        }
        if self.what.away {
            return self.expect_both(home, dir, waited, told, late);
        }
        waited.step = if waited.service.is_some() { Step::Comes } else { Step::Expected { told } };
        if waited.service.is_some() || !late {
            return Ok(Next::Wait);
        }
        let why = home.visit(dir, || look::unsupervised(&Unreachable::NotRunning, self.scan.served))?;
        Ok(Next::Failed(format!("timed out, {}", why.unwrap_or_else(|error| look::no_way(dir, &error)))))
    }

    /// Looks for the supervise of the logger too, and begins to take the service away.
    fn expect_both(
        &self,
        home: &Home,
        dir: &Path,
        waited: &mut Waited,
        told: bool,
        late: bool,
    ) -> anyhow::Result<Next> {
        let log = dir.join(names::LOG);
        let (mut comes, mut told) = (waited.service.is_none(), told);
        if waited.logger.is_none() && log.is_dir() {
            match home.visit(&log, || self.find_here())? {
                Ok(Found::Supervise(found, tells)) => {
                    comes |= found.is_none();
                    (waited.logger, told) = (found.map(|(logger, _)| logger), told && tells);
                }
                Ok(Found::Failed(why)) => return Ok(Next::Failed(format!("{}: {why}", names::LOG))),
                Err(_) => {}
            }
        }
        // svscan starts what is not there, and must not do so in the moment in which the link goes away.
        if comes && self.scan.served != Some(false) && self.patience.timeout.is_some() && !late {
            waited.step = Step::Expected { told };
            return Ok(Next::Wait);
        }
        if waited.service.is_some() {
            return Ok(self.end(dir, waited));
        }
        if let Some(pid) = home.visit(dir, link::left_behind)?.ok().flatten() {
            let scan = shown::name(self.scan.dir.as_os_str());
            let why = format!("its supervise was killed, and pid {pid} lives on: svscan {scan} takes it over");
            return Ok(Next::Failed(why));
        }
        Ok(match link::remove(dir, &waited.target) {
            Ok(()) => self.drain(waited),
            Err(why) => Next::Failed(why),
        })
    }

    /// Looks for the supervise of the current directory.
    fn find_here(&self) -> Found {
        let told = self.watching.expect_supervise();
        let fifo = match client::find().and_then(|()| client::reach()) {
            Ok(fifo) => fifo,
            Err(Unreachable::NotRunning) => return Found::Supervise(None, told),
            Err(Unreachable::System(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Found::Supervise(None, told);
            }
            Err(why) => return Found::Failed(look::unreachable(&why, self.scan.served)),
        };
        let wanted = if self.what.away { Wanted::Down } else { Wanted::Ready };
        match Awaited::of_here(&self.watching, fifo, wanted) {
            Ok(service) => Found::Supervise(Some((service, fs::metadata(names::DOWN).is_err())), told),
            Err(why) => Found::Failed(shown::bytes(&why.0)),
        }
    }

    /// Tells a service to be down; where nothing is waited for, it leaves at once.
    fn end(&self, dir: &Path, waited: &mut Waited) -> Next {
        if self.patience.timeout.is_none() {
            return self.leave(dir, waited);
        }
        waited.step = Step::Ends;
        match waited.service.as_mut().map(|service| service.send(b"d")) {
            Some(Err(error)) => Next::Failed(format!("error writing the command: {}", reason(&error))),
            _ => Next::Wait,
        }
    }

    /// Takes the link away, and tells supervise to exit.
    fn leave(&self, dir: &Path, waited: &mut Waited) -> Next {
        if let Err(why) = link::remove(dir, &waited.target) {
            return Next::Failed(why);
        }
        if let Some(service) = &mut waited.service {
            // Somebody else may have told it to be up again. One that was killed in this moment has nothing to end.
            let _ = service.send(b"dx");
        }
        waited.step = Step::Leaves;
        if self.patience.timeout.is_some() { Next::Wait } else { self.drain(waited) }
    }

    /// Tells the supervise of the logger to exit: it does so when the logger has read to the end.
    fn drain(&self, waited: &mut Waited) -> Next {
        if let Some(logger) = &mut waited.logger {
            // svscan tells it the same, but not on every system, and not if no svscan runs.
            let _ = logger.send(b"x");
            waited.step = Step::Drains;
            if self.patience.timeout.is_some() {
                return Next::Wait;
            }
        }
        self.gone(waited.since)
    }

    /// It is gone, with its logger.
    fn gone(&self, since: Tick) -> Next {
        Next::Done(format!("{}{}", self.what.done, shown::after(since)))
    }

    /// Looks whether a service that is waited for has come further.
    fn advance(&mut self, home: &Home, at: usize) -> anyhow::Result<()> {
        let (service, state) = &mut self.services[at];
        let dir = service.dir.clone();
        match std::mem::take(state) {
            State::Waited(mut waited) => {
                let next = loop {
                    let before = waited.step;
                    let next = self.step(home, &dir, &mut waited)?;
                    // What the next step waits for may be so already, and then nothing more tells of it.
                    if !matches!(next, Next::Wait) || waited.step == before {
                        break next;
                    }
                };
                self.services[at].1 = State::Waited(waited);
                self.settle(at, next);
            }
            other => *state = other,
        }
        Ok(())
    }

    fn step(&self, home: &Home, dir: &Path, waited: &mut Waited) -> anyhow::Result<Next> {
        let is_late = self.deadline(waited).is_some_and(|deadline| deadline <= tick());
        let (step, since) = (waited.step, waited.since);
        let Some(awaited) = waited.awaited() else {
            return self.expect(home, dir, waited);
        };
        let progress = match awaited.news() {
            None if !is_late => return Ok(Next::Wait),
            None => awaited.progress(),
            Some(progress) => progress,
        };
        let facts = awaited.facts().unwrap_or_default();
        Ok(match (step, progress) {
            (Step::Comes, Progress::There) => Next::Done(format!("{}{}", shown::there(&facts), shown::after(since))),
            (Step::Ends, Progress::There) => self.leave(dir, waited),
            (Step::Leaves, Progress::There) if facts.has_exited() => self.drain(waited),
            // It was killed when there was nothing left to end.
            (Step::Leaves, Progress::Never(_)) => self.drain(waited),
            (Step::Drains, Progress::There) if facts.has_exited() => self.gone(since),
            (Step::Drains, Progress::Never(_)) => self.gone(since),
            (_, Progress::Never(why)) => Next::Failed(format!("{}{}", shown::bytes(&why.0), step.rest())),
            (_, Progress::There) if is_late => Next::Failed(format!("timed out, its supervise runs{}", step.rest())),
            (_, Progress::NotYet(state)) if is_late => Next::Failed(format!("timed out, {state}{}", step.rest())),
            _ => Next::Wait,
        })
    }

    fn settle(&mut self, at: usize, next: Next) {
        let (service, state) = &mut self.services[at];
        let name = shown::name(&service.name);
        match next {
            Next::Wait => {}
            Next::Done(what) => {
                *state = State::Done;
                self.line.done(&name, &what, "");
            }
            Next::Failed(why) => {
                *state = State::Failed;
                self.failed = true;
                self.line.failed(&name, self.what.not, &why);
            }
        }
    }

    /// How far those are that were waited for.
    fn so_far(&self) -> String {
        let named = |is: fn(Step) -> bool| {
            let names =
                self.waited().filter(|(_, waited)| is(waited.step)).map(|(service, _)| shown::name(&service.name));
            names.collect::<Vec<_>>().join(" ")
        };
        let told = |names: String, what: &str| (!names.is_empty()).then(|| format!("{names} {what}"));
        let expected = if self.what.away { "untouched" } else { "enabled and not waited for" };
        let parts = [
            told(named(|step| matches!(step, Step::Expected { .. } | Step::Comes)), expected),
            told(named(|step| step == Step::Ends), "told to stop and not waited for, with its link in place"),
            told(
                named(|step| matches!(step, Step::Leaves | Step::Drains)),
                "told to end and not waited for, with its link away",
            ),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    /// Shows somebody who looks on, and has done so for a second, for what is waited. Returns when to do so again.
    fn show(&mut self) -> Option<Tick> {
        let (service, waited) = self.waited().min_by_key(|(_, waited)| waited.since).filter(|_| self.line.is_seen())?;
        let since = waited.since;
        let seconds = since.until(tick()) / SECOND;
        if seconds > 0 {
            let to = match waited.step {
                Step::Expected { .. } => "to be supervised",
                Step::Comes => "to be ready",
                Step::Ends => "to be down",
                Step::Leaves => "to be gone",
                Step::Drains => "to have its last lines logged",
            };
            let more = match self.waited().count() {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            let text = format!("waiting for {}{more} {to}: {seconds}s", shown::name(&service.name));
            self.line.show(&text);
        }
        Some(since.after((seconds + 1) * SECOND))
    }

    /// When a service has been waited for long enough.
    fn deadline(&self, waited: &Waited) -> Option<Tick> {
        self.patience.timeout.map(|timeout| waited.since.after(timeout))
    }

    /// Sleeps until there is news, or until `wake`.
    fn sleep(&mut self, wake: Option<Tick>) {
        let (away, timeout, interrupt) = (self.what.away, self.patience.timeout, self.patience.interrupt);
        let mut deadline = wake;
        let mut watched: Vec<&mut Watched> = Vec::new();
        for (_, state) in &mut self.services {
            let State::Waited(waited) = state else { continue };
            let limits = [
                timeout.map(|timeout| waited.since.after(timeout)),
                (waited.step == Step::Expected { told: false }).then(|| tick().after(LOOK)),
                (away && matches!(waited.step, Step::Expected { .. })).then(|| waited.since.after(START)),
            ];
            deadline = limits.into_iter().flatten().chain(deadline).min();
            watched.extend(waited.awaited().map(Awaited::watched));
        }
        self.watching.sleep_or(&mut watched, deadline, interrupt.map(Signals::fd));
    }
}
