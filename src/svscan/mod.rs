//! `svscan [dir]`: starts a supervise for each service in the scan directory, and one for its logger, and keeps the pipe between
//! the two open.
//!
//! The kernel tells it of new names (inotify) and of dead children; while nothing happens it does not wake. Where the
//! kernel cannot tell, it looks every five seconds, as the original does. Once the loop runs, no error ends it.

mod arguments;
mod copier;
mod directory;
mod end;
mod leftovers;
mod lock;
mod state;
mod stop;
mod upgrade;

use std::collections::BTreeSet;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::Context;
use cli::{Call, Text, Usage, Warnings, text};
use machine::Pid;
use machine::scan::{Action, Id, Kept, Role, Scan};
use machine::stop::End;
use svdir::{Command, names};
use sys::limits::Resource;
use sys::process::{self, Change, Signal};
use sys::signals::Signals;
use sys::{environ, fd, identity, limits, oom, sealed, signals};

use arguments::{Arguments, Init, PROGRAM, Place, VOICE};
use directory::{Look, ScanDirectory};
use stop::Stopping;
use upgrade::ScanState;

use crate::service::log_pipe::LogPipe;
use crate::service::programs::{Peer, Peers};
use crate::service::running::RunningSupervise;
use crate::service::successor::{self, Answer, Received, Successor};
use crate::service::{BELOW_SVSCAN, LAST_RUN, STOP, be_spared, files, keep_to_ourselves, record, scan_dir, tick};

/// The program.
pub fn main(call: Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &Call) -> anyhow::Result<u8> {
    cli::init_log(PROGRAM.name);
    // A supervise that leaves before it is told to, a stderr that nobody reads, or that is as long as a file may be, is no reason to die.
    signals::survive_writes();
    // Nor to wait for whoever reads it.
    cli::write_errors_with(sys::fd::write_stderr_at_once);
    if let Some(name) = copier::received() {
        return copier::copy(&name);
    }
    let mut scanner = match successor::received(call) {
        Received::Question(state) => return Ok(successor::answer(ScanState::decode(&state).is_some())),
        Received::State(state) => Scanner::go_on(call, Arguments::of(call)?, &state)?,
        Received::Nothing => begin(call)?,
    };
    scanner.rescan();
    loop {
        scanner.act();
        if scanner.go_on_stopping() {
            return Ok(scanner.end());
        }
        scanner.wait();
    }
}

/// Begins anew. The init of a machine does not fail: it tries again.
fn begin(call: &Call) -> anyhow::Result<Scanner> {
    let arguments = Arguments::of(call)?;
    let machine = arguments.init.as_ref().is_some_and(|init| init.halt.is_some());
    loop {
        match Scanner::begin(call, &arguments) {
            Err(error) if machine => {
                PROGRAM.complain(call, &error);
                end::wait_to_begin_again();
            }
            done => return done,
        }
    }
}

struct Scanner {
    pub(super) scan: Scan<LogPipe>,
    pub(super) signals: Signals,
    pub(super) directory: ScanDirectory,
    /// Set if this is an init.
    pub(super) init: Option<Init>,
    /// Whether services without a logger get a copier.
    prefix: bool,
    /// What the copiers lock to write.
    lines: Option<OwnedFd>,
    /// The services of which the log supervise that runs is a copier.
    pub(super) copiers: BTreeSet<Id>,
    /// The stop, once it has begun.
    pub(super) stopping: Option<Stopping>,
    /// What svscan ends with, once that is known.
    pub(super) exit_code: Option<u8>,
    /// The supervises that are no children of ours: the write end of a FIFO that each of them reads for its life.
    others: Vec<(Id, Role, File)>,
    peers: Peers,
    /// The soft limit on open files that was inherited, for the children; `None` if it is still that.
    open_files: Option<u64>,
    /// Held by an init until the stop begins, which shall not fail for want of descriptors. A look at `/proc` takes two.
    pub(super) spare: Option<[File; 2]>,
    pub(super) said: Warnings,
    successor: Successor,
}

