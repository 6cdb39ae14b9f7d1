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
mod looks;
mod proofs;
mod said;
mod services;
mod start;
mod state;
mod stop;
mod upgrade;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use anyhow::Context;
use cli::{Call, Usage, text};
use machine::Pid;
use machine::scan::{Action, Id, Reader, Role};
use machine::stop::End;
use sys::limits::Resource;
use sys::process::{self, Change, Signal};
use sys::signals::Signals;
use sys::{environ, fd, limits, oom, sealed, signals};

use arguments::{Arguments, Init, PROGRAM, Place, VOICE};
use directory::ScanDirectory;
use end::Last;
use proofs::Proofs;
use services::Services;
use start::Starter;
use stop::Stopping;
use upgrade::{Key, ScanState};

use crate::service::successor::{self, Answer, Received, Successor};
use crate::service::{BELOW_SVSCAN, LAST_RUN, STOP, be_spared, files, keep_to_ourselves, scan_dir, tick};

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
        Received::Question(call, state) => {
            let is_callable = Arguments::are_known(&call);
            return Ok(successor::answer(is_callable && ScanState::decode(&state).is_some()));
        }
        Received::State(state) => Scanner::go_on(call, Arguments::of(call)?, &state)?,
        Received::Nothing => begin(call)?,
    };
    scanner.rescan();
    loop {
        if scanner.act() {
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
    services: Services,
    directory: ScanDirectory,
    proofs: Proofs,
    starter: Starter,
    last: Last,
    /// The stop, once it has begun.
    stopping: Option<Stopping>,
    /// Set if this is an init.
    init: Option<Init>,
    /// Held by an init until the stop begins, which shall not fail for want of descriptors. A look at `/proc` takes two.
    spare: Option<[File; 2]>,
    signals: Signals,
    successor: Successor,
}

impl Scanner {
    /// Begins in the scan directory.
    fn begin(call: &Call, arguments: &Arguments) -> anyhow::Result<Scanner> {
        let dir = enter(&arguments.place)?;
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
        let starter = Starter::new(call, arguments, raise_open_files(), None);
        let signals = Signals::catch(&caught(arguments)).with_context(|| text!("unable to create pipe"))?;
        Ok(Scanner::new(call, arguments, directory, starter, signals))
    }

    /// Goes on from the state that was handed over by the program that this one replaces.
    fn go_on(call: &Call, arguments: Arguments, state: &[u8]) -> anyhow::Result<Scanner> {
        let unable = || text!("unable to go on from what was handed over");
        let mut state = ScanState::decode(state).with_context(unable)?;
        let directory = ScanDirectory::inherit(state.lock).with_context(unable)?;
        be_spared(state.oom);
        let lines = state.lines.map(sealed::inherit).transpose().with_context(unable)?;
        let starter = Starter::new(call, &arguments, state.open_files, lines);
        let signals = upgrade::catch_again(&caught(&arguments), &state.descriptors);
        let mut scanner = Scanner::new(call, &arguments, directory, starter, signals);
        if arguments.prefix && !state.tells_copiers {
            for kept in state.services.iter_mut().filter(|kept| copier::is_copier(kept.log.life)) {
                kept.reader = Reader::Copier;
            }
        }
        scanner.services.restore(state.services, state.others).with_context(unable)?;
        log::info!("going on as version {}", env!("CARGO_PKG_VERSION"));
        // Deaths of which the old program was not told any more.
        scanner.hear();
        Ok(scanner)
    }

    fn new(
        call: &Call,
        arguments: &Arguments,
        directory: ScanDirectory,
        starter: Starter,
        signals: Signals,
    ) -> Scanner {
        // Set by another svscan: for all, or for a supervise in whose service this one runs.
        [BELOW_SVSCAN, LAST_RUN].into_iter().for_each(|name| drop(environ::take(name)));
        keep_to_ourselves();
        // Services whose supervise was killed, and what services leave behind.
        process::adopt_orphans();
        let mut scanner = Scanner {
            services: Services::new(),
            directory,
            proofs: Proofs::new(call),
            starter,
            last: Last::new(arguments.init.as_ref().and_then(|init| init.exit_with.clone())),
            stopping: None,
            init: arguments.init.clone(),
            spare: None,
            signals,
            successor: Successor::new(call, VOICE, text!("svscan")),
        };
        scanner.keep_spare();
        scanner
    }

    /// Takes two descriptors for the stop, which an upgrade needs only for a moment.
    fn keep_spare(&mut self) {
        self.spare = self.init.as_ref().and_then(|_| spare().ok());
    }

    /// What another program needs to go on from here.
    fn state(&self) -> ScanState {
        let (services, others) = self.services.kept();
        let [reader, writer] = self.signals.descriptors().map(sealed::number);
        ScanState {
            lock: self.directory.lock().map(sealed::number),
            open_files: self.starter.open_files(),
            oom: oom::original(),
            tells_copiers: services.iter().any(|kept| kept.reader == Reader::Copier),
            lines: self.starter.lines().map(sealed::number),
            descriptors: vec![(Key::SIGNALS, reader), (Key::SIGNALS_WRITER, writer)],
            services,
            others,
        }
    }

    /// Becomes the new file of this program, unless svscan was told to stop: of a signal that has come already the new program would not hear.
    fn succeed(&mut self, program: &Path) {
        // What comes from now on waits for the new program.
        let mask = self.signals.block();
        if self.is_told_to_stop() {
            self.obey_stop();
        } else {
            // The new program takes its own.
            self.spare = None;
            let own = self.directory.lock().into_iter().chain(self.starter.lines()).chain(self.signals.descriptors());
            let descriptors: Vec<_> = self.services.descriptors().chain(own).collect();
            self.successor.succeed(program, &self.state().encode(), &descriptors, &self.signals);
            self.keep_spare();
        }
        if let Ok(mask) = mask {
            mask.restore();
        }
    }

    fn rescan(&mut self) {
        looks::rescan(&mut self.directory, &mut self.services, &mut self.proofs);
    }

    fn take_changes(&mut self) {
        looks::take_changes(&mut self.directory, &mut self.services, &mut self.proofs);
    }

    /// Sleeps until something happens, and takes it in.
    fn wait(&mut self) {
        let scan = &self.services.scan;
        self.directory.watch_only(|id| scan.is_filling(id));
        let own = match &self.stopping {
            Some(stopping) => stopping.deadline(),
            None => scan.deadline(),
        };
        let deadline = [own, self.proofs.deadline(), self.successor.deadline()].into_iter().flatten().min();
        let timeout = self.signals.timeout(deadline.map(|deadline| tick().until(deadline)));
        let signals = self.signals.fd();
        let changes = self.directory.fd().filter(|_| self.stopping.is_none()).unwrap_or(signals);
        let others: Vec<BorrowedFd<'_>> = self.services.others().collect();
        match sys::poll::readable_or_unread([signals, changes], &others, timeout) {
            Ok(([signalled, changed], ended)) => {
                self.services.said.over("poll");
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
                self.services.said.warning("poll", text!("unable to wait, trying again in a second"), &error);
                sys::poll::rest();
                self.hear();
                // A supervise is not started again when its name has gone before it.
                if self.stopping.is_none() {
                    self.take_changes();
                }
            }
        }
    }

    /// Does all that is due. Returns whether a stop is over.
    fn act(&mut self) -> bool {
        self.successor.timeout();
        if let Some(stopping) = &mut self.stopping {
            return stopping.go_on(&mut self.services, &mut self.starter);
        }
        self.proofs.say_late(&mut self.services.said);
        for (id, role) in self.proofs.postponed() {
            self.start(id, role);
        }
        while let Some(action) = self.services.scan.next(tick()) {
            match action {
                Action::Rescan => self.rescan(),
                Action::Start(id, role) => self.start(id, role),
                Action::Look(id, role) => self.services.look_for_supervise(id, role),
                Action::Release(id, logger) => self.services.release(id, logger),
            }
        }
        false
    }

    /// Starts a supervise, as soon as it is known that a look at its directory comes back.
    fn start(&mut self, id: Id, role: Role) {
        let Some(name) = self.services.scan.name(id).filter(|_| !self.services.scan.runs(id, role)) else {
            return;
        };
        if !self.proofs.may_look(&name, &mut self.services.said) {
            return self.proofs.postpone(id, role);
        }
        self.directory.stop_watching(id);
        self.starter.start(&mut self.services, id, role);
    }

    fn hear(&mut self) {
        self.signals.drain();
        let (mut successor, mut proved) = (None, Vec::new());
        while let Some((pid, change)) = process::reap() {
            let code = match change {
                Change::Exited(code) => Some(code),
                Change::Killed(_) => None,
                Change::Stopped | Change::Continued => continue,
            };
            let number = Pid(pid.as_raw().unsigned_abs());
            match self.services.scan.died(tick(), number, code) {
                Some((id, role)) => {
                    log::info!("{}: supervise pid {pid} {change}", self.services.describe(id, role));
                    self.see_end(id, role, if code.is_some() { End::Left } else { End::Killed });
                }
                None => {
                    if let Some(name) = self.proofs.ended(number, &mut self.services.said) {
                        proved.push(name);
                    }
                    if let Answer::Yes(program) = self.successor.hear(number, change) {
                        successor = Some(program);
                    }
                    if let Some(stopping) = &mut self.stopping {
                        stopping.orphan_ended();
                    }
                }
            }
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
        for name in proved {
            looks::look(&mut self.directory, &mut self.services, &mut self.proofs, &name);
        }
        if self.signals.arrived(Signal::SIGUSR2) {
            log::info!("USR2: looking for a new svscan");
            self.spare = None;
            self.successor.ask(&self.state().encode());
            self.keep_spare();
        }
        if self.signals.arrived(Signal::SIGHUP) {
            log::info!("HUP: looking at everything");
            self.rescan();
        }
    }

    /// A supervise that is no child of ours has ended.
    fn lose(&mut self, place: usize) {
        let (id, role) = self.services.lose(place);
        let left = self.stopping.is_none() || self.services.has_left(id, role);
        self.see_end(id, role, if left { End::Left } else { End::Killed });
    }

    /// A supervise ended.
    fn see_end(&mut self, id: Id, role: Role, end: End) {
        if let Some(stopping) = &mut self.stopping {
            stopping.ended(id, role, end);
        }
        if self.last.see_end(id, role, self.stopping.is_some()) {
            self.stop();
        }
    }

    /// Whether TERM or INT has come since this was asked.
    fn is_told_to_stop(&self) -> bool {
        self.init.is_some() && STOP.map(|signal| self.signals.arrived(signal)) != [false; 2]
    }

    /// TERM or INT came: begins the stop, or cuts it short if one of them came before.
    fn obey_stop(&mut self) {
        self.stop().ask();
    }

    /// Begins the stop, unless it has begun.
    fn stop(&mut self) -> &mut Stopping {
        self.spare = None;
        self.stopping.get_or_insert_with(|| {
            let grace = self.init.as_ref().map_or(0, |init| init.grace);
            self.directory.unwatch();
            self.starter.end();
            Stopping::begin(&mut self.services, grace)
        })
    }

    /// The stop is over. Ends, with this code, or becomes another program.
    fn end(&self) -> u8 {
        if let Some(stopping) = &self.stopping {
            stopping.say_late(&self.services);
        }
        end::end(&self.signals, self.init.as_ref().and_then(|init| init.halt.as_deref()));
        self.last.code()
    }
}

/// The signals that svscan hears of.
fn caught(arguments: &Arguments) -> Vec<Signal> {
    // A HUP that is ignored, as under nohup, stays so.
    let hup = (!signals::is_ignored(Signal::SIGHUP)).then_some(Signal::SIGHUP);
    let stop = arguments.init.iter().flat_map(|_| STOP);
    [Signal::SIGCHLD, Signal::SIGUSR2].into_iter().chain(hup).chain(stop).collect()
}

/// Makes the scan directory the current one. Returns how messages call it.
fn enter(place: &Place) -> anyhow::Result<OsString> {
    let dir = match place {
        Place::Here => return Ok(".".into()),
        Place::Named(dir) => dir.clone(),
        Place::Default => default_directory()?,
    };
    std::env::set_current_dir(&dir).with_context(|| text!("unable to chdir to ", dir))?;
    Ok(dir)
}

/// Two descriptors that can be had.
fn spare() -> io::Result<[File; 2]> {
    let null = fd::open_read(Path::new("/dev/null"))?;
    Ok([null.try_clone()?, null])
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
