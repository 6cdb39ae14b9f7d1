//! Starts of supervises, and of copiers in the place of log supervises.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cli::{Call, Text, text};
use machine::Pid;
use machine::scan::{Id, Need, Reader, Role};
use svdir::names;
use sys::limits::{self, Resource};
use sys::{environ, fd, identity, oom, process};

use super::arguments::Arguments;
use super::copier;
use super::said::subject;
use super::services::{Services, id_of};
use crate::service::log_pipe::LogPipe;
use crate::service::programs::{Peer, Peers};
use crate::service::running::RunningSupervise;
use crate::service::{BELOW_SVSCAN, LAST_RUN, files, tick};

/// What it takes.
pub struct Starter {
    peers: Peers,
    /// The soft limit on open files that was inherited, for the children; `None` if it is still that.
    open_files: Option<u64>,
    /// Whether supervises lead sessions of their own: what is sent to the process group of an init is not meant for them.
    own_session: bool,
    /// Whether services without a logger get a copier.
    prefix: bool,
    /// What the copiers lock to write.
    lines: Option<OwnedFd>,
    /// The service of which the first end of `run` is the last.
    last: Option<OsString>,
    /// Whether a logger may take the place of a copier: not any more when all is to end.
    switches: bool,
}

/// What became of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A supervise runs.
    Runs,
    /// None does.
    Failed,
}

impl Starter {
    /// For children that get this soft limit on open files, and copiers that lock `lines`.
    pub fn new(call: &Call, arguments: &Arguments, open_files: Option<u64>, lines: Option<OwnedFd>) -> Starter {
        Starter {
            peers: Peers::of(call),
            open_files,
            own_session: arguments.init.is_some(),
            prefix: arguments.prefix,
            lines,
            last: arguments.init.as_ref().and_then(|init| init.exit_with.clone()),
            switches: true,
        }
    }

    /// The soft limit on open files that children get, if that is another than this process has.
    pub fn open_files(&self) -> Option<u64> {
        self.open_files
    }