impl Scanner {
    /// Enters the scan directory.
    fn begin(call: &Call, arguments: &Arguments) -> anyhow::Result<Scanner> {
        let dir = match &arguments.place {
            Place::Here => OsString::from("."),
            Place::Named(dir) => dir.clone(),
            Place::Default => default_directory()?,
        };
        if arguments.place != Place::Here {
            std::env::set_current_dir(&dir).with_context(|| text!("unable to chdir to ", dir))?;
        }
        if let Some(name) = arguments.init.as_ref().and_then(|init| init.exit_with.as_deref()) {
            std::fs::metadata(name).with_context(|| text!("unable to find the service to end with, ", name))?;
        }
        if let Some(state) = &arguments.state {
            state::prepare(state)?;
            environ::set(files::VARIABLE, state.as_os_str());
        }
        fd::fill_standard().with_context(|| text!("unable to open /dev/null"))?;
        let directory = ScanDirectory::current().map_err(|error| {
            let busy = error.kind() == io::ErrorKind::WouldBlock;
            let text = text!("unable to lock ", dir, if busy { ", another svscan runs there" } else { "" });
            anyhow::Error::from(error).context(text)
        })?;
        be_spared(None);
        Scanner::new(call, arguments, directory, raise_open_files())
    }

    /// Goes on from the state that was handed over by the program that this one replaces.
    fn go_on(call: &Call, arguments: Arguments, state: &[u8]) -> anyhow::Result<Scanner> {
        let unable = || text!("unable to go on from what was handed over");
        let state = ScanState::decode(state).with_context(unable)?;
        let directory = ScanDirectory::inherit(state.lock).with_context(unable)?;
        be_spared(state.oom);
        let mut scanner = Scanner::new(call, &arguments, directory, state.open_files)?;
        let is_copier = |kept: &&Kept<_>| arguments.prefix && copier::is_copier(kept.log.life);
        let copiers =
            state.copiers.unwrap_or_else(|| state.services.iter().filter(is_copier).map(|kept| kept.id).collect());
        scanner.copiers.extend(copiers);
        if let Some(lines) = state.lines {
            scanner.lines = Some(sealed::inherit(lines).with_context(unable)?);
        }
        for kept in state.services {
            let Kept { id, names, main, log, pipe, released } = kept;
            let pipe = pipe.map(LogPipe::inherit).transpose().with_context(unable)?;
            scanner.scan.restore(tick(), Kept { id, names, main, log, pipe, released });
        }
        for (id, role, number) in state.others {
            scanner.others.push((id, role, sealed::inherit(number).with_context(unable)?.into()));
        }
        log::info!("going on as version {}", env!("CARGO_PKG_VERSION"));
        // Deaths of which the old program was not told any more.
        scanner.hear();
        Ok(scanner)
    }

    /// What another program needs to go on from here.
    fn state(&self) -> ScanState {
        let with_ends = |kept: Kept<&LogPipe>| {
            let Kept { id, names, main, log, pipe, released } = kept;
            Kept { id, names, main, log, pipe: pipe.map(LogPipe::ends), released }
        };
        ScanState {
            lock: self.directory.lock().map(sealed::number),
            open_files: self.open_files,
            oom: oom::original(),
            copiers: self.prefix.then(|| self.copiers.iter().copied().collect()),
            lines: self.lines.as_ref().map(|lines| sealed::number(lines.as_fd())),
            services: self.scan.kept().map(with_ends).collect(),
            others: self.others.iter().map(|(id, role, ok)| (*id, *role, sealed::number(ok.as_fd()))).collect(),
        }
    }

    /// Becomes the new file of this program, unless svscan was told to stop: of a signal that has come already the new program would not hear.
    fn succeed(&mut self, program: &Path) {
        // What comes from now on waits for the new program.
        let mask = self.signals.block();
        if self.is_told_to_stop() {
            self.obey_stop();
        } else {
            self.hand_over(program);
        }
        if let Ok(mask) = mask {
            mask.restore();
        }
    }

