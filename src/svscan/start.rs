//! Starts of supervises, and of copiers in the place of log supervises.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use cli::text;
use machine::Pid;
use machine::scan::{Id, Need, Reader, Role};
use svdir::names;

use super::arguments::Arguments;
use super::services::Services;
use super::subjects::subject;
use super::system::{Sight, Spawned, Start, System};
use crate::service::files;

/// How supervises and copiers are started.
pub struct Starter {
    /// Whether services without a logger get a copier.
    prefix: bool,
    /// The service of `--exit-with`: its supervise exits when `run` ends by itself.
    last: Option<OsString>,
    /// Whether a logger may take the place of a copier. False as soon as the stop has begun.
    switches: bool,
}

/// The outcome of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A supervise or copier runs.
    Runs,
    /// Nothing runs.
    Failed,
}

impl Starter {
    /// Makes a starter for a svscan with these arguments.
    pub fn new(arguments: &Arguments) -> Starter {
        let last = arguments.init.as_ref().and_then(|init| init.exit_with.clone());
        Starter { prefix: arguments.prefix, last, switches: true }
    }

    /// Takes note that the stop has begun: from now on each reader of a log pipe reads it to the end.
    pub fn end(&mut self) {
        self.switches = false;
    }

    /// Starts the supervise or copier for this role of a service. A failure is also reported to `services`.
    pub fn start<S: System>(&mut self, system: &mut S, services: &mut Services<S>, id: Id, role: Role) -> Outcome {
        let Some(name) = services.scan.name(id) else {
            return Outcome::Failed;
        };
        let outcome = match role {
            Role::Main => self.start_main(system, services, id, &name),
            Role::Log => self.start_log(system, services, id, &name),
        };
        if outcome == Outcome::Failed {
            services.scan.start_failed(system.now(), id, role);
        }
        outcome
    }

    fn start_main<S: System>(&self, system: &mut S, services: &mut Services<S>, id: Id, name: &OsStr) -> Outcome {
        let Ok(has_log) = has_log(system, services, name) else {
            return Outcome::Failed;
        };
        // This comes first: a service that runs keeps its log pipe, and nothing is done about that while it is unknown whether it runs.
        let Ok(found) = find_supervise(system, services, id, Path::new(name)) else {
            return Outcome::Failed;
        };
        match self.prepare_pipe(system, services, id, name, has_log) {
            Ok(named) => {
                services.said.over(subject(b"pipe", name));
                if !named {
                    return Outcome::Failed;
                }
            }
            Err(error) => {
                services.said.warning(subject(b"pipe", name), text!("unable to create pipe for ", name), &error);
                return Outcome::Failed;
            }
        }
        self.start_unless_found(system, services, (id, Role::Main), name, found)
    }

    fn start_log<S: System>(&self, system: &mut S, services: &mut Services<S>, id: Id, name: &OsStr) -> Outcome {
        match has_log(system, services, name) {
            Ok(false) if self.prefix => return start_copier(system, services, id, name),
            Ok(_) => {}
            Err(()) => return Outcome::Failed,
        }
        // The messages of the logger's supervise contain the name of the service. Those of the original only say "log".
        let dir = Path::new(name).join(names::LOG);
        let Ok(found) = find_supervise(system, services, id, &dir) else {
            return Outcome::Failed;
        };
        self.start_unless_found(system, services, (id, Role::Log), dir.as_os_str(), found)
    }

    /// Makes sure, before each start of a service, that it has the log pipe it needs. Returns false if the name no longer leads to the service.
    fn prepare_pipe<S: System>(
        &self,
        system: &mut S,
        services: &mut Services<S>,
        id: Id,
        name: &OsStr,
        has_log: bool,
    ) -> io::Result<bool> {
        let wanted = match (has_log, self.prefix) {
            (true, _) if self.switches => Some(Reader::Logger),
            (true, _) => Some(services.scan.reader(id)),
            (false, true) => Some(Reader::Copier),
            (false, false) => None,
        };
        match services.scan.need(id, wanted) {
            Need::Nothing => {}
            Need::Close => services.scan.set_pipe(id, None),
            Need::Reopen => services.scan.pipe(id).map_or(Ok(()), |pipe| system.reopen(pipe))?,
            Need::Replace => services.scan.change_pipe(id, system.new_pipe()?),
            Need::Make => {
                let pipe = system.recover_pipe(name)?;
                // It may be the pipe of another directory that has just got the name.
                if !services.is_named(system, id) {
                    return Ok(false);
                }
                services.scan.set_pipe(id, Some(pipe));
            }
        }
        Ok(true)
    }

