//! The loop: sleeps until something happens, takes it in, and does what that calls for. What it decides itself is in [`machine::scan`] and [`machine::stop`].

use std::path::Path;

use anyhow::Context;
use cli::text;
use machine::Pid;
use machine::scan::{Action, Id, Life, Reader, Role};
use machine::stop::End;
use sys::process::{Change, Signal};

use super::arguments::{Arguments, Init};
use super::end::Last;
use super::looks;
use super::proofs::Proofs;
use super::services::Services;
use super::start::Starter;
use super::stop::Stopping;
use super::system::{System, Woken};
use super::upgrade::ScanState;
use crate::service::STOP;

/// A svscan at work.
pub struct Scanner<S: System> {
    /// What it works on.
    pub system: S,
    /// The services.
    pub services: Services<S>,
    proofs: Proofs,
    starter: Starter,
    last: Last,
    /// The stop, once it has begun.
    stopping: Option<Stopping<S>>,
    /// Set if this is an init.
    init: Option<Init>,
}

impl<S: System> Scanner<S> {
    /// One that knows no service yet.
    pub fn new(system: S, arguments: &Arguments) -> Scanner<S> {
        Scanner {
            system,
            services: Services::new(),
            proofs: Proofs::default(),
            starter: Starter::new(arguments),
            last: Last::new(arguments.init.as_ref().and_then(|init| init.exit_with.clone())),
            stopping: None,
            init: arguments.init.clone(),
        }
    }

    /// Goes on with the services of the program that this one replaces. `is_copier` tells of one that has left it out which of its children are copiers.
    ///
    /// # Errors
    /// If a descriptor is not there.
    pub fn go_on(&mut self, state: ScanState, prefix: bool, is_copier: impl Fn(Pid) -> bool) -> anyhow::Result<()> {
        let mut services = state.services;
        if prefix && !state.tells_copiers {
            let is_copier = |life| matches!(life, Life::Child(pid) if is_copier(pid));
            for kept in services.iter_mut().filter(|kept| is_copier(kept.log.life)) {
                kept.reader = Reader::Copier;
            }
        }
        self.services
            .restore(&mut self.system, services, state.others)
            .with_context(|| text!("unable to go on from what was handed over"))?;
        log::info!("going on as version {}", env!("CARGO_PKG_VERSION"));
        // Deaths of which the old program was not told any more.
        self.hear();
        Ok(())
    }

    /// What another program needs to go on from here.
    fn state(&self) -> ScanState {
        let (services, others) = self.services.kept(&self.system);
        let tells_copiers = services.iter().any(|kept| kept.reader == Reader::Copier);
        ScanState { tells_copiers, services, others, ..self.system.state() }
    }

    /// Becomes the new file of this program, unless svscan was told to stop: of a signal that has come already the new program would not hear.
    fn succeed(&mut self, program: &Path) {
        // What comes from now on waits for the new program.
        self.system.hold_signals(true);
        if self.is_told_to_stop() {
            self.obey_stop();
        } else {
            let state = self.state().encode();
            let Services { scan, others, .. } = &self.services;
            let pipes: Vec<&S::Pipe> = scan.kept().filter_map(|kept| kept.pipe).collect();
            self.system.succeed(program, &state, &pipes, others);
        }
        self.system.hold_signals(false);
    }

    /// Looks at every name, unless the stop has begun.
    pub fn rescan(&mut self) {
        if self.stopping.is_none() {
            looks::rescan(&mut self.system, &mut self.services, &mut self.proofs);
        }
    }

    fn take_changes(&mut self) {
        looks::take_changes(&mut self.system, &mut self.services, &mut self.proofs);
    }

    /// Sleeps until something happens, and takes it in.
    pub fn wait(&mut self) {
        let Services { scan, others, .. } = &self.services;
        self.system.watch_only(&|id| scan.is_filling(id));
        let own = match &self.stopping {
            Some(stopping) => stopping.deadline(),
            None => scan.deadline(),
        };
        let deadline = [own, self.proofs.deadline(self.system.now())].into_iter().flatten().min();
        match self.system.wait(others, self.stopping.is_none(), deadline) {
            Ok(Woken { signalled, changed, ended }) => {
                self.services.said.over("poll");
                for place in ended.into_iter().rev() {
                    self.lose(place);
                }
                if signalled {
                    self.hear();
                }
                if changed && self.stopping.is_none() {
                    self.take_changes();
                }
            }
            Err(error) => {
                self.services.said.warning("poll", text!("unable to wait, trying again in a second"), &error);
                self.system.rest();
                self.hear();
                // A supervise is not started again when its name has gone before it.
                if self.stopping.is_none() {
                    self.take_changes();
                }
            }
        }
    }

    /// Does all that is due. Returns whether a stop is over.
    pub fn act(&mut self) -> bool {
        if let Some(stopping) = &mut self.stopping {
            return stopping.go_on(&mut self.system, &mut self.services, &mut self.starter);
        }
        self.proofs.say_late(self.system.now(), &mut self.services.said);
        for (id, role) in self.proofs.postponed() {
            self.start(id, role);
        }
        while let Some(action) = self.services.scan.next(self.system.now()) {
            match action {
                Action::Rescan => self.rescan(),
                Action::Start(id, role) => self.start(id, role),
                Action::Look(id, role) => self.look_for_supervise(id, role),
                Action::Release(id, logger) => self.services.release(&mut self.system, id, logger),
            }
        }
        false
    }