    fn hand_over(&self, program: &Path) {
        let pipes = self.scan.kept().filter_map(|kept| kept.pipe).flat_map(LogPipe::descriptors);
        let others = self.others.iter().map(|(_, _, ok)| ok.as_fd());
        let lines = self.lines.as_ref().map(AsFd::as_fd);
        let descriptors: Vec<_> = pipes.chain(others).chain(self.directory.lock()).chain(lines).collect();
        self.successor.succeed(program, &self.state().encode(), &descriptors, &self.signals);
    }

    fn new(
        call: &Call,
        arguments: &Arguments,
        directory: ScanDirectory,
        open_files: Option<u64>,
    ) -> anyhow::Result<Scanner> {
        // A HUP that is ignored, as under nohup, stays so.
        let hup = (!signals::is_ignored(Signal::SIGHUP)).then_some(Signal::SIGHUP);
        let stop = arguments.init.iter().flat_map(|_| STOP);
        let caught: Vec<Signal> = [Signal::SIGCHLD, Signal::SIGUSR2].into_iter().chain(hup).chain(stop).collect();
        // Set by another svscan: for all, or for a supervise in whose service this one runs.
        [BELOW_SVSCAN, LAST_RUN].into_iter().for_each(|name| drop(environ::take(name)));
        keep_to_ourselves();
        // Services whose supervise was killed, and what services leave behind.
        process::adopt_orphans();
        Ok(Scanner {
            scan: Scan::default(),
            signals: Signals::catch(&caught).with_context(|| text!("unable to create pipe"))?,
            directory,
            init: arguments.init.clone(),
            prefix: arguments.prefix,
            lines: None,
            copiers: BTreeSet::new(),
            stopping: None,
            exit_code: None,
            others: Vec::new(),
            peers: Peers::of(call),
            open_files,
            spare: arguments.init.as_ref().and_then(|_| spare().ok()),
            said: Warnings::new(VOICE),
            successor: Successor::new(call, VOICE, text!("svscan")),
        })
    }

    /// Sleeps until something happens, and takes it in.
    fn wait(&mut self) {
        self.directory.watch_only(|id| self.scan.is_filling(id));
        let own = match &self.stopping {
            Some(stopping) => stopping.deadline(),
            None => self.scan.deadline(),
        };
        let deadline = [own, self.successor.deadline()].into_iter().flatten().min();
        let timeout = self.signals.timeout(deadline.map(|deadline| tick().until(deadline)));
        let signals = self.signals.fd();
        let changes = self.directory.fd().filter(|_| self.stopping.is_none()).unwrap_or(signals);
        let others: Vec<_> = self.others.iter().map(|(_, _, ok)| ok.as_fd()).collect();
        match sys::poll::readable_or_unread([signals, changes], &others, timeout) {
            Ok(([signalled, changed], ended)) => {
                self.said.over("poll");
                for place in ended.into_iter().rev() {
                    self.lose(place);
                }
                if signalled || self.signals.came() {
                    self.hear();
                }
                if changed && self.stopping.is_none() {
                    self.take_changes();
                }
            }
            Err(error) => {
                self.said.warning("poll", text!("unable to wait, trying again in a second"), &error);
                sys::poll::rest();
                self.hear();
                // A supervise is not started again when its name has gone before it.
                if self.stopping.is_none() {
                    self.take_changes();
                }
            }
        }
    }

    /// Does all that is due.
    fn act(&mut self) {
        self.successor.timeout();
        if self.stopping.is_some() {
            return;
        }
        while let Some(action) = self.scan.next(tick()) {
            match action {
                Action::Rescan => self.rescan(),
                Action::Start(id, Role::Main) => self.start_main(id),
                Action::Start(id, Role::Log) => self.start_log(id),
                Action::Look(id, role) => self.look_for_supervise(id, role),
                Action::Release(id, logger) => self.release(id, logger),
            }
        }
    }