    /// Starts a supervise in `dir`. If one was found that runs there already, svscan watches for its end instead.
    fn start_unless_found<S: System>(
        &self,
        system: &mut S,
        services: &mut Services<S>,
        (id, role): (Id, Role),
        dir: &OsStr,
        found: Option<Found<S>>,
    ) -> Outcome {
        if let Some(found) = found {
            services.found(system.now(), id, role, found);
            return Outcome::Runs;
        }
        let is_last =
            role == Role::Main && self.last.as_deref().is_some_and(|name| services.is_called(system, id, name));
        let spawned = system.start(Start::Supervise { dir, role, is_last }, services.scan.pipe(id).map(|pipe| &*pipe));
        let Some(pid) = tell(services, dir, spawned) else {
            return Outcome::Failed;
        };
        services.scan.started(system.now(), id, role, pid);
        Outcome::Runs
    }
}

/// A supervise that runs, as the system tells of it.
type Found<S> = (<S as System>::Fifo, Option<Pid>);

/// Returns the supervise that runs in `dir`, as after the death of another svscan. Returns `Err` if a later attempt may find out, or find that the name leads
/// elsewhere.
fn find_supervise<S: System>(
    system: &mut S,
    services: &mut Services<S>,
    id: Id,
    dir: &Path,
) -> Result<Option<Found<S>>, ()> {
    match system.find_supervise(dir) {
        // The name has just been given to another directory, and this is the supervise of that one.
        Ok(Some(_)) if !services.is_named(system, id) => Err(()),
        Ok(found) => {
            services.said.over(subject(b"ok", dir.as_os_str()));
            Ok(found)
        }
        Err(error) => {
            let text = text!("unable to open ", files::of(dir, names::OK));
            services.said.warning(subject(b"ok", dir.as_os_str()), text, &error);
            Err(())
        }
    }
}

/// Starts the copier of a service without a logger.
fn start_copier<S: System>(system: &mut S, services: &mut Services<S>, id: Id, name: &OsStr) -> Outcome {
    let spawned = system.start(Start::Copier(name), services.scan.pipe(id).map(|pipe| &*pipe));
    let Some(pid) = tell(services, name, spawned) else {
        return Outcome::Failed;
    };
    services.scan.copier_started(system.now(), id, pid);
    Outcome::Runs
}

/// Warns about what went wrong with a start, and returns the pid of the child, if there is one.
fn tell<S: System>(services: &mut Services<S>, dir: &OsStr, spawned: io::Result<Spawned>) -> Option<Pid> {
    let said = &mut services.said;
    let Spawned { pid, unable, oom } = match spawned {
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
    match oom {
        Some(error) => said.warning("oom", text!("unable to restore the OOM score for ", dir), &error),
        None => said.over("oom"),
    }
    log::info!("{}: supervise started as pid {}", dir.display(), pid.0);
    Some(pid)
}

/// Returns whether the service has a directory `log`. Anything else with that name gets no pipe, since nobody would read it. Returns `Err` if a
/// later attempt may find out.
fn has_log<S: System>(system: &S, services: &mut Services<S>, name: &OsStr) -> Result<bool, ()> {
    let path = Path::new(name).join(names::LOG);
    let found = match system.examine(&path) {
        Sight::Directory(_) => Ok(true),
        Sight::Gone => Ok(false),
        // This is a dangling link.
        Sight::Unclear(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Sight::Other => {
            Err((text!("starting ", name, " without a logger: ", path), io::ErrorKind::NotADirectory.into()))
        }
        Sight::Unclear(error) => Err((text!("unable to stat ", path), error)),
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

/// Returns whether an error is due to the path itself, so that it persists until somebody changes the path.
fn is_about_the_path(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, PermissionDenied};
    matches!(error.kind(), NotADirectory | PermissionDenied | InvalidFilename)
        || error.raw_os_error() == Some(sys::ELOOP)
}
