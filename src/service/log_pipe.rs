//! The pipe from a service to its logger. svscan holds both ends, so that the pipe outlives a restart of either side.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use svdir::names;
use svdir::record::Record;
use sys::{fd, proc, process, sealed};

use super::{holder, record};

/// The descriptors of a log pipe: its read end, and its write end unless that is closed.
pub type PipeEnds = (RawFd, Option<RawFd>);

/// A log pipe, with both ends.
pub struct LogPipe {
    reader: OwnedFd,
    /// `None` once the service is gone for good, so that the logger comes to the end of file.
    writer: Option<OwnedFd>,
}

impl LogPipe {
    /// Makes a new pipe.
    pub fn new() -> io::Result<LogPipe> {
        let (reader, writer) = fd::pipe()?;
        Ok(LogPipe { reader, writer: Some(writer) })
    }

    /// Finds the pipe that an earlier svscan made for the service `name` and its logger, if one of these two, of their supervises or of a script
    /// of theirs is alive and has it open.
    pub fn recover(name: &Path) -> Option<LogPipe> {
        let is_of_now = |record: &Record| record::is_this_boot(record.observed.supervise.boot);
        let read = |dir: &Path| record::read(dir).ok().and_then(|found| found.record).filter(is_of_now);
        let (main, log) = (read(name), read(&name.join(names::LOG)));
        let output = |record: &Record| (1, record.observed.supervise.stdout);
        let input = |record: &Record| (0, record.observed.supervise.stdin);
        let ends = [main.as_ref().map(|main| (main, output(main))), log.as_ref().map(|log| (log, input(log)))];
        // The supervises first: a service may have sent its stdout elsewhere.
        let supervises = ends.into_iter().flatten().map(|(record, end)| (record.observed.supervise.pid, end));
        let services = ends.into_iter().flatten().flat_map(|(record, end)| {
            let pids = [record.decided.main.map(|main| main.pid), record.decided.hook.map(|hook| hook.pid)];
            pids.into_iter().flatten().map(move |pid| (pid.get(), end))
        });
        let recorded = supervises.chain(services).find_map(|(pid, (number, id))| LogPipe::of_process(pid, number, id));
        recorded.or_else(|| LogPipe::recover_foreign(name))
    }

    /// Finds the log pipe of the service `name` if its supervises are of another suite, which keeps no record: the pipe is the stdin of the
    /// logger's supervise, and the stdout of the service's supervise if that runs.
    fn recover_foreign(name: &Path) -> Option<LogPipe> {
        let log = holder::supervise_of(&name.join(names::LOG))?.pid;
        let id = proc::pipe(log, 0)?;
        // If only the logger runs, the next start of the service is to write to its pipe.
        let main = holder::supervise_of(name);
        let agree = main.is_none_or(|main| proc::pipe(main.pid, 1) == Some(id));
        let reader = u32::try_from(log.as_raw()).ok().filter(|_| agree)?;
        LogPipe::of_process(reader, 0, id)
    }

    /// Opens the pipe with the inode number `id`, if the process `pid` has it as its descriptor `number`. The pipe that is svscan's own stdout or
    /// stderr does not count: older supervises recorded it for a service without a logger.
    fn of_process(pid: u32, number: RawFd, id: u64) -> Option<LogPipe> {
        if [fd::stdout(), fd::stderr()].into_iter().any(|own| fd::pipe_id(own) == Some(id)) {
            return None;
        }
        // Check the inode number before opening: the process may be another one by now, and opening a file may have
        // effects.
        if id == 0 || proc::pipe(process::Pid::from_raw(pid.cast_signed()), number) != Some(id) {
            return None;
        }
        let reader = OwnedFd::from(fd::open_read(Path::new(&format!("/proc/{pid}/fd/{number}"))).ok()?);
        if fd::pipe_id(reader.as_fd()) != Some(id) {
            return None;
        }
        // It becomes the logger's stdin.
        fd::set_blocking(reader.as_fd()).ok()?;
        let writer = fd::reopen_for_writing(reader.as_fd()).ok()?;
        Some(LogPipe { reader, writer: Some(writer) })
    }

    /// Takes over the descriptors that svscan had in this process before an upgrade.
    pub fn inherit((reader, writer): PipeEnds) -> io::Result<LogPipe> {
        let writer = writer.map(sealed::inherit).transpose()?;
        Ok(LogPipe { reader: sealed::inherit(reader)?, writer })
    }

    /// The numbers of the descriptors.
    pub fn ends(&self) -> PipeEnds {
        (sealed::number(self.reader()), self.writer().map(sealed::number))
    }

    /// The descriptors that are open.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [Some(self.reader()), self.writer()].into_iter().flatten()
    }

    /// The read end, for the logger.
    pub fn reader(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// The write end, for the service; `None` after [`close_writer`](LogPipe::close_writer).
    pub fn writer(&self) -> Option<BorrowedFd<'_>> {
        self.writer.as_ref().map(AsFd::as_fd)
    }

    /// Opens the write end again if it was closed.
    pub fn reopen(&mut self) -> io::Result<()> {
        if self.writer.is_none() {
            self.writer = Some(fd::reopen_for_writing(self.reader.as_fd())?);
        }
        Ok(())
    }

    /// Closes the write end, so that the logger comes to the end of file when the service has ended.
    pub fn close_writer(&mut self) {
        self.writer = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_opened_that_is_not_the_pipe() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("fifo");
        fd::make_fifo(path.as_path()).expect("a FIFO");
        let reader = fd::open_read(path.as_path()).expect("it does not wait");
        let writer = fd::open_write(path.as_path()).expect("it has a reader");
        drop(reader);
        // A writer that opens the FIFO waits for a reader, and must not take this process for one.
        let (told, number) = std::sync::mpsc::channel();
        let waiting = {
            let path = path.clone();
            std::thread::spawn(move || {
                told.send(std::fs::read_link("/proc/thread-self").expect("it is told")).expect("it is heard");
                std::fs::File::options().write(true).open(path)
            })
        };
        let thread = number.recv().expect("it tells");
        let thread = thread.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("a number");
        testkit::wait_until("it waits", || testkit::state(thread) == Some('S'));
        let own = process::own_pid().as_raw().unsigned_abs();
        let id = fd::pipe_id(writer.as_fd()).expect("it is one");
        for _ in 0..100 {
            assert!(LogPipe::of_process(own, sealed::number(writer.as_fd()), id).is_none());
            assert_eq!(testkit::state(thread), Some('S'), "it was woken");
        }
        let _reader = fd::open_read(path.as_path()).expect("it does not wait");
        waiting.join().expect("it ends").expect("it has a reader");
    }

    #[test]
    fn a_pipe_is_found_in_the_process_that_has_it() {
        let pipe = LogPipe::new().expect("a pipe");
        let (own, id) = (process::own_pid().as_raw().unsigned_abs(), fd::pipe_id(pipe.reader()).expect("it is one"));
        let (reader, _) = pipe.ends();
        let found = LogPipe::of_process(own, reader, id).expect("it is there");
        assert_eq!(fd::pipe_id(found.reader()), Some(id));
        assert!(LogPipe::of_process(own, reader, id + 1).is_none());
    }
}