    /// Whether TERM or INT has come since this was asked.
    fn is_told_to_stop(&self) -> bool {
        self.init.is_some() && STOP.map(|signal| self.signals.arrived(signal)) != [false; 2]
    }

    fn hear(&mut self) {
        self.signals.drain();
        let mut successor = None;
        while let Some((pid, change)) = process::reap() {
            let code = match change {
                Change::Exited(code) => Some(code),
                Change::Killed(_) => None,
                Change::Stopped | Change::Continued => continue,
            };
            let service = self.scan.died(tick(), Pid(pid.as_raw().unsigned_abs()), code);
            let Some((id, role)) = service else {
                if let Answer::Yes(program) = self.successor.hear(Pid(pid.as_raw().unsigned_abs()), change) {
                    successor = Some(program);
                }
                if let Some(stopping) = &mut self.stopping {
                    stopping.orphan_ended();
                }
                continue;
            };
            log::info!("{}: supervise pid {pid} {change}", self.describe(service));
            if role == Role::Log {
                self.copiers.remove(&id);
            }
            self.note_end(id, role, if code.is_some() { End::Left } else { End::Killed });
            self.see_end(id, role);
        }
        if self.is_told_to_stop() {
            self.obey_stop();
        }
        if let Some(program) = successor.filter(|_| self.stopping.is_none()) {
            self.succeed(&program);
        }
        if self.stopping.is_some() {
            return;
        }
        if self.signals.arrived(Signal::SIGUSR2) {
            log::info!("USR2: looking for a new svscan");
            self.successor.ask(&self.state().encode());
        }
        if self.signals.arrived(Signal::SIGHUP) {
            log::info!("HUP: looking at everything");
            self.rescan();
        }
    }

    /// A supervise that is no child of ours has ended.
    fn lose(&mut self, place: usize) {
        let (id, role, _) = self.others.swap_remove(place);
        log::info!("{}: supervise ended", self.describe(Some((id, role))));
        self.scan.lost(tick(), id, role);
        if self.stopping.is_some() {
            let end = if self.has_left(id, role) { End::Left } else { End::Killed };
            self.note_end(id, role, end);
        }
        self.see_end(id, role);
    }

    /// Whether this is the service with which svscan ends.
    fn ends_with(&self, id: Id) -> bool {
        let name = self.init.as_ref().and_then(|init| init.exit_with.as_deref());
        let entry = name.and_then(|name| std::fs::metadata(name).ok());
        entry.is_some_and(|entry| id == Id { device: entry.dev(), inode: entry.ino() })
    }

    /// A supervise ended. If it is that of the service with which svscan ends, this is its code; and if `run` ended by itself, the stop
    /// begins.
    fn see_end(&mut self, id: Id, role: Role) {
        let Some(name) = self.init.as_ref().and_then(|init| init.exit_with.clone()) else {
            return;
        };
        if role != Role::Main || !self.ends_with(id) {
            return;
        }
        let record = record::read(&files::of(Path::new(&name), names::STATUS)).ok().flatten();
        let Some((_, more)) = record.filter(|(_, more)| more.left) else {
            return;
        };
        if self.stopping.is_some() || more.ended {
            self.exit_code = self.exit_code.or(more.last_exit.map(end::code));
        }
        if self.stopping.is_none() && more.ended {
            log::info!("{}: ended, and svscan with it", Path::new(&name).display());
            self.stop();
        }
    }

    /// Whether the record of a supervise that ended says that it had nothing to do any more.
    fn has_left(&self, id: Id, role: Role) -> bool {
        let Some(name) = self.scan.name(id) else {
            return true;
        };
        let dir = match role {
            Role::Main => Path::new(&*name).to_path_buf(),
            Role::Log => Path::new(&*name).join(names::LOG),
        };
        // Other suites tell nothing. Theirs are not taken over either.
        record::read(&files::of(&dir, names::STATUS)).ok().flatten().is_none_or(|(_, more)| more.left)
    }

