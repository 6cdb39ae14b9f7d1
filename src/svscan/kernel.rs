//! [`Kernel`], the real [`System`]: it passes the requests of the loop to the kernel.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cli::{Call, text};
use machine::scan::{Id, PATIENCE, Role};
use machine::{Pid, SECOND, Tick};
use svdir::{Command, Record, names};
use sys::process::{self, Change, Signal};
use sys::signals::{Mask, Signals};
use sys::{environ, fd, oom, poll, sealed};

use super::arguments::{Arguments, VOICE};
use super::child::Child;
use super::copier;
use super::dependencies::{self, Needed};
use super::directory::ScanDirectory;
use super::leftovers::{Sessions, Spared};
use super::mounts::RecentMounts;
use super::services::control_of;
use super::system::{Known, Look, Pass, Sight, Spawned, Start, System, Woken};
use super::upgrade::{Key, ScanState};
use crate::service::log_pipe::{LogPipe, PipeEnds};
use crate::service::processes::{kill, kill_descendants, machine_pid, own};
use crate::service::programs::Peers;
use crate::service::running::RunningSupervise;
use crate::service::successor::{Answer, Successor};
use crate::service::{BELOW_INIT, BELOW_SVSCAN, LAST_RUN, files, record, tick};

/// The real system, with the descriptors and other resources that svscan holds.
pub struct Kernel {
    directory: ScanDirectory,
    signals: Signals,
    mask: Option<Mask>,
    successor: Successor,
    peers: Peers,
    /// The inherited soft limit on open files, for the children; `None` if svscan has not changed it.
    open_files: Option<u64>,
    /// Whether this svscan is an init. Then supervises lead sessions of their own, since a signal to the process group of an init is not meant for them.
    is_init: bool,
    /// The lock under which the copiers write.
    lines: Option<OwnedFd>,
    /// Two descriptors that an init holds until the stop begins, so that the stop does not run out of descriptors: reading `/proc` takes two.
    spare: Option<[File; 2]>,
    /// Whether this svscan is an init whose stop has not begun.
    spares: bool,
    /// The sessions of the services.
    sessions: Sessions,
    mounts: RecentMounts,
}

impl Kernel {
    /// Makes the system. Children get the soft limit `open_files`, and copiers write under the lock `lines`.
    pub fn new(
        call: &Call,
        arguments: &Arguments,
        directory: ScanDirectory,
        signals: Signals,
        open_files: Option<u64>,
        lines: Option<OwnedFd>,
    ) -> Kernel {
        let is_init = arguments.init.is_some();
        let mut kernel = Kernel {
            directory,
            signals,
            mask: None,
            successor: Successor::new(call, VOICE, text!("svscan")),
            peers: Peers::of(call),
            open_files,
            is_init,
            lines,
            spare: None,
            spares: is_init,
            sessions: Sessions::default(),
            mounts: RecentMounts::default(),
        };
        kernel.keep_spare();
        kernel
    }

    /// Returns the signals that are caught.
    pub fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Takes the two descriptors for the stop again, after an upgrade has used them for a moment.
    fn keep_spare(&mut self) {
        self.spare = self.spares.then(spare).and_then(Result::ok);
    }

    fn start_copier(&mut self, name: &OsStr, input: Option<BorrowedFd<'_>>) -> io::Result<Spawned> {
        if self.lines.is_none() {
            self.lines = copier::lock().ok();
        }
        let lines = self.lines.as_ref().map(AsFd::as_fd);
        let environment = Some(copier::environment(name, lines.is_some()));
        let copier = self.peers.program("svscan", &[]);
        let input = input.map(|input| (input, 0));
        let descriptors: Vec<_> = input.into_iter().chain(lines.map(|lines| (lines, copier::LOCK))).collect();
        let child = Child { open_files: self.open_files, own_session: true, environment };
        child.spawn(&copier, ("the copier of ", name), &descriptors)
    }
}

