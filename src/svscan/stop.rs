//! The orderly stop of `svscan --init`: carries out the decisions of [`machine::stop`].

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use cli::text;
use machine::scan::{Id, Reader, Role};
use machine::stop::{Action, End, Found, Order, Running, Stop};
use machine::{Pid, Tick};
use svdir::{Command, names};
use sys::process::Signal;

use super::arguments::VOICE;
use super::leftovers::Spared;
use super::needs::Asked;
use super::proofs::Proofs;
use super::services::Services;
use super::start::{Outcome, Starter};
use super::subjects::subject;
use super::system::{Known, System};
use crate::service::files;

/// A stop that has begun.
pub struct Stopping<S: System> {
    stop: Stop,
    /// Control FIFOs with letters that may not have been read yet. The letters last only as long as the FIFO is open.
    told: Vec<Known<S::Fifo>>,
    /// What waits until it is known that a look at the service's directory returns.
    waiting: Vec<Action>,
    /// What the services need, until the stop was told that.
    asked: Option<Asked>,
}

impl<S: System> Stopping<S> {
    /// Begins the stop. What has not ended by itself after `grace` nanoseconds is killed.
    pub fn begin(system: &mut S, services: &mut Services<S>, proofs: &mut Proofs, grace: u64) -> Stopping<S> {
        log::info!("stopping");
        // Another svscan may have started supervises that this one has not found yet.
        let ids: Vec<Id> = services.scan.kept().map(|kept| kept.id).collect();
        let looked: BTreeSet<Id> = ids.iter().copied().filter(|&id| services.may_look(system, proofs, id)).collect();
        let mut find = |id| {
            let [main, log] =
                [Role::Main, Role::Log].map(|role| find(system, services, id, role, looked.contains(&id)));
            Running { id, main, log }
        };
        let running: Vec<Running> = ids.iter().copied().map(&mut find).collect();
        remember_sessions(system, services, &looked);
        let stop = Stop::new(system.now(), grace, running);
        let asked = Some(Asked::new(system, services, &ids, &looked));
        Stopping { stop, told: Vec::new(), waiting: Vec::new(), asked }
    }

    /// Takes note that TERM or INT has come. The second one cuts the stop short.
    pub fn ask(&mut self, now: Tick) {
        self.stop.ask(now);
    }

    /// Returns the time at which the stop next has something to do by itself.
    pub fn deadline(&self) -> Option<Tick> {
        self.stop.deadline()
    }

    /// Takes note that a supervise has ended, and how.
    pub fn ended(&mut self, id: Id, role: Role, end: End) {
        self.told.retain(|&(told, as_what, _)| (told, as_what) != (id, role));
        self.waiting
            .retain(|action| !matches!(*action, Action::Tell(told, as_what, _) if (told, as_what) == (id, role)));
        self.stop.ended(id, role, end);
    }

    /// Takes note that a child has ended that is neither a supervise nor a copier.
    pub fn orphan_ended(&mut self) {
        self.stop.orphan_ended();
    }

    /// Does all that is due. Returns whether the stop is over.
    pub fn go_on(
        &mut self,
        system: &mut S,
        services: &mut Services<S>,
        proofs: &mut Proofs,
        starter: &mut Starter,
    ) -> bool {
        if self.asked.as_mut().is_some_and(|asked| asked.is_answered(system, services, proofs)) {
            self.order();
        }
        for action in std::mem::take(&mut self.waiting) {
            self.act(system, services, proofs, starter, action);
        }
        while let Some(action) = self.stop.next(system.now()) {
            self.act(system, services, proofs, starter, action);
        }
        self.stop.is_over()
    }

    fn act(
        &mut self,
        system: &mut S,
        services: &mut Services<S>,
        proofs: &mut Proofs,
        starter: &mut Starter,
        action: Action,
    ) {
        match action {
            Action::Order => self.order(),
            Action::Tell(id, ..) | Action::Start(id, _) if !services.may_look(system, proofs, id) => {
                self.waiting.push(action);
            }
            Action::Tell(id, role, order) => self.tell(system, services, id, role, order),
            Action::Close(id) => self.stop.closed(id, close_pipe(system, services, id)),
            // Another directory has the name now, and must not be started.
            Action::Start(id, role) if !services.is_named(system, id) => self.stop.start_failed(id, role),
            Action::Start(id, role) => match starter.start(system, services, id, role) {
                Outcome::Runs => self.stop.started(id, role),
                Outcome::Failed => self.stop.start_failed(id, role),
            },
            Action::EndLeftovers => signal_services(system, services, Signal::SIGTERM),
            Action::KillServices => signal_services(system, services, Signal::SIGKILL),
            Action::KillAll => kill_all(system, services),
        }
    }

