//! The orderly stop of `svscan --init`: what the machine decides, done to supervises and processes.

use std::ffi::{OsStr, OsString};

use cli::text;
use machine::scan::{Id, Reader, Role};
use machine::stop::{Action, End, Found, Order, Running, Stop};
use machine::{Pid, Tick};
use svdir::{Command, names};
use sys::process::Signal;

use super::arguments::VOICE;
use super::leftovers::Spared;
use super::said::subject;
use super::services::Services;
use super::start::{Outcome, Starter};
use super::system::{Known, System};
use crate::service::files;

/// A stop that has begun.
pub struct Stopping<S: System> {
    stop: Stop,
    /// Control FIFOs with letters that nobody may have read yet, and which last only as long as the FIFO is open.
    told: Vec<Known<S::Fifo>>,
}

impl<S: System> Stopping<S> {
    /// Begins, with `grace` nanoseconds for what ends by itself.
    pub fn begin(system: &mut S, services: &mut Services<S>, grace: u64) -> Stopping<S> {
        log::info!("stopping");
        // A supervise that none of ours has found yet, since it was started by another svscan, is looked for.
        let ids: Vec<Id> = services.scan.kept().map(|kept| kept.id).collect();
        let mut find = |id| {
            let [main, log] = [Role::Main, Role::Log].map(|role| find(system, services, id, role));
            Running { id, main, log }
        };
        let running: Vec<Running> = ids.into_iter().map(&mut find).collect();
        remember_sessions(system, services);
        Stopping { stop: Stop::new(system.now(), grace, running), told: Vec::new() }
    }

    /// TERM or INT came.
    pub fn ask(&mut self, now: Tick) {
        self.stop.ask(now);
    }

    /// When it has something to do by itself.
    pub fn deadline(&self) -> Option<Tick> {
        self.stop.deadline()
    }

    /// A supervise ended in one of the two ways.
    pub fn ended(&mut self, id: Id, role: Role, end: End) {
        self.told.retain(|&(told, as_what, _)| (told, as_what) != (id, role));
        self.stop.ended(id, role, end);
    }

    /// A process ended that is none of ours.
    pub fn orphan_ended(&mut self) {
        self.stop.orphan_ended();
    }

    /// Does what the stop asks for. Returns whether it is over.
    pub fn go_on(&mut self, system: &mut S, services: &mut Services<S>, starter: &mut Starter) -> bool {
        while let Some(action) = self.stop.next(system.now()) {
            match action {
                Action::Tell(id, role, order) => self.tell(system, services, id, role, order),
                Action::Close(id) => self.stop.closed(id, close_pipe(system, services, id)),
                // What has got its name meanwhile is not to be started.
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
        self.stop.is_over()
    }

    /// It is over: says who had to be killed.
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
        // A copier ends by itself when it comes to the end of file.
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

/// Signals all services, and what they have left behind.
fn signal_services<S: System>(system: &mut S, services: &Services<S>, signal: Signal) {
    let of = |role| services.supervises().filter(move |&(_, as_what, _)| as_what == role).map(|(.., pid)| pid);
    let spared = Spared {
        mains: of(Role::Main).collect(),
        loggers: of(Role::Log).collect(),
        pipes: services.pipes(system).collect(),
    };
    system.signal_leftovers(&spared, signal);
}

fn find<S: System>(system: &mut S, services: &mut Services<S>, id: Id, role: Role) -> Found {
    if services.scan.runs(id, role) {
        return Found::Runs;
    }
    let Some(dir) = services.directory_of(system, id, role) else {
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

/// Remembers the sessions of all services with a log pipe.
fn remember_sessions<S: System>(system: &mut S, services: &Services<S>) {
    for kept in services.scan.kept().filter(|kept| kept.pipe.is_some()) {
        let dir = services.directory_of(system, kept.id, Role::Main);
        system.remember_session(kept.main.life.pid(), dir.as_deref());
    }
}

/// Closes the write end. Returns whether there is anything to read.
fn close_pipe<S: System>(system: &mut S, services: &mut Services<S>, id: Id) -> bool {
    let Some(pipe) = services.scan.pipe(id) else {
        return false;
    };
    system.close_writer(pipe);
    system.has_unread(pipe)
}

/// Kills whatever is left.
fn kill_all<S: System>(system: &mut S, services: &Services<S>) {
    let supervises: Vec<Pid> = services.supervises().map(|(.., pid)| pid).collect();
    system.kill_all(&supervises);
}
