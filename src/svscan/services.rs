//! The services that svscan knows, and those of their supervises that are no children of it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use cli::{Warnings, text};
use machine::Pid;
use machine::scan::{Id, Kept, Reader, Role, Scan};
use svdir::{Command, names};
use sys::{fd, sealed};

use super::arguments::VOICE;
use crate::service::log_pipe::{LogPipe, PipeEnds};
use crate::service::running::RunningSupervise;
use crate::service::{files, record, tick};

/// A supervise that is no child, and the descriptor that tells of its end.
pub type Other = (Id, Role, RawFd);

/// All of them.
pub struct Services {
    /// What is decided about them.
    pub scan: Scan<LogPipe>,
    /// What was said about them.
    pub said: Warnings,
    /// The supervises that are no children of ours: the write end of a FIFO that each of them reads for its life.
    others: Vec<(Id, Role, File)>,
}

impl Services {
    /// None yet.
    pub fn new() -> Services {
        Services { scan: Scan::default(), said: Warnings::new(VOICE), others: Vec::new() }
    }

    /// Takes in those that another program has kept in this process. A look at every name is to follow.
    pub fn restore(&mut self, kept: Vec<Kept<PipeEnds>>, others: Vec<Other>) -> io::Result<()> {
        for Kept { id, names, main, log, reader, pipe, released } in kept {
            let pipe = pipe.map(LogPipe::inherit).transpose()?;
            self.scan.restore(tick(), Kept { id, names, main, log, reader, pipe, released });
        }
        for (id, role, number) in others {
            self.others.push((id, role, sealed::inherit(number)?.into()));
        }
        Ok(())
    }

    /// What another program needs to know to go on with them.
    pub fn kept(&self) -> (Vec<Kept<PipeEnds>>, Vec<Other>) {
        let with_ends = |kept: Kept<&LogPipe>| {
            let Kept { id, names, main, log, reader, pipe, released } = kept;
            Kept { id, names, main, log, reader, pipe: pipe.map(LogPipe::ends), released }
        };
        let others = self.others.iter().map(|(id, role, ok)| (*id, *role, sealed::number(ok.as_fd())));
        (self.scan.kept().map(with_ends).collect(), others.collect())
    }

    /// The descriptors that these need.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let pipes = self.scan.kept().filter_map(|kept| kept.pipe).flat_map(LogPipe::descriptors);
        pipes.chain(self.others())
    }

    /// What tells of the ends of supervises that are no children.
    pub fn others(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.others.iter().map(|(_, _, ok)| ok.as_fd())
    }

    /// The supervise of which the place in [`others`](Services::others) tells has ended.
    pub fn lose(&mut self, place: usize) -> (Id, Role) {
        let (id, role, _) = self.others.swap_remove(place);
        log::info!("{}: supervise ended", self.describe(id, role));
        self.scan.lost(tick(), id, role);
        (id, role)
    }

    /// A supervise runs there that is no child.
    pub fn found(&mut self, id: Id, role: Role, found: RunningSupervise) {
        log::info!("{}: a supervise runs already", self.describe(id, role));
        self.others.push((id, role, found.ok));
        self.scan.found(tick(), id, role, found.pid);
    }

    /// Takes a supervise for what it is that had the lock before one of ours could get it.
    pub fn look_for_supervise(&mut self, id: Id, role: Role) {
        let found = self.named(id, role).map(|dir| RunningSupervise::find(&dir));
        if let Some(Ok(Some(found))) = found {
            self.found(id, role, found);
        }
    }

    /// The service directory, or its `log`, by its name in the scan directory.
    pub fn named(&self, id: Id, role: Role) -> Option<PathBuf> {
        let name = self.scan.name(id)?;
        Some(match role {
            Role::Main => PathBuf::from(&*name),
            Role::Log => Path::new(&*name).join(names::LOG),
        })
    }

    /// Where a supervise is: by its name in the scan directory, or if that is gone, which svscan need not have seen yet, through its own
    /// process.
    pub fn directory_of(&self, id: Id, role: Role) -> Option<PathBuf> {
        if self.scan.name(id).is_some_and(|name| id_of(&name) == Some(id)) {
            return self.named(id, role);
        }
        let Pid(pid) = self.supervises().find(|&(known, as_what, _)| (known, as_what) == (id, role))?.2;
        Some(format!("/proc/{pid}/cwd").into())
    }

    /// For the log: a service directory, as it is started.
    pub fn describe(&self, id: Id, role: Role) -> String {
        self.named(id, role).map_or("not listed".into(), |name| name.display().to_string())
    }

    /// Every supervise whose pid is known.
    pub fn supervises(&self) -> impl Iterator<Item = (Id, Role, Pid)> {
        self.scan.kept().flat_map(|kept| {
            let pids = [(Role::Main, kept.main.life.pid()), (Role::Log, kept.log.life.pid())];
            pids.into_iter().filter_map(move |(role, pid)| Some((kept.id, role, pid?)))
        })
    }

    /// The inode number of each log pipe, and the service that writes to it.
    pub fn pipes(&self) -> impl Iterator<Item = (u64, Rc<OsStr>)> {
        self.scan.kept().filter_map(|kept| Some((fd::pipe_id(kept.pipe?.reader())?, kept.names.first()?.clone())))
    }

    /// Whether the record of a supervise that ended says that it had nothing to do any more.
    pub fn has_left(&self, id: Id, role: Role) -> bool {
        let Some(dir) = self.named(id, role) else {
            return true;
        };
        // Other suites tell nothing. Theirs are not taken over either.
        let record = record::read(&dir).ok().and_then(|found| found.record);
        record.is_none_or(|record| record.observed.supervise.exited)
    }

    /// The service is gone for good. Its logger shall read what is left in the pipe, and end.
    pub fn release(&mut self, id: Id, logger: Pid) {
        if self.scan.reader(id) == Reader::Logger {
            // The name may be gone, but the logger's supervise is where its control FIFO is.
            let control = files::of(Path::new(&format!("/proc/{}/cwd", logger.0)), names::CONTROL);
            match tell_to_exit(&control) {
                Ok(()) => self.said.over("release"),
                // It has just ended, and is heard of. Or there is no /proc: it stays until the operator ends it, as in the original.
                Err(error) if matches!(error.raw_os_error(), Some(sys::ENOENT | fd::NO_READER)) => return,
                Err(error) => {
                    let text = text!("unable to write ", control, ", trying again in 5 seconds");
                    self.said.warning("release", text, &error);
                    return self.scan.release_failed(tick(), id);
                }
            }
        }
        if let Some(pipe) = self.scan.pipe(id) {
            pipe.close_writer();
        }
        self.scan.released(id);
    }
}

/// Which directory a name leads to.
pub fn id_of(name: &OsStr) -> Option<Id> {
    let entry = std::fs::metadata(name).ok()?;
    Some(Id { device: entry.dev(), inode: entry.ino() })
}

/// Tells a supervise to leave when its service is down.
fn tell_to_exit(control: &Path) -> io::Result<()> {
    let control = fd::open_write(control)?;
    if !fd::is_fifo(&control)? {
        return Err(io::Error::from_raw_os_error(sys::ENOENT));
    }
    fd::write(control.as_fd(), &[Command::Exit.letter()]).map(drop)
}
