//! The orderly stop of `svscan --init`: what the machine decides, done to supervises and processes.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cli::text;
use machine::Pid;
use machine::scan::{Id, Kept, Role};
use machine::stop::{Action, End, Found, Order, Running, Stop};
use svdir::{Command, names};
use sys::process::Signal;
use sys::{fd, process};

use super::arguments::VOICE;
use super::leftovers::{Sessions, Spared};
use super::{Scanner, end, subject};
use crate::service::log_pipe::LogPipe;
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
    /// When it has something to do by itself.
    pub fn deadline(&self) -> Option<machine::Tick> {
        self.stop.deadline()
    }

    /// A process ended that is none of ours.
    pub fn orphan_ended(&mut self) {
        self.stop.orphan_ended();
    }
}

impl Scanner {
    /// TERM or INT came: begins the stop, or cuts it short if one of them came before.
    pub fn obey_stop(&mut self) {
        self.stop();
        self.note(|stop| stop.ask(tick()));
    }

    /// Begins the stop, unless it has begun.
    pub fn stop(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        log::info!("stopping");
        self.spare = None;
        let grace = self.init.as_ref().map_or(0, |init| init.grace);
        let services = self.find_running();
        let sessions = self.sessions();
        self.stopping = Some(Stopping { stop: Stop::new(tick(), grace, services), told: Vec::new(), sessions });
        self.directory.unwatch();
    }

    /// What runs. A supervise that none of ours has found yet, since it was started by another svscan, is looked for.
    fn find_running(&mut self) -> Vec<Running> {
        let ids: Vec<Id> = self.scan.kept().map(|kept| kept.id).collect();
        let find = |id| Running { id, main: self.find(id, Role::Main), log: self.find(id, Role::Log) };
        ids.into_iter().map(find).collect()
    }

    fn find(&mut self, id: Id, role: Role) -> Found {
        if self.scan.runs(id, role) {
            return Found::Runs;
        }
        let Some(dir) = self.directory_of(id, role) else {
            return Found::Nothing;
        };
        self.look_for_supervise(id, role);
        if self.scan.runs(id, role) {
            Found::Runs
        } else if record::was_left_behind(&dir) {
            Found::LeftBehind
        } else {
            Found::Nothing
        }
    }

    /// Does what the stop asks for. Returns whether it is over.
    pub fn go_on_stopping(&mut self) -> bool {
        while let Some(action) = self.stopping.as_mut().and_then(|stopping| stopping.stop.next(tick())) {
            match action {
                Action::Tell(id, role, order) => self.tell(id, role, order),
                Action::Close(id) => {
                    let unread = self.close_pipe(id);
                    self.note(|stop| stop.closed(id, unread));
                }
                Action::Start(id, role) if self.scan.name(id).is_none() => {
                    self.note(|stop| stop.start_failed(id, role))
                }
                Action::Start(id, Role::Main) => self.start_main(id),
                Action::Start(id, Role::Log) => self.start_log(id),
                Action::EndLeftovers => self.signal_services(Signal::SIGTERM),
                Action::KillServices => self.signal_services(Signal::SIGKILL),
                Action::KillAll => self.kill_all(),
            }
        }
        self.stopping.as_ref().is_some_and(|stopping| stopping.stop.is_over())
    }

    /// Lets the machine know, if a stop has begun.
    pub fn note(&mut self, event: impl FnOnce(&mut Stop)) {
        if let Some(stopping) = &mut self.stopping {
            event(&mut stopping.stop);
        }
    }

    /// A supervise ended in one of the two ways.
    pub fn note_end(&mut self, id: Id, role: Role, end: End) {
        if let Some(stopping) = &mut self.stopping {
            stopping.told.retain(|&(told, as_what, _)| (told, as_what) != (id, role));
            stopping.stop.ended(id, role, end);
        }
    }

    /// Closes the write end. Returns whether there is anything to read.
    fn close_pipe(&mut self, id: Id) -> bool {
        let Some(pipe) = self.scan.pipe(id) else {
            return false;
        };
        pipe.close_writer();
        fd::has_unread(pipe.reader())
    }

