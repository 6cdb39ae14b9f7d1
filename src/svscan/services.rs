//! The services that svscan knows, and those of their supervises that are not its children.

use std::ffi::OsStr;
use std::io;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use cli::{Warnings, text};
use machine::scan::{HandedOverService, Id, Reader, Role, Scan};
use machine::{Pid, Tick};
use svdir::names;

use super::arguments::VOICE;
use super::proofs::Proofs;
use super::system::{Known, Sight, System};
use crate::service::files;
use crate::service::log_pipe::PipeEnds;

/// A supervise that is not a child, and the number of the descriptor that reports its end.
pub type Other = (Id, Role, RawFd);

/// All services.
pub struct Services<S: System> {
    /// The state of each service, and what is due.
    pub scan: Scan<S::Pipe>,
    /// The warnings that were given.
    pub said: Warnings,
    /// The supervises that are not our children, each with the write end of a FIFO that it reads as long as it lives.
    pub others: Vec<Known<S::Fifo>>,
}

impl<S: System> Services<S> {
    /// Makes a list without any service.
    pub fn new() -> Services<S> {
        Services { scan: Scan::default(), said: Warnings::new(VOICE), others: Vec::new() }
    }

    /// Takes over the services that the program before this one has left in this process. The caller must look at every name afterwards.
    pub fn restore(
        &mut self,
        system: &mut S,
        kept: Vec<HandedOverService<PipeEnds>>,
        others: Vec<Other>,
    ) -> io::Result<()> {
        for HandedOverService { id, names, main, log, reader, pipe, released } in kept {
            let pipe = pipe.map(|ends| system.inherit_pipe(ends)).transpose()?;
            self.scan.restore(system.now(), HandedOverService { id, names, main, log, reader, pipe, released });
        }
        for (id, role, number) in others {
            self.others.push((id, role, system.inherit_fifo(number)?));
        }
        Ok(())
    }

    /// Returns what another program needs to go on with the services.
    pub fn kept(&self, system: &S) -> (Vec<HandedOverService<PipeEnds>>, Vec<Other>) {
        let with_ends = |kept: HandedOverService<&S::Pipe>| {
            let HandedOverService { id, names, main, log, reader, pipe, released } = kept;
            HandedOverService { id, names, main, log, reader, pipe: pipe.map(|pipe| system.pipe_ends(pipe)), released }
        };
        let others = self.others.iter().map(|(id, role, fifo)| (*id, *role, system.fifo_number(fifo)));
        (self.scan.kept().map(with_ends).collect(), others.collect())
    }

    /// Takes note that the supervise at `place` in `others` has ended, and returns which one it was.
    pub fn lose(&mut self, now: Tick, place: usize) -> (Id, Role) {
        let (id, role, _) = self.others.swap_remove(place);
        log::info!("{}: supervise ended", self.describe(id, role));
        self.scan.lost(now, id, role);
        (id, role)
    }

    /// Takes note of a running supervise that is not a child.
    pub fn found(&mut self, now: Tick, id: Id, role: Role, (fifo, pid): (S::Fifo, Option<Pid>)) {
        log::info!("{}: a supervise runs already", self.describe(id, role));
        self.others.push((id, role, fifo));
        self.scan.found(now, id, role, pid);
    }

    /// Looks for a supervise that had the lock before our child could take it. If there is one, takes note of it.
    pub fn look_for_supervise(&mut self, system: &mut S, id: Id, role: Role) {
        let found = self.named(id, role).map(|dir| system.find_supervise(&dir));
        if let Some(Ok(Some(found))) = found
            && self.is_named(system, id)
        {
            self.found(system.now(), id, role, found);
        }
    }

    /// Returns the service directory, or its `log`, by its name in the scan directory.
    pub fn named(&self, id: Id, role: Role) -> Option<PathBuf> {
        let name = self.scan.name(id)?;
        Some(match role {
            Role::Main => PathBuf::from(&*name),
            Role::Log => Path::new(&*name).join(names::LOG),
        })
    }