    fn take_changes(&mut self) {
        match self.directory.changes() {
            Ok(looks) => {
                self.said.over("changes");
                for look in looks {
                    match look {
                        Look::Everything => self.rescan(),
                        Look::Name(name) => self.look(&name),
                        Look::Filling(id) => self.scan.names(id).iter().for_each(|name| self.look(name)),
                    }
                }
            }
            Err(error) => {
                self.said.warning("changes", text!("unable to read changes, looking at everything"), &error);
                self.rescan();
            }
        }
    }

    /// For the log: a service's directory, as it is started.
    fn describe(&self, service: Option<(Id, Role)>) -> String {
        let name = service.and_then(|(id, _)| self.scan.name(id));
        let name = name.map_or("not listed".into(), |name| name.display().to_string());
        match service {
            Some((_, Role::Log)) => format!("{name}/{}", names::LOG),
            Some((_, Role::Main)) | None => name,
        }
    }

    /// Looks at every name in the scan directory.
    fn rescan(&mut self) {
        match self.directory.renew() {
            Ok(()) => self.said.over("watch"),
            Err(error) => {
                let text = text!("unable to watch the scan directory, looking every 5 seconds");
                self.said.warning("watch", text, &error);
            }
        }
        let names = self.directory.names();
        if self.directory.is_locked_by_a_stranger() {
            let text = text!("unable to lock the scan directory, which a stranger has locked, going on without");
            self.said.warning("lock", text, &io::Error::from_raw_os_error(sys::EAGAIN));
        } else {
            self.said.over("lock");
        }
        match names {
            Ok(names) => {
                self.said.over("directory");
                self.look_at_all(names);
            }
            Err(error) => {
                self.said.warning("directory", text!("unable to read directory"), &error);
                self.scan.rescan_later(tick());
            }
        }
        if !self.directory.is_watched() {
            self.scan.rescan_later(tick());
        }
    }

    fn look_at_all(&mut self, names: Vec<OsString>) {
        self.scan.begin_pass();
        for name in &names {
            self.look(name);
        }
        self.scan.end_pass(tick());
        let names: BTreeSet<OsString> = names.into_iter().collect();
        self.said.retain(b"", |subject| name_of(subject).is_none_or(|name| names.contains(name)));
    }