    /// Looks for a supervise that has the lock, if it is known that such a look comes back. If not, the next start finds it.
    fn look_for_supervise(&mut self, id: Id, role: Role) {
        let name = self.services.scan.name(id);
        if name.is_some_and(|name| self.proofs.may_look(&mut self.system, &name, &mut self.services.said)) {
            self.services.look_for_supervise(&mut self.system, id, role);
        }
    }

    /// Starts a supervise, as soon as it is known that a look at its directory comes back.
    fn start(&mut self, id: Id, role: Role) {
        let Some(name) = self.services.scan.name(id).filter(|_| !self.services.scan.runs(id, role)) else {
            return;
        };
        // One that has waited for a look may be for a logger that is not wanted any more.
        if role == Role::Log && self.services.scan.pipe(id).is_none() {
            return;
        }
        if !self.proofs.may_look(&mut self.system, &name, &mut self.services.said) {
            if self.proofs.is_looked_at(&name) {
                return self.proofs.postpone(id, role);
            }
            // There could be no child.
            return self.services.scan.start_failed(self.system.now(), id, role);
        }
        // It may lead to another directory by now, without a word.
        if !self.services.is_named(&self.system, id) {
            looks::look(&mut self.system, &mut self.services, &mut self.proofs, &name);
            if self.services.scan.name(id).is_some_and(|first| first == name) {
                return self.services.scan.start_failed(self.system.now(), id, role);
            }
            // By another name it may be there still.
            return self.start(id, role);
        }
        self.system.watch_only(&|known| known != id);
        self.starter.start(&mut self.system, &mut self.services, id, role);
    }

    fn hear(&mut self) {
        self.system.drain();
        let (mut successor, mut proved) = (None, Vec::new());
        while let Some((pid, change)) = self.system.reap() {
            let code = match change {
                Change::Exited(code) => Some(code),
                Change::Killed(_) => None,
                Change::Stopped | Change::Continued => continue,
            };
            let now = self.system.now();
            match self.services.scan.died(now, pid, code) {
                Some((id, role)) => {
                    log::info!("{}: supervise pid {} {change}", self.services.describe(id, role), pid.0);
                    self.see_end(id, role, if code.is_some() { End::Left } else { End::Killed });
                }
                None => {
                    match self.proofs.ended(now, pid, code.is_some(), &mut self.services.said) {
                        Some((name, true)) => proved.push(name),
                        Some((_, false)) => self.services.scan.rescan_later(now),
                        None => {}
                    }
                    successor = self.system.hear_answer(pid, change).or(successor);
                    if let Some(stopping) = &mut self.stopping {
                        stopping.orphan_ended();
                    }
                }
            }
        }
        if self.is_told_to_stop() {
            self.obey_stop();
        }
        if let Some(program) = successor.filter(|_| self.stopping.is_none()) {
            self.succeed(&program);
        }
        if self.stopping.is_some() {
            return;
        }
        for name in proved {
            looks::look(&mut self.system, &mut self.services, &mut self.proofs, &name);
        }
        if self.system.arrived(Signal::SIGUSR2) {
            log::info!("USR2: looking for a new svscan");
            self.system.ask_successor(&self.state().encode());
        }
        if self.system.arrived(Signal::SIGHUP) {
            log::info!("HUP: looking at everything");
            self.rescan();
        }
    }

    /// A supervise that is no child of ours has ended.
    fn lose(&mut self, place: usize) {
        let (id, role) = self.services.lose(self.system.now(), place);
        let left = self.stopping.is_none() || self.services.has_left(&self.system, id, role);
        self.see_end(id, role, if left { End::Left } else { End::Killed });
    }

    /// A supervise ended.
    fn see_end(&mut self, id: Id, role: Role, end: End) {
        if let Some(stopping) = &mut self.stopping {
            stopping.ended(id, role, end);
        }
        if self.last.see_end(&self.system, id, role, self.stopping.is_some()) {
            self.stop();
        }
    }

    /// Whether TERM or INT has come since this was asked.
    fn is_told_to_stop(&mut self) -> bool {
        self.init.is_some() && STOP.map(|signal| self.system.arrived(signal)) != [false; 2]
    }

    /// TERM or INT came: begins the stop, or cuts it short if one of them came before.
    fn obey_stop(&mut self) {
        let now = self.system.now();
        self.stop().ask(now);
    }

    /// Begins the stop, unless it has begun.
    fn stop(&mut self) -> &mut Stopping<S> {
        let Scanner { system, services, starter, init, .. } = self;
        self.stopping.get_or_insert_with(|| {
            let grace = init.as_ref().map_or(0, |init| init.grace);
            system.begin_stop();
            starter.end();
            Stopping::begin(system, services, grace)
        })
    }

    /// What it becomes when the stop is over, instead of ending.
    pub fn halt(&self) -> Option<&Path> {
        self.init.as_ref()?.halt.as_deref()
    }

    /// What svscan ends with, when the stop is over.
    pub fn code(&self) -> u8 {
        if let Some(stopping) = &self.stopping {
            stopping.say_late(&self.services);
        }
        self.last.code()
    }
}
