//! Waits until each service is as it was told to be.

use std::ffi::OsStr;

use cli::reason;
use machine::{SECOND, Tick};
use sys::limits::{self, Resource};

use crate::service::client::{News, Suites, Watched, Watching};
use crate::service::{tick, wait};

use super::check;
use super::judge::{Progress, Seen, judge};
use super::look::{Look, look};
use super::place::Place;
use super::said::{Said, line};
use super::send::{reach, send};
use super::verb::Act;

/// The interval between two looks of runit's sv, in nanoseconds. Here only a `check` that fails is run again so often, since no event tells when it would succeed; and no wait
/// is shorter, so that even `-w 0` sees what a command does at once.
const LOOK: u64 = 420 * SECOND / 1000;

/// The services that were commanded, and are waited for.
pub struct Waiting<'a> {
    act: Act,
    deadline: Tick,
    watching: Watching,
    services: Vec<Service<'a>>,
    /// The soft limit of open files before it was raised, for the programs that are run.
    open_files: Option<u64>,
}

/// A service that is waited for.
struct Service<'a> {
    name: &'a OsStr,
    watched: Watched,
    before: Seen,
    /// When its `check`, which has failed, is run again.
    check_at: Option<Tick>,
}

impl<'a> Waiting<'a> {
    /// Begins to wait for what comes of an act, for this many seconds at most.
    pub fn begin(act: Act, seconds: u64) -> Waiting<'a> {
        let open_files = limits::get(Resource::RLIMIT_NOFILE).ok().map(|limit| limit.soft);
        wait::allow_many_files();
        let deadline = tick().after(seconds.saturating_mul(SECOND).max(LOOK));
        Waiting { act, deadline, watching: Watching::begin(), services: Vec::new(), open_files }
    }

    /// Commands the service of the current directory, and waits for it from then on.
    pub fn add(&mut self, name: &'a OsStr, said: &mut Said) {
        let Some(reached) = reach(&self.act, name, said) else { return };
        let mut watched = match self.watching.watch(reached.fifo, Suites::All) {
            Ok(watched) => watched,
            Err(why) => return said.warn(name, "unable to watch its supervise", &why.to_string()),
        };
        match watched.send(reached.letters) {
            Ok(()) => self.services.push(Service { name, watched, before: reached.before, check_at: None }),
            Err(error) => said.warn(name, "unable to write to supervise/control", &reason(&error)),
        }
    }

    /// Waits. Each service is told of as soon as it is as it was to be.
    ///
    /// # Errors
    /// If there is no way back from a service directory.
    pub fn wait(mut self, place: &Place, said: &mut Said) -> anyhow::Result<()> {
        loop {
            let is_over = self.deadline <= tick();
            let mut services = Vec::new();
            for mut service in std::mem::take(&mut self.services) {
                let is_decided = if service.has_news() || is_over {
                    place.visit(service.name, said, |said| self.decide(&mut service, is_over, said))?.unwrap_or(true)
                } else {
                    false
                };
                if !is_decided {
                    services.push(service);
                }
            }
            if services.is_empty() {
                return Ok(());
            }
            let deadline = services.iter().filter_map(|service| service.check_at).chain([self.deadline]).min();
            let mut watched: Vec<&mut Watched> = services.iter_mut().map(|service| &mut service.watched).collect();
            self.watching.sleep(&mut watched, deadline);
            self.services = services;
        }
    }

    /// Looks at the service of the current directory. Returns whether it need not be waited for any more, which was said then.
    fn decide(&self, service: &mut Service<'_>, is_over: bool, said: &mut Said) -> bool {
        let name = service.name;
        let Look::Seen(now) = look(name, self.act.exits(), said) else { return true };
        let progress = match judge(self.act.letters, &service.before, &now) {
            _ if !service.watched.was_heard() => Progress::NotYet,
            progress => progress,
        };
        let is_there = match progress {
            Progress::NotYet => false,
            Progress::There => true,
            Progress::UnlessCheckFails => check::succeeds(name, self.open_files),
        };
        service.check_at = (!is_there && progress == Progress::UnlessCheckFails).then(|| tick().after(LOOK));
        let level: &[u8] = match (is_there, self.act.kills) {
            (true, _) if self.act.exits() => {
                said.tell_not_running(name, true);
                return true;
            }
            (true, _) => b"ok: ",
            (false, _) if !is_over => return false,
            (false, true) => b"kill: ",
            (false, false) => b"timeout: ",
        };
        said.add(&[level, &line(&now.status, name, name).unwrap_or_default().0]);
        said.end_line();
        if !is_there {
            said.count();
            if self.act.kills {
                kill(name, said);
            }
        }
        true
    }
}

/// Has the service of the current directory killed.
fn kill(name: &OsStr, said: &mut Said) {
    const KILL: Act = Act { letters: b"k", waits: false, kills: false };
    if let Some(reached) = reach(&KILL, name, said) {
        send(&reached, name, said);
    }
}

impl Service<'_> {
    /// Returns whether something may have changed about it.
    fn has_news(&mut self) -> bool {
        let is_new = matches!(self.watched.news(), News::Some);
        is_new || self.watched.is_orphaned() || self.check_at.is_some_and(|at| at <= tick())
    }
}