    /// What copiers lock.
    pub fn lines(&self) -> Option<BorrowedFd<'_>> {
        self.lines.as_ref().map(AsFd::as_fd)
    }

    /// From now on everything that reads is to come to its end.
    pub fn end(&mut self) {
        self.switches = false;
    }

    /// Starts what the machine asks for.
    pub fn start(&mut self, services: &mut Services, id: Id, role: Role) -> Outcome {
        let Some(name) = services.scan.name(id) else {
            return Outcome::Failed;
        };
        let outcome = match role {
            Role::Main => self.start_main(services, id, &name),
            Role::Log => self.start_log(services, id, &name),
        };
        if outcome == Outcome::Failed {
            services.scan.start_failed(tick(), id, role);
        }
        outcome
    }

    fn start_main(&mut self, services: &mut Services, id: Id, name: &OsStr) -> Outcome {
        let Ok(has_log) = has_log(services, name) else {
            return Outcome::Failed;
        };
        if let Err(error) = self.prepare_pipe(services, id, name, has_log) {
            services.said.warning(subject(b"pipe", name), text!("unable to create pipe for ", name), &error);
            return Outcome::Failed;
        }
        services.said.over(subject(b"pipe", name));
        self.start_supervise(services, id, Role::Main, name)
    }

    fn start_log(&mut self, services: &mut Services, id: Id, name: &OsStr) -> Outcome {
        match has_log(services, name) {
            Ok(false) if self.prefix => return self.start_copier(services, id, name),
            Ok(_) => {}
            Err(()) => return Outcome::Failed,
        }
        // The service's name stands in the logger's messages, unlike in the original's, which are about "log".
        let dir = Path::new(name).join(names::LOG);
        self.start_supervise(services, id, Role::Log, dir.as_os_str())
    }

    /// Makes the pipe to what reads the output of a service, each time that is started.
    fn prepare_pipe(&self, services: &mut Services, id: Id, name: &OsStr, has_log: bool) -> io::Result<()> {
        let wanted = match (has_log, self.prefix) {
            (true, _) if self.switches => Some(Reader::Logger),
            (true, _) => Some(services.scan.reader(id)),
            (false, true) => Some(Reader::Copier),
            (false, false) => None,
        };
        match services.scan.need(id, wanted) {
            Need::Nothing => {}
            Need::Close => services.scan.set_pipe(id, None),
            Need::Reopen => services.scan.pipe(id).map_or(Ok(()), LogPipe::reopen)?,
            Need::Replace => services.scan.change_pipe(id, usable(LogPipe::new()?)?),
            Need::Make => {
                let pipe = LogPipe::recover(Path::new(name)).map_or_else(LogPipe::new, Ok)?;
                services.scan.set_pipe(id, Some(usable(pipe)?));
            }
        }
        Ok(())
    }

    /// Starts what reads the output of a service without a logger.
    fn start_copier(&mut self, services: &mut Services, id: Id, name: &OsStr) -> Outcome {
        if self.lines.is_none() {
            self.lines = copier::lock().ok();
        }
        let environment = Some(copier::environment(name, self.lines.is_some()));
        let copier = self.peers.program("svscan", &[]);
        let input = services.scan.pipe(id).map(|pipe| (pipe.reader(), 0));
        let descriptors: Vec<_> = input.into_iter().chain(self.lines().map(|lines| (lines, copier::LOCK))).collect();
        let child = Child { open_files: self.open_files, own_session: true, environment };
        let spawned = child.spawn(&copier, ("the copier of ", name), &descriptors);
        let Some(pid) = tell(services, name, spawned) else {
            return Outcome::Failed;
        };
        services.scan.copier_started(tick(), id, pid);
        Outcome::Runs
    }

    /// Starts a supervise in `dir`, unless one runs there already, as after the death of another svscan. Then its end is waited for.
    fn start_supervise(&self, services: &mut Services, id: Id, role: Role, dir: &OsStr) -> Outcome {
        match RunningSupervise::find(Path::new(dir)) {
            Ok(Some(found)) => {
                services.found(id, role, found);
                return Outcome::Runs;
            }
            Ok(None) => services.said.over(subject(b"ok", dir)),
            Err(error) => {
                let text = text!("unable to open ", files::of(Path::new(dir), names::OK));
                services.said.warning(subject(b"ok", dir), text, &error);
                return Outcome::Failed;
            }
        }
        let is_last = role == Role::Main && self.last.as_deref().is_some_and(|name| id_of(name) == Some(id));
        let pipe = services.scan.pipe(id);
        let end = match role {
            Role::Main => pipe.and_then(|pipe| Some((pipe.writer()?, 1))),
            Role::Log => pipe.map(|pipe| (pipe.reader(), 0)),
        };
        let given = [(BELOW_SVSCAN, role == Role::Main && end.is_some()), (LAST_RUN, is_last)];
        // A service may be called --help.
        let dotted = Path::new(".").join(dir);
        let operand = if dir.as_bytes().starts_with(b"--") { dotted.as_os_str() } else { dir };
        let supervise = self.peers.program("supervise", &[operand]);
        let child = Child { open_files: self.open_files, own_session: self.own_session, environment: telling(given) };
        let spawned = child.spawn(&supervise, ("supervise ", dir), end.as_slice());
        let Some(pid) = tell(services, dir, spawned) else {
            return Outcome::Failed;
        };
        services.scan.started(tick(), id, role, pid);
        Outcome::Runs
    }
}