    /// Returns whether the name of a service still leads to its directory.
    pub fn is_named(&self, system: &S, id: Id) -> bool {
        self.scan.name(id).is_some_and(|name| id_of(system, &name) == Some(id))
    }

    /// Returns whether svscan may look at the directory of a service by its name now (see [`Proofs::may_look`]).
    pub fn may_look(&mut self, system: &mut S, proofs: &mut Proofs, id: Id) -> bool {
        self.scan.name(id).is_none_or(|name| proofs.may_look(system, &name, &mut self.said))
    }

    /// Returns whether `name` leads to the directory `id`. A name that svscan knows is not looked at.
    pub fn is_called(&self, system: &S, id: Id, name: &OsStr) -> bool {
        match self.scan.named(name) {
            Some(known) => known == id,
            None => id_of(system, name) == Some(id),
        }
    }

    /// Returns a path to the directory of a supervise: its name in the scan directory or, if the name no longer leads there, its current
    /// directory in `/proc`.
    pub fn directory_of(&self, system: &S, id: Id, role: Role) -> Option<PathBuf> {
        if self.is_named(system, id) {
            return self.named(id, role);
        }
        let Pid(pid) = self.supervises().find(|&(known, as_what, _)| (known, as_what) == (id, role))?.2;
        Some(format!("/proc/{pid}/cwd").into())
    }

    /// Returns the service directory, or its `log`, as text for log messages.
    pub fn describe(&self, id: Id, role: Role) -> String {
        self.named(id, role).map_or("not listed".into(), |name| name.display().to_string())
    }

    /// Returns every supervise whose pid is known.
    pub fn supervises(&self) -> impl Iterator<Item = (Id, Role, Pid)> {
        self.scan.kept().flat_map(|kept| {
            let pids = [(Role::Main, kept.main.life.pid()), (Role::Log, kept.log.life.pid())];
            pids.into_iter().filter_map(move |(role, pid)| Some((kept.id, role, pid?)))
        })
    }

    /// Returns the inode number of each log pipe, and the name of the service that writes to it.
    pub fn pipes(&self, system: &S) -> impl Iterator<Item = (u64, Rc<OsStr>)> {
        self.scan.kept().filter_map(|kept| Some((system.pipe_id(kept.pipe?)?, kept.names.first()?.clone())))
    }

    /// Returns whether a supervise that has ended exited because it was told to, according to its record.
    pub fn has_exited(&self, system: &S, id: Id, role: Role) -> bool {
        let Some(dir) = self.named(id, role) else {
            return true;
        };
        // The supervise of another suite writes no record. Its service is not taken over either.
        system.record(&dir).is_none_or(|record| record.observed.supervise.exited)
    }

    /// Tells the logger of a service that is gone for good to read what is left in the pipe, and to end.
    pub fn release(&mut self, system: &mut S, id: Id, logger: Pid) {
        if self.scan.reader(id) == Reader::Logger {
            match system.release(logger) {
                Ok(true) => self.said.over("release"),
                // The logger's supervise has just ended; its end is reported.
                Ok(false) => return,
                Err(error) => {
                    let text = text!("unable to write ", control_of(logger), ", trying again in 5 seconds");
                    self.said.warning("release", text, &error);
                    return self.scan.release_failed(system.now(), id);
                }
            }
        }
        if let Some(pipe) = self.scan.pipe(id) {
            system.close_writer(pipe);
        }
        self.scan.released(id);
    }
}

/// Returns the path of the control FIFO of a logger's supervise. It leads through the current directory of the process, since the name may be
/// gone.
pub fn control_of(logger: Pid) -> PathBuf {
    files::of(Path::new(&format!("/proc/{}/cwd", logger.0)), names::CONTROL)
}

/// Returns the directory to which a name leads, if it leads to one.
pub fn id_of(system: &impl System, name: &OsStr) -> Option<Id> {
    match system.examine(Path::new(name)) {
        Sight::Directory(id) => Some(id),
        Sight::Other | Sight::Gone | Sight::Unclear(_) => None,
    }
}
