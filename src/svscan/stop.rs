//! The orderly stop of `svscan --init`: what the machine decides, done to supervises and processes.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use cli::text;
use machine::scan::{Id, Reader, Role};
use machine::stop::{Action, End, Found, Order, Running, Stop};
use machine::{Pid, Tick};
use svdir::{Command, names};
use sys::process::Signal;
use sys::{fd, process};

use super::arguments::VOICE;
use super::leftovers::{Sessions, Spared};
use super::said::subject;
use super::services::Services;
use super::start::{Outcome, Starter};
use crate::service::processes::{kill, kill_descendants, own};
use crate::service::{files, record, tick};

/// A stop that has begun.
pub struct Stopping {
    stop: Stop,
    /// Control FIFOs with letters that nobody may have read yet, and which last only as long as the FIFO is open.
    told: Vec<(Id, Role, File)>,
    /// Those of the services.
    sessions: Sessions,
}

impl Stopping {
    /// Begins, with `grace` nanoseconds for what ends by itself.
    pub fn begin(services: &mut Services, grace: u64) -> Stopping {
        log::info!("stopping");
        // A supervise that none of ours has found yet, since it was started by another svscan, is looked for.
        let ids: Vec<Id> = services.scan.kept().map(|kept| kept.id).collect();
        let mut find = |id| Running { id, main: find(services, id, Role::Main), log: find(services, id, Role::Log) };
        let running: Vec<Running> = ids.into_iter().map(&mut find).collect();
        Stopping { stop: Stop::new(tick(), grace, running), told: Vec::new(), sessions: sessions(services) }
    }

    /// TERM or INT came.
    pub fn ask(&mut self) {
        self.stop.ask(tick());
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
    pub fn go_on(&mut self, services: &mut Services, starter: &mut Starter) -> bool {
        while let Some(action) = self.stop.next(tick()) {
            match action {
                Action::Tell(id, role, order) => self.tell(services, id, role, order),
                Action::Close(id) => self.stop.closed(id, close_pipe(services, id)),
                Action::Start(id, role) => match starter.start(services, id, role) {
                    Outcome::Runs => self.stop.started(id, role),
                    Outcome::Failed => self.stop.start_failed(id, role),
                },
                Action::EndLeftovers => self.signal_services(services, Signal::SIGTERM),
                Action::KillServices => self.signal_services(services, Signal::SIGKILL),
                Action::KillAll => kill_all(services),
            }
        }
        self.stop.is_over()
    }

    /// It is over: says who had to be killed.
    pub fn say_late(&self, services: &Services) {
        let Some(late) = self.stop.late() else {
            return;
        };
        let late: Vec<OsString> =
            late.iter().filter_map(|&(id, role)| services.named(id, role)).map(Into::into).collect();
        let of = if late.is_empty() { "" } else { ": " };
        VOICE.warn(&text!("the stop took too long, and what was left was killed", of, late.join(OsStr::new(", "))));
    }

    fn tell(&mut self, services: &mut Services, id: Id, role: Role, order: Order) {
        let letters: &[Command] = match order {
            Order::Down => &[Command::Down, Command::Exit],
            Order::Kill => &[Command::Down, Command::Kill, Command::Exit],
            Order::Exit => &[Command::Exit],
            Order::Drain => &[Command::Once, Command::Exit],
        };
        let letters: Vec<u8> = letters.iter().map(|letter| letter.letter()).collect();
        // A copier ends by itself when it comes to the end of file.
        let copier = role == Role::Log && services.scan.reader(id) == Reader::Copier;
        let Some(dir) = services.directory_of(id, role).filter(|_| !copier) else {
            return;
        };
        log::debug!("{}: {order:?}", dir.display());
        match tell(&dir, &letters) {
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

    /// Signals all services, and what they have left behind.
    fn signal_services(&self, services: &Services, signal: Signal) {
        let of = |role| services.supervises().filter(move |&(_, as_what, _)| as_what == role).map(|(.., pid)| pid);
        let spared = Spared {
            mains: of(Role::Main).collect(),
            loggers: of(Role::Log).collect(),
            pipes: services.pipes().collect(),
        };
        spared.signal_others(&self.sessions, signal);
    }
}

fn find(services: &mut Services, id: Id, role: Role) -> Found {
    if services.scan.runs(id, role) {
        return Found::Runs;
    }
    let Some(dir) = services.directory_of(id, role) else {
        return Found::Nothing;
    };
    services.look_for_supervise(id, role);
    if services.scan.runs(id, role) {
        Found::Runs
    } else if record::was_left_behind(&dir) {
        Found::LeftBehind
    } else {
        Found::Nothing
    }
}

/// The sessions of all services with a log pipe.
fn sessions(services: &Services) -> Sessions {
    let mut sessions = Sessions::default();
    for kept in services.scan.kept().filter(|kept| kept.pipe.is_some()) {
        let dir = services.directory_of(kept.id, Role::Main);
        sessions.add(kept.main.life.pid(), dir.as_deref());
    }
    sessions
}

/// Closes the write end. Returns whether there is anything to read.
fn close_pipe(services: &mut Services, id: Id) -> bool {
    let Some(pipe) = services.scan.pipe(id) else {
        return false;
    };
    pipe.close_writer();
    fd::has_unread(pipe.reader())
}

/// Kills whatever is left.
fn kill_all(services: &Services) {
    let supervises: Vec<Pid> = services.supervises().map(|(.., pid)| pid).collect();
    kill_descendants();
    kill(&supervises);
    if own() == Pid(1) {
        process::kill_everything();
    }
}

/// Writes letters to the supervise of `dir`. One that was started a moment ago may not read its FIFO yet, or may not even have made it: then it
/// is made here, and returned, since letters last only as long as somebody has it open.
fn tell(dir: &Path, letters: &[u8]) -> io::Result<Option<File>> {
    let path = files::of(dir, names::CONTROL);
    let absent = |error: &io::Error| matches!(error.raw_os_error(), Some(sys::ENOENT | fd::NO_READER));
    let (control, kept) = match fd::open_write(&path) {
        Ok(control) => (control, false),
        Err(error) if absent(&error) => {
            use std::os::unix::fs::DirBuilderExt;
            // That these are there already is as good; whatever else is wrong shows when it is opened.
            let _ = std::fs::DirBuilder::new().mode(0o700).create(files::of(dir, names::SUPERVISE));
            let _ = fd::make_fifo(&path);
            (fd::open_read_write(&path)?, true)
        }
        Err(error) => return Err(error),
    };
    if !fd::is_fifo(&control)? {
        return Err(io::Error::other("not a FIFO"));
    }
    fd::write(control.as_fd(), letters)?;
    Ok(kept.then_some(control))
}