    fn tell(&mut self, id: Id, role: Role, order: Order) {
        let letters: &[Command] = match order {
            Order::Down => &[Command::Down, Command::Exit],
            Order::Kill => &[Command::Down, Command::Kill, Command::Exit],
            Order::Exit => &[Command::Exit],
            Order::Drain => &[Command::Once, Command::Exit],
        };
        let letters: Vec<u8> = letters.iter().map(|letter| letter.letter()).collect();
        // A copier ends by itself when it comes to the end of file.
        let copier = role == Role::Log && self.copiers.contains(&id);
        let Some(dir) = self.directory_of(id, role).filter(|_| !copier) else {
            return;
        };
        log::debug!("{}: {order:?}", dir.display());
        match tell(&dir, &letters) {
            Ok(control) => {
                self.said.over(subject(b"tell", dir.as_os_str()));
                if let Some((stopping, control)) = self.stopping.as_mut().zip(control) {
                    stopping.told.push((id, role, control));
                }
            }
            Err(error) => {
                let text = text!("unable to write ", files::of(&dir, names::CONTROL));
                self.said.warning(subject(b"tell", dir.as_os_str()), text, &error);
            }
        }
    }

    /// Where a supervise is: by its name in the scan directory, or if that is gone, which svscan need not have seen yet, through its own
    /// process.
    fn directory_of(&self, id: Id, role: Role) -> Option<PathBuf> {
        if let Some(name) = self.scan.name(id).filter(|name| is_that(Path::new(&**name), id)) {
            return Some(match role {
                Role::Main => PathBuf::from(&*name),
                Role::Log => Path::new(&*name).join(names::LOG),
            });
        }
        let Pid(pid) = self.supervises().find(|&(known, as_what, _)| (known, as_what) == (id, role))?.2;
        Some(format!("/proc/{pid}/cwd").into())
    }

    /// How an operator calls what a supervise supervises, while it has a name.
    fn name_of(&self, id: Id, role: Role) -> Option<OsString> {
        let mut name = self.scan.name(id)?.to_os_string();
        if role == Role::Log {
            name.push("/");
            name.push(names::LOG);
        }
        Some(name)
    }

    /// Every supervise whose pid is known.
    fn supervises(&self) -> impl Iterator<Item = (Id, Role, Pid)> {
        self.scan.kept().flat_map(|kept| {
            let pids = [(Role::Main, kept.main.life.pid()), (Role::Log, kept.log.life.pid())];
            pids.into_iter().filter_map(move |(role, pid)| Some((kept.id, role, pid?)))
        })
    }

    /// The sessions of all services with a log pipe.
    fn sessions(&self) -> Sessions {
        let mut sessions = Sessions::default();
        for kept in self.scan.kept().filter(|kept| kept.pipe.is_some()) {
            let dir = self.directory_of(kept.id, Role::Main);
            sessions.add(kept.main.life.pid(), dir.as_deref());
        }
        sessions
    }

    /// Signals all services, and what they have left behind.
    fn signal_services(&self, signal: Signal) {
        let of = |role| self.supervises().filter(move |&(_, as_what, _)| as_what == role).map(|(.., pid)| pid);
        let named = |kept: Kept<&LogPipe>| Some((fd::pipe_id(kept.pipe?.reader())?, kept.names.first()?.clone()));
        let spared = Spared {
            mains: of(Role::Main).collect(),
            loggers: of(Role::Log).collect(),
            pipes: self.scan.kept().filter_map(named).collect(),
        };
        if let Some(stopping) = &self.stopping {
            spared.signal_others(&stopping.sessions, signal);
        }
    }

    /// Kills whatever is left.
    fn kill_all(&mut self) {
        let supervises: Vec<Pid> = self.supervises().map(|(.., pid)| pid).collect();
        kill_descendants();
        kill(&supervises);
        if own() == Pid(1) {
            process::kill_everything();
        }
    }

    /// The stop is over. Ends, with this code, or becomes another program.
    pub fn end(&mut self) -> u8 {
        if let Some(late) = self.stopping.as_ref().and_then(|stopping| stopping.stop.late()) {
            let late: Vec<OsString> = late.iter().filter_map(|&(id, role)| self.name_of(id, role)).collect();
            let (of, late) =
                if late.is_empty() { ("", late.join(OsStr::new(""))) } else { (": ", late.join(OsStr::new(", "))) };
            VOICE.warn(&text!("the stop took too long, and what was left was killed", of, late));
        }
        end::end(&self.signals, self.init.as_ref().and_then(|init| init.halt.as_deref()));
        self.exit_code.unwrap_or(0)
    }
}

/// Whether the service has that name, still.
fn is_that(name: &Path, Id { device, inode }: Id) -> bool {
    std::fs::metadata(name).is_ok_and(|entry| (entry.dev(), entry.ino()) == (device, inode))
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
