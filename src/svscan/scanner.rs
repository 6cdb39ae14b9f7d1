//! The loop: sleeps until something happens, takes it in, and does what that calls for. The decisions are in [`machine::scan`] and
//! [`machine::stop`].

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
use super::start::{Outcome, Starter};
use super::stop::Stopping;
use super::system::{System, Woken};
use super::upgrade::ScanState;
use crate::service::STOP;

/// The state of a running svscan.
pub struct Scanner<S: System> {
    /// The system that it runs on.
    pub system: S,
    /// The services.
    pub services: Services<S>,
    proofs: Proofs,
    starter: Starter,
    last: Last,
    /// The stop, once it has begun.
    stopping: Option<Stopping<S>>,
    /// How this svscan ends, if it is an init.
    init: Option<Init>,
}

impl<S: System> Scanner<S> {
    /// Makes a scanner that knows no service yet.
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

    /// Goes on with the services of the program that this one replaces. `is_copier` says whether a child is a copier; it is asked only if `state`
    /// does not say so.
    ///
    /// # Errors
    /// If a descriptor of the state is not open.
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
        // Children may have died after the old program last looked.
        self.hear();
        Ok(())
    }

    /// Returns the state from which another program can go on.
    fn state(&self) -> ScanState {
        let (services, others) = self.services.kept(&self.system);
        let tells_copiers = services.iter().any(|kept| kept.reader == Reader::Copier);
        ScanState { tells_copiers, services, others, ..self.system.state() }
    }

    /// Executes the new file of this program, unless svscan was told to stop: the new program would not learn of a signal that has come already.
    fn succeed(&mut self, program: &Path) {
        // Signals that come from now on wait for the new program.
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

    /// Looks at every name in the scan directory, unless the stop has begun.
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
                // A supervise must not be started again if its name was removed before it died.
                if self.stopping.is_none() {
                    self.take_changes();
                }
            }
        }
    }

    /// Does all that is due. Returns whether the stop is over.
    pub fn act(&mut self) -> bool {
        self.proofs.say_late(self.system.now(), &mut self.services.said);
        if let Some(stopping) = &mut self.stopping {
            let over = stopping.go_on(&mut self.system, &mut self.services, &mut self.proofs, &mut self.starter);
            if over {
                self.last.note_end(&mut self.system, &mut self.services, &mut self.proofs);
            }
            return over;
        }
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

    /// Looks for a supervise that has the lock, if it is known that the look returns. Otherwise the next start finds the supervise.
    fn look_for_supervise(&mut self, id: Id, role: Role) {
        let name = self.services.scan.name(id);
        if name.is_some_and(|name| self.proofs.may_look(&mut self.system, &name, &mut self.services.said)) {
            self.services.look_for_supervise(&mut self.system, id, role);
        }
    }

    /// Starts a supervise, as soon as it is known that a look at its directory returns.
    fn start(&mut self, id: Id, role: Role) {
        let Some(name) = self.services.scan.name(id).filter(|_| !self.services.scan.runs(id, role)) else {
            return;
        };
        // While the start waited for a look, its logger may have been taken away.
        if role == Role::Log && self.services.scan.pipe(id).is_none() {
            return;
        }
        if !self.proofs.may_look(&mut self.system, &name, &mut self.services.said) {
            if self.proofs.is_looked_at(&name) {
                return self.proofs.postpone(id, role);
            }
            // No child could be started.
            return self.services.scan.start_failed(self.system.now(), id, role);
        }
        // The name may lead to another directory by now, without a report of the change.
        if !self.services.is_named(&self.system, id) {
            looks::look(&mut self.system, &mut self.services, &mut self.proofs, &name);
            if self.services.scan.name(id).is_some_and(|first| first == name) {
                return self.services.scan.start_failed(self.system.now(), id, role);
            }
            // The service may still have another name.
            return self.start(id, role);
        }
        self.system.watch_only(&|known| known != id);
        let outcome = self.starter.start(&mut self.system, &mut self.services, id, role);
        // Or it leads there since a moment ago: what was found out must not be known for nothing.
        if outcome == Outcome::Failed && !self.services.is_named(&self.system, id) {
            looks::look(&mut self.system, &mut self.services, &mut self.proofs, &name);
        }
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
                    self.see_end(id, role, if code.is_some() { End::Exited } else { End::Killed });
                }
                None => {
                    match self.proofs.ended(now, pid, code, &mut self.services.said) {
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

    /// Takes note that a supervise that is not our child has ended; `place` is its place in `others`.
    fn lose(&mut self, place: usize) {
        let (id, role) = self.services.lose(self.system.now(), place);
        let Some(stopping) = &mut self.stopping else {
            return self.see_end(id, role, End::Exited);
        };
        if !self.services.may_look(&mut self.system, &mut self.proofs, id) {
            // Its record cannot be read. If it was killed, what it has left is ended with all that is left.
            return stopping.ended(id, role, End::Exited);
        }
        let left = self.services.has_exited(&self.system, id, role);
        self.see_end(id, role, if left { End::Exited } else { End::Killed });
    }

    /// Takes note that a supervise has ended. Begins the stop if svscan ends with this service.
    fn see_end(&mut self, id: Id, role: Role, end: End) {
        if let Some(stopping) = &mut self.stopping {
            stopping.ended(id, role, end);
        }
        // One that was killed has left no code. One that has exited has just written it.
        if self.init.is_none() || role == Role::Log || end == End::Killed {
            return;
        }
        // If its record cannot be read by its name now, the next supervise of an essential service exits too.
        let is_named = self.finds_by_name(id);
        if self.last.see_exit(&self.system, &self.services, id, is_named, self.stopping.is_some()) {
            self.stop();
        }
    }

    /// Returns whether the service can be looked at by its name now, and the name still leads to it.
    fn finds_by_name(&mut self, id: Id) -> bool {
        let Some(name) = self.services.scan.name(id) else {
            return false;
        };
        if !self.proofs.may_look(&mut self.system, &name, &mut self.services.said) {
            return false;
        }
        let is_named = self.services.is_named(&self.system, id);
        // What was found out must not be known for nothing.
        if !is_named && self.stopping.is_none() {
            looks::look(&mut self.system, &mut self.services, &mut self.proofs, &name);
        }
        is_named
    }

    /// Returns whether TERM or INT has come to an init since the last call.
    fn is_told_to_stop(&mut self) -> bool {
        self.init.is_some() && STOP.map(|signal| self.system.arrived(signal)) != [false; 2]
    }

    /// Obeys TERM or INT: begins the stop, or cuts it short if one of them came before.
    fn obey_stop(&mut self) {
        let now = self.system.now();
        self.stop().ask(now);
    }

    /// Begins the stop, unless it has begun, and returns it.
    fn stop(&mut self) -> &mut Stopping<S> {
        let Scanner { system, services, proofs, starter, init, .. } = self;
        self.stopping.get_or_insert_with(|| {
            let grace = init.as_ref().map_or(0, |init| init.grace);
            system.begin_stop();
            starter.end();
            Stopping::begin(system, services, proofs, grace)
        })
    }

    /// Returns the program that svscan executes when the stop is over, if it is not to exit.
    pub fn halt(&self) -> Option<&Path> {
        self.init.as_ref()?.halt.as_deref()
    }

    /// Returns the exit code of svscan when the stop is over, and says who had to be killed.
    pub fn code(&self) -> u8 {
        if let Some(stopping) = &self.stopping {
            stopping.say_late(&self.services);
        }
        self.last.code()
    }
}