    /// Tells the stop what is known of the needs of the services.
    fn order(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.stop.order(asked.known());
        }
    }

    /// Warns about the services that had to be killed. Call it when the stop is over.
    pub fn say_late(&self, services: &Services<S>) {
        let Some(late) = self.stop.late() else {
            return;
        };
        let late: Vec<OsString> =
            late.iter().filter_map(|&(id, role)| services.named(id, role)).map(Into::into).collect();
        let of = if late.is_empty() { "" } else { ": " };
        VOICE.warn(&text!("the stop took too long, and what was left was killed", of, late.join(OsStr::new(", "))));
    }

    fn tell(&mut self, system: &mut S, services: &mut Services<S>, id: Id, role: Role, order: Order) {
        let letters: &[Command] = match order {
            Order::Down => &[Command::Down, Command::Exit],
            Order::Kill => &[Command::Down, Command::Kill, Command::Exit],
            Order::Exit => &[Command::Exit],
            Order::Drain => &[Command::Once, Command::Exit],
        };
        let letters: Vec<u8> = letters.iter().map(|letter| letter.letter()).collect();
        // A copier ends by itself at the end of file.
        let copier = role == Role::Log && services.scan.reader(id) == Reader::Copier;
        let Some(dir) = services.directory_of(system, id, role).filter(|_| !copier) else {
            return;
        };
        log::debug!("{}: {order:?}", dir.display());
        match system.tell(&dir, &letters) {
            Ok(control) => {
                services.said.over(subject(b"tell", dir.as_os_str()));
                self.told.extend(control.map(|control| (id, role, control)));
            }
            Err(error) => {
                let text = text!("unable to write ", files::of(&dir, names::CONTROL));
                services.said.warning(subject(b"tell", dir.as_os_str()), text, &error);
            }
        }
    }
}

/// Signals all services, and the processes that they have left behind.
fn signal_services<S: System>(system: &mut S, services: &Services<S>, signal: Signal) {
    let of = |role| services.supervises().filter(move |&(_, as_what, _)| as_what == role).map(|(.., pid)| pid);
    let spared = Spared {
        mains: of(Role::Main).collect(),
        loggers: of(Role::Log).collect(),
        pipes: services.pipes(system).collect(),
    };
    system.signal_leftovers(&spared, signal);
}

/// Finds out whether a supervise runs. Where svscan may not look, only one that it knows of is found.
fn find<S: System>(system: &mut S, services: &mut Services<S>, id: Id, role: Role, may_look: bool) -> Found {
    if services.scan.runs(id, role) {
        return Found::Runs;
    }
    let Some(dir) = may_look.then(|| services.directory_of(system, id, role)).flatten() else {
        return Found::Nothing;
    };
    services.look_for_supervise(system, id, role);
    if services.scan.runs(id, role) {
        Found::Runs
    } else if system.was_left_behind(&dir) {
        Found::LeftBehind
    } else {
        Found::Nothing
    }
}

/// Remembers the sessions of all services with a log pipe: that of the supervise and, where svscan may look, that of the service.
fn remember_sessions<S: System>(system: &mut S, services: &Services<S>, looked: &BTreeSet<Id>) {
    for kept in services.scan.kept().filter(|kept| kept.pipe.is_some()) {
        let may_look = looked.contains(&kept.id);
        let dir = may_look.then(|| services.directory_of(system, kept.id, Role::Main)).flatten();
        system.remember_session(kept.main.life.pid(), dir.as_deref());
    }
}

/// Closes the write end of a service's log pipe. Returns whether the pipe holds anything unread.
fn close_pipe<S: System>(system: &mut S, services: &mut Services<S>, id: Id) -> bool {
    let Some(pipe) = services.scan.pipe(id) else {
        return false;
    };
    system.close_writer(pipe);
    system.has_unread(pipe)
}

/// Kills all processes that are left, supervises too.
fn kill_all<S: System>(system: &mut S, services: &Services<S>) {
    let supervises: Vec<Pid> = services.supervises().map(|(.., pid)| pid).collect();
    system.kill_all(&supervises);
}