    /// Looks at one name in the scan directory, which may be gone.
    fn look(&mut self, name: &OsStr) {
        if name.as_bytes().starts_with(b".") {
            return;
        }
        let now = tick();
        match std::fs::metadata(name) {
            Ok(entry) if entry.is_dir() => {
                self.said.over(subject(NAME, name));
                self.see(name, Id { device: entry.dev(), inode: entry.ino() });
            }
            Ok(_) => {
                self.said.over(subject(NAME, name));
                self.scan.unlisted(now, name);
            }
            Err(_) if std::fs::symlink_metadata(name).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) => {
                self.said.retain(b"", |subject| name_of(subject) != Some(name));
                self.scan.unlisted(now, name);
            }
            Err(error) => {
                self.said.warning(subject(NAME, name), text!("unable to stat ", name), &error);
                self.scan.unlisted(now, name);
                // What it points to may appear where nobody watches.
                self.scan.rescan_later(now);
            }
        }
    }

    /// The name is that of a directory.
    fn see(&mut self, name: &OsStr, id: Id) {
        let run = Path::new(name).join(names::RUN);
        let mut complete = !self.scan.is_new(id)
            || is_executable(&run)
            || RunningSupervise::find(Path::new(name)).is_ok_and(|other| other.is_some());
        if !complete && !self.scan.is_filling(id) {
            self.directory.watch_filling(name, id);
            // It may have been filled before it was watched.
            complete = is_executable(&run);
        }
        self.scan.seen(tick(), name, id, complete);
    }

    pub(super) fn start_main(&mut self, id: Id) {
        let Some(name) = self.scan.name(id) else {
            return;
        };
        self.directory.stop_watching(id);
        let Ok(has_log) = self.has_log(&name) else {
            return self.fail_to_start(id, Role::Main);
        };
        if let Err(error) = self.prepare_log(id, &name, has_log) {
            self.said.warning(subject(b"pipe", &name), text!("unable to create pipe for ", &*name), &error);
            return self.fail_to_start(id, Role::Main);
        }
        self.said.over(subject(b"pipe", &name));
        self.start(id, Role::Main, &name);
    }

    pub(super) fn start_log(&mut self, id: Id) {
        let Some(name) = self.scan.name(id) else {
            return;
        };
        match self.has_log(&name) {
            Ok(false) if self.prefix => return self.start_copier(id, &name),
            Ok(_) => {}
            Err(()) => return self.fail_to_start(id, Role::Log),
        }
        // The service's name stands in the logger's messages, unlike in the original's, which are about "log".
        let dir = Path::new(&*name).join(names::LOG);
        self.start(id, Role::Log, dir.as_os_str());
    }

    /// Starts what reads the output of a service without a logger.
    fn start_copier(&mut self, id: Id, name: &OsStr) {
        if self.lines.is_none() {
            self.lines = copier::lock().ok();
        }
        let environment = Some(copier::environment(name, self.lines.is_some()));
        let start = Start { open_files: self.open_files, own_session: true, environment };
        let copier = self.peers.program("svscan", &[]);
        let input = self.scan.pipe(id).map(|pipe| (pipe.reader(), 0));
        let lock = self.lines.as_ref().map(|lines| (lines.as_fd(), copier::LOCK));
        let descriptors: Vec<_> = input.into_iter().chain(lock).collect();
        let started = spawn(&copier, &start, ("the copier of ", name), &descriptors);
        if started.is_ok() {
            self.copiers.insert(id);
        }
        self.note_start(id, Role::Log, name, started);
    }

    /// Takes a supervise for what it is that had the lock before one of ours could get it.
    pub(super) fn look_for_supervise(&mut self, id: Id, role: Role) {
        let Some(name) = self.scan.name(id) else {
            return;
        };
        let dir = match role {
            Role::Main => Path::new(&*name).to_path_buf(),
            Role::Log => Path::new(&*name).join(names::LOG),
        };
        if let Ok(Some(RunningSupervise { ok, pid })) = RunningSupervise::find(&dir) {
            log::info!("{}: a supervise runs already", dir.display());
            self.others.push((id, role, ok));
            self.scan.found(tick(), id, role, pid);
        }
    }

    /// Starts a supervise in `dir`, unless one runs there already, as after the death of another svscan. Then its end is waited for.
    fn start(&mut self, id: Id, role: Role, dir: &OsStr) {
        match RunningSupervise::find(Path::new(dir)) {
            Ok(Some(RunningSupervise { ok, pid })) => {
                log::info!("{}: a supervise runs already", dir.display());
                self.others.push((id, role, ok));
                self.scan.found(tick(), id, role, pid);
                return self.note(|stop| stop.started(id, role));
            }
            Ok(None) => self.said.over(subject(b"ok", dir)),
            Err(error) => {
                let text = text!("unable to open ", files::of(Path::new(dir), names::OK));
                self.said.warning(subject(b"ok", dir), text, &error);
                return self.fail_to_start(id, role);
            }
        }
        let last_run = role == Role::Main && self.ends_with(id);
        let pipe = self.scan.pipe(id);
        let end = match role {
            Role::Main => pipe.and_then(|pipe| Some((pipe.writer()?, 1))),
            Role::Log => pipe.map(|pipe| (pipe.reader(), 0)),
        };
        let given = [(BELOW_SVSCAN, role == Role::Main && end.is_some()), (LAST_RUN, last_run)];
        let start =
            Start { open_files: self.open_files, own_session: self.init.is_some(), environment: telling(given) };
        // A service may be called --help.
        let dotted = Path::new(".").join(dir);
        let operand = if dir.as_bytes().starts_with(b"--") { dotted.as_os_str() } else { dir };
        let supervise = self.peers.program("supervise", &[operand]);
        let started = spawn(&supervise, &start, ("supervise ", dir), end.as_slice());
        self.note_start(id, role, dir, started);
    }

    fn note_start(&mut self, id: Id, role: Role, dir: &OsStr, started: io::Result<Started>) {
        match started {
            Ok(Started { pid, unable }) => {
                self.said.over(subject(b"fork", dir));
                match unable {
                    Some((text, error)) => self.said.warning(subject(b"exec", dir), text, &error),
                    None => self.said.over(subject(b"exec", dir)),
                }
                log::info!("{}: supervise started as pid {pid}", dir.display());
                match oom::failure() {
                    Some(error) => self.said.warning("oom", text!("unable to restore the OOM score for ", dir), &error),
                    None => self.said.over("oom"),
                }
                self.scan.started(tick(), id, role, Pid(pid.as_raw().unsigned_abs()));
                self.note(|stop| stop.started(id, role));
            }
            Err(error) => {
                self.said.warning(subject(b"fork", dir), text!("unable to fork for ", dir), &error);
                self.fail_to_start(id, role);
            }
        }
    }

    fn fail_to_start(&mut self, id: Id, role: Role) {
        self.scan.start_failed(tick(), id, role);
        self.note(|stop| stop.start_failed(id, role));
    }

    /// Makes the pipe to the logger of a service, each time that is started.
    fn prepare_log(&mut self, id: Id, name: &OsStr, has_log: bool) -> io::Result<()> {
        if has_log && self.copiers.contains(&id) && self.stopping.is_none() {
            // Another one than the copier's: that would never come to its end, and the logger would never be started.
            self.scan.change_pipe(id, usable(LogPipe::new()?)?);
            self.copiers.remove(&id);
        }
        if has_log || self.prefix {
            match self.scan.pipe(id) {
                Some(pipe) => pipe.reopen()?,
                None => {
                    let pipe = LogPipe::recover(Path::new(name)).map_or_else(LogPipe::new, Ok)?;
                    self.scan.set_pipe(id, Some(usable(pipe)?));
                }
            }
        } else if !self.scan.has_logger(id) {
            self.scan.set_pipe(id, None);
        }
        Ok(())
    }

    /// Whether there is a directory `log`. Anything else gets no pipe: nobody would read it. `Err` if that may be known another time.
    fn has_log(&mut self, name: &OsStr) -> Result<bool, ()> {
        let path = Path::new(name).join(names::LOG);
        let found = match std::fs::metadata(&path) {
            Ok(log) if log.is_dir() => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Ok(_) => Err((text!("starting ", name, " without a logger: ", path), io::ErrorKind::NotADirectory.into())),
            Err(error) => Err((text!("unable to stat ", path), error)),
        };
        match found {
            Ok(found) => {
                self.said.over(subject(b"log", name));
                Ok(found)
            }
            Err((text, error)) => {
                self.said.warning(subject(b"log", name), text, &error);
                if is_about_the_path(&error) { Ok(false) } else { Err(()) }
            }
        }
    }

    /// The service is gone for good. Its logger shall read what is left in the pipe, and end.
    fn release(&mut self, id: Id, logger: Pid) {
        if self.copiers.contains(&id) {
            return self.close_released(id);
        }
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
        self.close_released(id);
    }

    /// Lets the logger come to the end of file.
    fn close_released(&mut self, id: Id) {
        if let Some(pipe) = self.scan.pipe(id) {
            pipe.close_writer();
        }
        self.scan.released(id);
    }
}

