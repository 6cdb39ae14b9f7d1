//! `svc --wait`: waits until services are in the wanted state. [`client`](crate::service::client) collects the news, [`machine::wait`]
//! decides what it means.

use std::fs::File;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use cli::{Text, Voice, text};
use machine::wait::{Reload, Verdict, Wanted};
use machine::{SECOND, Tick};
use svdir::knob;

use crate::service::client::{News, Watched, Watching};
use crate::service::tick;

use super::reload::{self, Limit};

/// All services that are waited for.
pub struct Waiting {
    voice: Voice,
    wanted: Wanted,
    deadline: Option<Tick>,
    watching: Watching,
    services: Vec<Service>,
    /// Some service cannot get to the wanted state.
    failed: bool,
    /// When somebody who looks on is told for which others the services wait. `None` if nobody looks on.
    tell: Option<Tick>,
}

/// One service that is not in the wanted state yet.
struct Service {
    /// The directory as the operator typed it, for messages only: a bare name may lead elsewhere.
    dir: PathBuf,
    watched: Watched,
    /// It is to tell that it reloads.
    reload: Option<Limit>,
    /// The other service for which it waits, as far as that was told.
    told: Option<String>,
}

/// How far a service is from the wanted state.
enum Progress {
    There,
    NotYet(String),
    Never(Text),
}

impl Waiting {
    /// Begins without any service. The wait ends after `timeout` nanoseconds; never if `None`.
    pub fn new(voice: Voice, wanted: Wanted, timeout: Option<u64>) -> Waiting {
        let deadline = timeout.map(|timeout| tick().after(timeout));
        let tell = std::io::stderr().is_terminal().then(|| tick().after(SECOND));
        Waiting { voice, wanted, deadline, watching: Watching::begin(), services: Vec::new(), failed: false, tell }
    }

    /// Watches the service of the current directory, before anything is sent to its supervise. `fifo` is the write end of one of its FIFOs.
    ///
    /// # Errors
    /// A text for the user, if the supervise there cannot be waited for.
    pub fn watch(&self, fifo: File) -> Result<Watched, Text> {
        self.watching.watch(fifo)
    }

    /// Prepares to wait for the end of a reload, which the letters that are sent next ask for. Returns by when the service of the current directory is to tell
    /// that it reloads; `None` if it is not waited for that.
    ///
    /// # Errors
    /// A text for the user, if the service could tell of that, and its supervise does not say so.
    pub fn expect_reload(&self, watched: &mut Watched) -> Result<Option<Limit>, Text> {
        if self.wanted != Wanted::Ready {
            return Ok(None);
        }
        let facts = watched.facts()?;
        if facts.tells_of_reloads() {
            watched.expect_reload();
            return Ok(Some(Limit::of_here()));
        }
        if facts.pid().is_some() && reload::is_told() {
            return Err(text!(
                "its supervise cannot tell when a reload is over: it is of an older version, or has started the service without a notify socket"
            ));
        }
        Ok(None)
    }

    /// Adds a service to wait for. Messages call it `dir`. `reload` says by when it is to tell that it reloads.
    pub fn add(&mut self, dir: &Path, watched: Watched, reload: Option<Limit>) {
        self.services.push(Service { dir: dir.to_path_buf(), watched, reload, told: None });
    }

    /// Notes a service that cannot be waited for. The caller has printed the reason.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// Waits. Returns whether all services are in the wanted state; for each that is not, a line has given the reason.
    pub fn wait(mut self) -> bool {
        loop {
            self.look();
            if self.services.is_empty() {
                return !self.failed;
            }
            if self.deadline.is_some_and(|deadline| deadline <= tick()) {
                self.give_up();
                return false;
            }
            self.tell();
            let limits = self.services.iter().filter_map(|service| service.reload.as_ref().and_then(Limit::deadline));
            // What is told later comes as news.
            let tell = self.tell.filter(|&tell| tell > tick());
            let deadline = limits.chain(self.deadline).chain(tell).min();
            let mut watched: Vec<&mut Watched> = self.services.iter_mut().map(|service| &mut service.watched).collect();
            self.watching.sleep(&mut watched, deadline);
        }
    }

    /// Looks at the services that may have news, and forgets those that are decided.
    fn look(&mut self) {
        let wanted = self.wanted;
        let mut services = std::mem::take(&mut self.services);
        services.retain_mut(|service| {
            let progress = match service.watched.news() {
                News::None if !service.is_due() => return true,
                News::Killed => Progress::Never(text!("supervise was killed, and no other was started")),
                News::None | News::Some => service.progress(wanted),
            };
            if let Progress::Never(why) = &progress {
                self.complain(&service.dir, why);
                self.failed = true;
            }
            matches!(progress, Progress::NotYet(_))
        });
        self.services = services;
    }

    /// Tells somebody who looks on, and has done so for a second, for which other services those wait.
    fn tell(&mut self) {
        if self.tell.is_none_or(|tell| tell > tick()) {
            return;
        }
        for service in &mut self.services {
            let awaited = service.watched.facts().ok().and_then(|facts| facts.awaited());
            if awaited != service.told {
                if let Some(awaited) = &awaited {
                    let name = self.wanted.name();
                    self.voice.say(&[
                        &"waiting for ",
                        &service.dir,
                        &" to be ",
                        &name,
                        &": it waits for ",
                        &awaited.as_str(),
                    ]);
                }
                service.told = awaited;
            }
        }
    }

    fn give_up(&mut self) {
        for mut service in std::mem::take(&mut self.services) {
            let why = match service.progress(self.wanted) {
                Progress::NotYet(state) => text!("timed out, ", state.as_str()),
                Progress::Never(why) => why,
                Progress::There => text!("timed out"),
            };
            self.complain(&service.dir, &why);
        }
    }

    fn complain(&self, dir: &Path, why: &Text) {
        let unable = text!("unable to wait for ", dir, " to be ", self.wanted.name(), ": ", why.0.as_slice());
        self.voice.warn(&unable);
    }
}

impl Service {
    /// Returns whether it may be too late for it to tell that it reloads.
    fn is_due(&self) -> bool {
        self.reload.as_ref().and_then(Limit::deadline).is_some_and(|deadline| deadline <= tick())
    }

    fn progress(&mut self, wanted: Wanted) -> Progress {
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