/// Says what is wrong with a start, and returns the pid of the child, if there is one.
fn tell(services: &mut Services, dir: &OsStr, spawned: io::Result<Spawned>) -> Option<Pid> {
    let said = &mut services.said;
    let Spawned { pid, unable } = match spawned {
        Ok(spawned) => spawned,
        Err(error) => {
            said.warning(subject(b"fork", dir), text!("unable to fork for ", dir), &error);
            return None;
        }
    };
    said.over(subject(b"fork", dir));
    match unable {
        Some((text, error)) => said.warning(subject(b"exec", dir), text, &error),
        None => said.over(subject(b"exec", dir)),
    }
    match oom::failure() {
        Some(error) => said.warning("oom", text!("unable to restore the OOM score for ", dir), &error),
        None => said.over("oom"),
    }
    log::info!("{}: supervise started as pid {pid}", dir.display());
    Some(Pid(pid.as_raw().unsigned_abs()))
}

/// Whether there is a directory `log`. Anything else gets no pipe: nobody would read it. `Err` if that may be known another time.
fn has_log(services: &mut Services, name: &OsStr) -> Result<bool, ()> {
    let path = Path::new(name).join(names::LOG);
    let found = match std::fs::metadata(&path) {
        Ok(log) if log.is_dir() => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Ok(_) => Err((text!("starting ", name, " without a logger: ", path), io::ErrorKind::NotADirectory.into())),
        Err(error) => Err((text!("unable to stat ", path), error)),
    };
    match found {
        Ok(found) => {
            services.said.over(subject(b"log", name));
            Ok(found)
        }
        Err((text, error)) => {
            services.said.warning(subject(b"log", name), text, &error);
            if is_about_the_path(&error) { Ok(false) } else { Err(()) }
        }
    }
}

/// Whether what is wrong with a path is the path itself, so that it stays so until somebody changes it.
fn is_about_the_path(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, PermissionDenied};
    matches!(error.kind(), NotADirectory | PermissionDenied | InvalidFilename)
        || error.raw_os_error() == Some(sys::ELOOP)
}

/// The pipe, if there is a descriptor left for the start of the logger. Without that the service would write to a pipe that nobody reads.
fn usable(pipe: LogPipe) -> io::Result<LogPipe> {
    drop(pipe.reader().try_clone_to_owned()?);
    Ok(pipe)
}

/// The environment with those variables that are to be set; `None` for our own.
fn telling<const N: usize>(variables: [(&str, bool); N]) -> Option<Vec<CString>> {
    let set: Vec<_> = variables.iter().filter(|(_, set)| *set).map(|&(name, _)| (name, Some(b"1".to_vec()))).collect();
    (!set.is_empty()).then(|| environ::changed(&set))
}

/// What a child gets that svscan has otherwise.
pub struct Child {
    /// The soft limit on open files.
    pub open_files: Option<u64>,
    /// A session of its own.
    pub own_session: bool,
    /// The environment.
    pub environment: Option<Vec<CString>>,
}

/// A new child, and why it could not become what it should.
pub struct Spawned {
    /// The child.
    pub pid: process::Pid,
    unable: Option<(Text, io::Error)>,
}

impl Child {
    /// Becomes `program` in a new child, with each of `descriptors` placed as the number beside it, in this order. In messages it is what it does
    /// for that directory.
    pub fn spawn(
        &self,
        program: &Peer,
        (what, dir): (&str, &OsStr),
        descriptors: &[(BorrowedFd<'_>, RawFd)],
    ) -> io::Result<Spawned> {
        let mut exec = program.prepare(self.environment.as_deref());
        let become_program = || {
            if let Some(soft) = self.open_files {
                let _ = limits::set_soft(Resource::RLIMIT_NOFILE, soft);
            }
            if self.own_session {
                // It cannot fail: a new process leads no group.
                let _ = identity::new_session();
            }
            match descriptors.iter().try_for_each(|&(from, to)| fd::place(from, to)) {
                Ok(()) => ("unable to start ", what, exec()),
                Err(error) => ("unable to set up descriptors for ", "", error),
            }
        };
        let mut unable = None;
        let pid = process::spawn(become_program, |(verb, what, error)| unable = Some((text!(verb, what, dir), error)))?;
        Ok(Spawned { pid, unable })
    }
}