/// The pipe, if there is a descriptor left for the start of the logger. Without that the service would write to a pipe that nobody reads.
fn usable(pipe: LogPipe) -> io::Result<LogPipe> {
    drop(pipe.reader().try_clone_to_owned()?);
    Ok(pipe)
}

/// Two descriptors that can be had.
fn spare() -> io::Result<[File; 2]> {
    let null = fd::open_read(Path::new("/dev/null"))?;
    Ok([null.try_clone()?, null])
}

/// What a supervise gets that svscan has otherwise.
struct Start {
    /// The soft limit on open files.
    open_files: Option<u64>,
    /// A session of its own: what is sent to the process group of an init is not meant for it.
    own_session: bool,
    /// The environment.
    environment: Option<Vec<CString>>,
}

/// The environment with those variables that are to be set; `None` for our own.
fn telling<const N: usize>(variables: [(&str, bool); N]) -> Option<Vec<CString>> {
    let set: Vec<_> = variables.iter().filter(|(_, set)| *set).map(|&(name, _)| (name, Some(b"1".to_vec()))).collect();
    (!set.is_empty()).then(|| environ::changed(&set))
}

/// A new child, and why it could not become what it should.
struct Started {
    pid: process::Pid,
    unable: Option<(Text, io::Error)>,
}