impl System for Kernel {
    type Pipe = LogPipe;
    type Fifo = File;

    fn now(&self) -> Tick {
        tick()
    }

    fn wait(&mut self, others: &[Known<File>], changes: bool, deadline: Option<Tick>) -> io::Result<Woken> {
        self.successor.timeout();
        let deadline = [deadline, self.successor.deadline()].into_iter().flatten().min();
        let timeout = self.signals.timeout(deadline.map(|deadline| tick().until(deadline)));
        let signals = self.signals.fd();
        let watched = self.directory.fd().filter(|_| changes);
        let others: Vec<BorrowedFd<'_>> = others.iter().map(|(_, _, fifo)| fifo.as_fd()).collect();
        let ([signalled, changed], ended) =
            poll::readable_or_unread([signals, watched.unwrap_or(signals)], &others, timeout)?;
        let changed = changed && watched.is_some();
        Ok(Woken { signalled: signalled || self.signals.came(), changed, ended })
    }

    fn rest(&mut self) {
        poll::rest();
    }

    fn reap(&mut self) -> Option<(Pid, Change)> {
        process::reap().map(|(pid, change)| (machine_pid(pid), change))
    }

    fn drain(&mut self) {
        self.signals.drain();
    }

    fn arrived(&mut self, signal: Signal) -> bool {
        self.signals.arrived(signal)
    }

    fn hold_signals(&mut self, hold: bool) {
        match self.mask.take() {
            Some(mask) if !hold => mask.restore(),
            Some(mask) => self.mask = Some(mask),
            None => self.mask = hold.then(|| self.signals.block().ok()).flatten(),
        }
    }

    fn look_into_directory(&mut self) -> Pass {
        let watched = self.directory.renew();
        let names = self.directory.names();
        Pass { watched, locked_by_a_stranger: self.directory.is_locked_by_a_stranger(), names }
    }

    fn changes(&mut self) -> io::Result<Vec<Look>> {
        self.directory.changes()
    }

    fn watch_filling(&mut self, name: &OsStr, id: Id) {
        self.directory.watch_filling(name, id);
    }

    fn watch_only(&mut self, waited_for: &dyn Fn(Id) -> bool) {
        self.directory.watch_only(waited_for);
    }

