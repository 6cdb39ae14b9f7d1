//! `svc --wait`: waits until services are in the wanted state. [`Awaited`] is how far each of them is.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use cli::{Text, Voice, text};
use machine::wait::Wanted;
use machine::{SECOND, Tick};

use crate::service::client::{Watched, Watching};
use crate::service::tick;
use crate::service::wait::{Awaited, Progress};

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
    awaited: Awaited,
    /// The other service for which it waits, as far as that was told.
    told: Option<String>,
}

impl Waiting {
    /// Begins without any service. The wait ends after `timeout` nanoseconds; never if `None`.
    pub fn new(voice: Voice, wanted: Wanted, timeout: Option<u64>) -> Waiting {
        let deadline = timeout.map(|timeout| tick().after(timeout));
        let tell = std::io::stderr().is_terminal().then(|| tick().after(SECOND));
        Waiting { voice, wanted, deadline, watching: Watching::begin(), services: Vec::new(), failed: false, tell }
    }

    /// Sends letters to the supervise of the current directory, and waits for that service from then on; messages call it `dir`. `fifo` is the write end of one of its FIFOs.
    ///
    /// # Errors
    /// The outer one is a text for the user, if the supervise there cannot be waited for: then nothing was sent. The inner one is that of the sending.
    pub fn send(&mut self, dir: &Path, fifo: File, letters: &[u8]) -> Result<io::Result<()>, Text> {
        let mut awaited = Awaited::of_here(&self.watching, fifo, self.wanted)?;
        awaited.prepare(letters)?;
        let sent = awaited.send(letters);
        if sent.is_ok() {
            self.services.push(Service { dir: dir.to_path_buf(), awaited, told: None });
        }
        Ok(sent)
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
            let limits = self.services.iter().filter_map(|service| service.awaited.deadline());
            // What is told later comes as news.
            let tell = self.tell.filter(|&tell| tell > tick());
            let deadline = limits.chain(self.deadline).chain(tell).min();
            let mut watched: Vec<&mut Watched> =
                self.services.iter_mut().map(|service| service.awaited.watched()).collect();
            self.watching.sleep(&mut watched, deadline);
        }
    }

    /// Looks at the services that may have news, and forgets those that are decided.
    fn look(&mut self) {
        let mut services = std::mem::take(&mut self.services);
        services.retain_mut(|service| {
            let Some(progress) = service.awaited.news() else { return true };
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
            let awaited = service.awaited.facts().ok().and_then(|facts| facts.awaited());
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
            let why = match service.awaited.progress() {
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
