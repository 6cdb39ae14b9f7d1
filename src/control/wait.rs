//! `svc --wait`: waits until services are in the wanted state. [`client`](crate::service::client) collects the news, [`machine::wait`]
//! decides what it means.

use std::fs::File;
use std::path::{Path, PathBuf};

use cli::{Text, Voice, text};
use machine::Tick;
use machine::wait::{Verdict, Wanted};

use crate::service::client::{News, Watched, Watching};
use crate::service::tick;

/// All services that are waited for.
pub struct Waiting {
    voice: Voice,
    wanted: Wanted,
    deadline: Option<Tick>,
    watching: Watching,
    services: Vec<Service>,
    /// Some service cannot get to the wanted state.
    failed: bool,
}

/// One service that is not in the wanted state yet.
struct Service {
    /// The directory as the operator typed it, for messages only: a bare name may lead elsewhere.
    dir: PathBuf,
    watched: Watched,
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
        Waiting { voice, wanted, deadline, watching: Watching::begin(), services: Vec::new(), failed: false }
    }

    /// Watches the service of the current directory, before anything is sent to its supervise. `fifo` is the write end of one of its FIFOs.
    ///
    /// # Errors
    /// A text for the user, if the supervise there cannot be waited for.
    pub fn watch(&self, fifo: File) -> Result<Watched, Text> {
        self.watching.watch(fifo)
    }

    /// Adds a service to wait for. Messages call it `dir`.
    pub fn add(&mut self, dir: &Path, watched: Watched) {
        self.services.push(Service { dir: dir.to_path_buf(), watched });
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
            let mut watched: Vec<&mut Watched> = self.services.iter_mut().map(|service| &mut service.watched).collect();
            self.watching.sleep(&mut watched, self.deadline);
        }
    }

    /// Looks at the services that may have news, and forgets those that are decided.
    fn look(&mut self) {
        let wanted = self.wanted;
        let mut services = std::mem::take(&mut self.services);
        services.retain_mut(|service| {
            let progress = match service.watched.news() {
                News::None => return true,
                News::Killed => Progress::Never(text!("supervise was killed, and no other was started")),
                News::Some => service.progress(wanted),
            };
            if let Progress::Never(why) = &progress {
                self.complain(&service.dir, why);
                self.failed = true;
            }
            matches!(progress, Progress::NotYet(_))
        });
        self.services = services;
    }

    fn give_up(&self) {
        for service in &self.services {
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
    fn progress(&self, wanted: Wanted) -> Progress {
        let facts = match self.watched.facts() {
            Ok(facts) => facts,
            Err(why) => return Progress::Never(why),
        };
        if !self.watched.was_heard() {
            return Progress::NotYet("its supervise has not obeyed yet".to_owned());
        }
        match facts.judge(wanted, self.watched.commanded()) {
            Verdict::There => Progress::There,
            Verdict::NotYet => Progress::NotYet(facts.clause(wanted)),
            Verdict::Never if facts.has_exited() => Progress::Never(text!("supervise has exited")),
            Verdict::Never => Progress::Never(text!(facts.clause(wanted).as_str())),
        }
    }
}