    fn examine(&self, path: &Path) -> Sight {
        match std::fs::metadata(path) {
            Ok(entry) if entry.is_dir() => Sight::Directory(Id { device: entry.dev(), inode: entry.ino() }),
            Ok(_) => Sight::Other,
            Err(_) if std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) => {
                Sight::Gone
            }
            Err(error) => Sight::Unclear(error),
        }
    }

    fn can_run(&self, path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    }

    fn has_rested(&self, dir: &Path) -> bool {
        const SECONDS: i64 = (PATIENCE / SECOND).cast_signed();
        std::fs::metadata(dir).is_ok_and(|directory| sys::clock::wall().0 - directory.mtime() > SECONDS)
    }

    fn leads_elsewhere(&mut self, name: &OsStr) -> bool {
        let path = Path::new(name);
        fd::leads_elsewhere(path) && !self.mounts.hold_target_of(tick(), path)
    }

    /// Runs svok, which looks at the same files as svscan.
    fn look_by_child(&mut self, name: &OsStr) -> io::Result<Spawned> {
        let dotted = Path::new(".").join(name);
        // What it says is of use only if no descriptor is left.
        let null = fd::open_write(c"/dev/null").ok();
        let null = null.as_ref().map(|null| (null.as_fd(), 2));
        let svok = self.peers.program("svok", &[dotted.as_os_str()]);
        let child = Child { open_files: None, own_session: false, environment: None };
        child.spawn(&svok, ("svok ", name), null.as_slice())
    }

    fn find_supervise(&mut self, dir: &Path) -> io::Result<Option<(File, Option<Pid>)>> {
        Ok(RunningSupervise::find(dir)?.map(|found| (found.ok, found.pid)))
    }

    fn record(&self, dir: &Path) -> Option<Record> {
        let mut record = record::read(dir).ok()?.record?;
        // The supervise of another boot did not end just now.
        record.decided.service.ended &= record::may_be_this_boot(record.observed.supervise.boot);
        Some(record)
    }

    fn note_end(&mut self, dir: &Path) -> io::Result<()> {
        record::note_end_of_init(dir)
    }

    fn was_left_behind(&self, dir: &Path) -> bool {
        record::was_left_behind(dir)
    }

    fn start(&mut self, start: Start<'_>, pipe: Option<&LogPipe>) -> io::Result<Spawned> {
        let (dir, role, is_last) = match start {
            Start::Supervise { dir, role, is_last } => (dir, role, is_last),
            Start::Copier(name) => return self.start_copier(name, pipe.map(LogPipe::reader)),
        };
        let end = match role {
            Role::Main => pipe.and_then(|pipe| Some((pipe.writer()?, 1))),
            Role::Log => pipe.map(|pipe| (pipe.reader(), 0)),
        };
        let is_main = role == Role::Main;
        let given =
            [(BELOW_SVSCAN, is_main && end.is_some()), (LAST_RUN, is_last), (BELOW_INIT, is_main && self.is_init)];
        // The name of a service may look like an option, such as --help.
        let dotted = Path::new(".").join(dir);
        let operand = if dir.as_encoded_bytes().starts_with(b"--") { dotted.as_os_str() } else { dir };
        let supervise = self.peers.program("supervise", &[operand]);
        let child = Child { open_files: self.open_files, own_session: self.is_init, environment: telling(given) };
        child.spawn(&supervise, ("supervise ", dir), end.as_slice())
    }

    /// A supervise that was started a moment ago may not read its FIFO yet, or may not even have made it. Then the FIFO is made here if it is
    /// missing, and returned open.
    fn tell(&mut self, dir: &Path, letters: &[u8]) -> io::Result<Option<File>> {
        let path = files::of(dir, names::CONTROL);
        let absent = |error: &io::Error| matches!(error.raw_os_error(), Some(sys::ENOENT | fd::NO_READER));
        let (control, kept) = match fd::open_write(&path) {
            Ok(control) => (control, false),
            Err(error) if absent(&error) => {
                use std::os::unix::fs::DirBuilderExt;
                // They may exist already. Any other error shows when the FIFO is opened.
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

    fn release(&mut self, logger: Pid) -> io::Result<bool> {
        match tell_to_exit(&control_of(logger)) {
            Ok(()) => Ok(true),
            // Without /proc the logger stays until the operator ends it, as in the original.
            Err(error) if matches!(error.raw_os_error(), Some(sys::ENOENT | fd::NO_READER)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn recover_pipe(&mut self, name: &OsStr) -> io::Result<LogPipe> {
        usable(LogPipe::recover(Path::new(name)).map_or_else(LogPipe::new, Ok)?)
    }

    fn new_pipe(&mut self) -> io::Result<LogPipe> {
        usable(LogPipe::new()?)
    }

    fn reopen(&mut self, pipe: &mut LogPipe) -> io::Result<()> {
        pipe.reopen()
    }

    fn close_writer(&mut self, pipe: &mut LogPipe) {
        pipe.close_writer();
    }

    fn has_unread(&self, pipe: &LogPipe) -> bool {
        fd::has_unread(pipe.reader())
    }

    fn pipe_id(&self, pipe: &LogPipe) -> Option<u64> {
        fd::pipe_id(pipe.reader())
    }

    fn state(&self) -> ScanState {
        let [reader, writer] = self.signals.descriptors().map(sealed::number);
        ScanState {
            lock: self.directory.lock().map(sealed::number),
            open_files: self.open_files,
            oom: oom::original(),
            lines: self.lines.as_ref().map(|lines| sealed::number(lines.as_fd())),
            descriptors: vec![(Key::SIGNALS, reader), (Key::SIGNALS_WRITER, writer)],
            ..ScanState::default()
        }
    }

    fn pipe_ends(&self, pipe: &LogPipe) -> PipeEnds {
        pipe.ends()
    }

    fn fifo_number(&self, fifo: &File) -> RawFd {
        sealed::number(fifo.as_fd())
    }

    fn inherit_pipe(&mut self, ends: PipeEnds) -> io::Result<LogPipe> {
        LogPipe::inherit(ends)
    }

    fn inherit_fifo(&mut self, number: RawFd) -> io::Result<File> {
        sealed::inherit(number).map(Into::into)
    }

    fn ask_successor(&mut self, state: &[u8]) {
        self.spare = None;
        self.successor.ask(state);
        self.keep_spare();
    }

    fn hear_answer(&mut self, pid: Pid, change: Change) -> Option<PathBuf> {
        match self.successor.hear(pid, change) {
            Answer::Yes(program) => Some(program),
            Answer::No | Answer::None => None,
        }
    }

    fn succeed(&mut self, program: &Path, state: &[u8], pipes: &[&LogPipe], others: &[Known<File>]) {
        // The new program takes two descriptors itself.
        self.spare = None;
        let own = self.directory.lock().into_iter().chain(self.lines.as_ref().map(AsFd::as_fd));
        let own = own.chain(self.signals.descriptors());
        let mut descriptors: Vec<_> = own.collect();
        descriptors.extend(others.iter().map(|(_, _, fifo)| fifo.as_fd()));
        pipes.iter().for_each(|pipe| descriptors.extend(pipe.descriptors()));
        self.successor.succeed(program, state, &descriptors, &self.signals);
        self.keep_spare();
    }

    fn begin_stop(&mut self) {
        (self.spare, self.spares) = (None, false);
        self.directory.unwatch();
    }

    fn needs(&mut self, dir: &Path, id: Id) -> Needed {
        let mounts = &mut self.mounts;
        dependencies::read(dir, id, |link| mounts.hold_target_of(tick(), link))
    }

    fn remember_session(&mut self, supervise: Option<Pid>, dir: Option<&Path>) {
        self.sessions.add(supervise, dir);
    }

    fn signal_leftovers(&mut self, spared: &Spared, signal: Signal) {
        spared.signal_others(&self.sessions, signal);
    }

    fn kill_all(&mut self, supervises: &[Pid]) {
        kill_descendants();
        kill(supervises);
        if own() == Pid(1) {
            process::kill_everything();
        }
    }
}

/// Opens two descriptors, to be closed when others are needed.
fn spare() -> io::Result<[File; 2]> {
    let null = fd::open_read(Path::new("/dev/null"))?;
    Ok([null.try_clone()?, null])
}

/// Tells a supervise to exit when its service is down.
fn tell_to_exit(control: &Path) -> io::Result<()> {
    let control = fd::open_write(control)?;
    if !fd::is_fifo(&control)? {
        return Err(io::Error::from_raw_os_error(sys::ENOENT));
    }
    fd::write(control.as_fd(), &[Command::Exit.letter()]).map(drop)
}

/// Returns the pipe if one more descriptor can be opened, which the start of the logger needs. Without the logger the service would write to
/// a pipe that nobody reads.
fn usable(pipe: LogPipe) -> io::Result<LogPipe> {
    drop(pipe.reader().try_clone_to_owned()?);
    Ok(pipe)
}

/// Returns the environment with those of `variables` set whose flag is true; `None` if none is, for the environment of svscan.
fn telling<const N: usize>(variables: [(&str, bool); N]) -> Option<Vec<CString>> {
    let set: Vec<_> = variables.iter().filter(|(_, set)| *set).map(|&(name, _)| (name, Some(b"1".to_vec()))).collect();
    (!set.is_empty()).then(|| environ::changed(&set))
}