/// Becomes `program` in a new child, with each of `descriptors` placed as the number beside it, in this order. In messages it is what it does for
/// that directory.
fn spawn(
    program: &Peer,
    start: &Start,
    (what, dir): (&str, &OsStr),
    descriptors: &[(BorrowedFd<'_>, RawFd)],
) -> io::Result<Started> {
    let mut exec = program.prepare(start.environment.as_deref());
    let become_program = || {
        if let Some(soft) = start.open_files {
            let _ = limits::set_soft(Resource::RLIMIT_NOFILE, soft);
        }
        if start.own_session {
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
    Ok(Started { pid, unable })
}

/// Tells a supervise to leave when its service is down.
fn tell_to_exit(control: &Path) -> io::Result<()> {
    let control = fd::open_write(control)?;
    if !fd::is_fifo(&control)? {
        return Err(io::Error::from_raw_os_error(sys::ENOENT));
    }
    fd::write(control.as_fd(), &[Command::Exit.letter()]).map(drop)
}

/// The directory in which clients look for names.
fn default_directory() -> anyhow::Result<OsString> {
    let dir = scan_dir::directory().ok_or(Usage)?;
    if scan_dir::make(&dir).with_context(|| text!("unable to make ", dir))? {
        VOICE.say(&[&"made ", &dir]);
    }
    Ok(dir.into())
}

/// Two descriptors for each service with a logger: so many may be needed as the system gives. Returns the limit that was
/// inherited, if it is another now.
fn raise_open_files() -> Option<u64> {
    let limit = limits::get(Resource::RLIMIT_NOFILE).ok().filter(|limit| limit.soft < limit.hard)?;
    limits::set_soft(Resource::RLIMIT_NOFILE, limit.hard).ok()?;
    Some(limit.soft)
}

/// Warnings about what a name in the scan directory is.
const NAME: &[u8] = b"name";

/// What a warning is about: each kind of trouble with each directory is said by itself.
pub(super) fn subject(kind: &[u8], dir: &OsStr) -> Vec<u8> {
    [kind, b" ", dir.as_bytes()].concat()
}

/// The name in the scan directory that a [`subject`] is about; `None` for one that is about svscan itself.
fn name_of(subject: &[u8]) -> Option<&OsStr> {
    let at = subject.iter().position(|&byte| byte == b' ')?;
    subject[at + 1..].split(|&byte| byte == b'/').next().map(OsStr::from_bytes)
}

/// Whether what is wrong with a path is the path itself, so that it stays so until somebody changes it.
fn is_about_the_path(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, NotADirectory, PermissionDenied};
    matches!(error.kind(), NotADirectory | PermissionDenied | InvalidFilename)
        || error.raw_os_error() == Some(sys::ELOOP)
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_about_a_name_or_about_svscan() {
        for dir in ["a b", "a b/log"] {
            assert_eq!(name_of(&subject(b"fork", OsStr::new(dir))), Some(OsStr::new("a b")));
        }
        assert_eq!(name_of(b"watch"), None);
    }
}
