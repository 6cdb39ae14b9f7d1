//! `hupwatch -- command`: runs a command, and on HUP replaces it by a new copy of itself, without a moment in which none runs.
//!
//! The loop translates between the kernel and the machine that decides ([`machine::hupwatch`]). It waits only in poll, for events.

mod check;
mod log;
mod options;
mod pidfile;

use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use anyhow::Context;
use cli::{Call, text};
use machine::hupwatch::{Action, Event, Machine};
use machine::{Pid, Tick};
use svdir::Exit;
use svdir::notify::Notice;
use sys::exec::Prepared;
use sys::notify::{self, NOTIFY_SOCKET};
use sys::passed::{FIRST, LISTEN_PID, PassedFd, PassedFds};
use sys::process::{self, Change, Signal};
use sys::signals::{self, Signals};
use sys::{environ, fd};

use check::Check;
use log::{Level, Log};
use options::{PROGRAM, Ready, Settled};
use pidfile::Pidfile;

use crate::service::notify::NotifySocket;
use crate::service::processes::signalled;
use crate::service::ready_pipe::{self, Heard};
use crate::service::{exec, listeners};

/// How many datagrams are read in one turn of the loop.
const WORDS: usize = 8;

/// The program.
pub fn main(call: Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &Call) -> anyhow::Result<u8> {
    let Some(mut settled) = options::read(call)? else {
        PROGRAM.show_help();
        return Ok(0);
    };
    // When process 1 ends, the kernel kills what is left, without any time to end in order.
    if process::own_pid().as_raw() == 1 {
        settled.plan.kill_at_exit = settled.plan.kill_at_exit.or(settled.plan.settings.give_up_grace);
    }
    let mut watch = Watch::open(&settled)?;
    watch.log.line(Level::Info, format_args!("Starting HUP watch ({})", process::own_pid()));
    watch.step(Event::Begin);
    watch.pause();
    let code = loop {
        if let Some(code) = watch.exit_code {
            break code;
        }
        watch.turn();
    };
    let interrupted = watch.interrupted;
    drop(watch);
    if interrupted {
        signals::die_of(Signal::SIGINT);
    }
    Ok(code)
}

struct Watch<'a> {
    settled: &'a Settled,
    machine: Machine,
    log: Log,
    signals: Signals,
    sockets: Vec<OwnedFd>,
    /// Whether hupwatch was started with sockets, which every copy inherits.
    inherited: bool,
    notify: NotifySocket,
    /// The readiness pipes, at most one for each of two copies.
    pipes: [Option<(Pid, OwnedFd)>; 2],
    check: Option<Check>,
    /// Whether the command could be executed at least once.
    has_run: bool,
    interrupted: bool,
    /// The exit code of hupwatch, once it is known.
    exit_code: Option<u8>,
    _pidfile: Option<Pidfile>,
}

impl<'a> Watch<'a> {
    /// Opens everything that the loop needs. The state is on the heap, and functions that are needed seldom are not inlined: a page of the
    /// stack that was touched once belongs to the process for the rest of its life.
    #[inline(never)]
    fn open(settled: &'a Settled) -> anyhow::Result<Box<Watch<'a>>> {
        // So that hupwatch learns of the end of all members of a process group, not only of the copy that leads it.
        if settled.plan.kill_at_exit.is_some() {
            process::adopt_orphans(true);
        }
        // hupwatch must not die because nobody reads its log, or because the log has reached its size limit.
        signals::survive_writes();
        // Nor must it wait for the reader.
        cli::write_errors_with(sys::fd::write_stderr_at_once);
        let signals = Signals::catch(&caught()).with_context(|| text!("unable to create pipe"))?;
        // Check the descriptor numbers before anything is made. The signal pipe stands in for the descriptors that each
        // copy will get.
        let stand_ins = settled.listeners.iter().map(|_| signals.fd());
        PassedFds::new(&passed(settled, stand_ins, signals.fd()))
            .map_err(|clash| options::wrong(text!(clash.to_string().as_str())))?;
        let inherited = inherited_sockets().filter(|_| settled.listeners.is_empty());
        if let (Ready::Descriptor(number), Some(sockets)) = (&settled.ready, &inherited)
            && sockets.contains(number)
        {
            return Err(options::wrong(text!("descriptor ", u64::from(number.unsigned_abs()), " is given twice")));
        }
        let mut notify = NotifySocket::default();
        if settled.ready == Ready::Notify {
            notify.open_abstract().with_context(|| text!("unable to create a socket for readiness"))?;
        }
        let sockets = listeners::open_all(&settled.listeners)?;
        let pidfile = settled
            .pidfile
            .as_deref()
            .map(|path| Pidfile::write(path).with_context(|| text!("unable to write ", path)))
            .transpose()
            .inspect_err(|_| listeners::remove_files(&settled.listeners))?;
        Ok(Box::new(Watch {
            settled,
            machine: Machine::new(settled.plan),
            log: Log::of(settled.verbose),
            signals,
            inherited: inherited.is_some(),
            sockets,
            notify,
            pipes: [None, None],
            check: None,
            has_run: false,
            interrupted: false,
            exit_code: None,
            _pidfile: pidfile,
        }))
    }

    /// Waits for events, and acts on them.
    #[inline(never)]
    fn turn(&mut self) {
        let deadlines =
            [self.machine.deadline(), self.check.as_ref().and_then(Check::deadline), self.notify.deadline()];
        let deadline = deadlines.into_iter().flatten().min();
        let timeout = self.signals.timeout(deadline.map(|deadline| now().until(deadline)));
        let bell = self.signals.fd();
        let pipe = |at: usize| self.pipes[at].as_ref().map_or(bell, |(_, pipe)| pipe.as_fd());
        let notify = self.notify.fd().unwrap_or(bell);
        let readable = sys::poll::readable([bell, notify, pipe(0), pipe(1)], timeout).unwrap_or_else(|error| {
            self.log.line(Level::Error, format_args!("unable to wait: {}", cli::reason(&error)));
            sys::poll::rest();
            [true; 4]
        });
        let [came, notified, first, second] = readable;
        if came || self.signals.came() {
            self.hear();
        }
        if notified {
            self.receive();
        }
        for (at, readable) in [first, second].into_iter().enumerate() {
            if readable {
                self.read_pipe(at);
            }
        }
        if self.machine.deadline().is_some_and(|deadline| deadline <= now()) {
            self.step(Event::Timeout);
        }
        self.run_check();
    }

    /// Acts on the signals that have come. If HUP and TERM came together, HUP is handled first: the reload is done before the
    /// end.
    fn hear(&mut self) {
        self.signals.drain();
        let mut heard = false;
        if self.signals.arrived(Signal::SIGCHLD) {
            self.reap();
            heard = true;
        }
        if self.signals.arrived(Signal::SIGHUP) {
            self.step(Event::Hup);
            heard = true;
        }
        let interrupted = self.signals.arrived(Signal::SIGINT);
        // Ask for all three, so that none is reported again later.
        if [self.signals.arrived(Signal::SIGTERM), self.signals.arrived(Signal::SIGALRM), interrupted].contains(&true) {
            self.interrupted |= interrupted;
            self.log.line(Level::Debug, format_args!("TERM: >>>"));
            self.step(Event::Leave);
            self.log.line(Level::Debug, format_args!("TERM: <<<"));
            heard = true;
        }
        if heard {
            self.pause();
        }
    }

    fn pause(&self) {
        if self.exit_code.is_none() {
            self.log.line(Level::Info, format_args!("Pausing for signal"));
        }
    }

    fn reap(&mut self) {
        self.log.line(Level::Debug, format_args!("CHLD: >>>"));
        while let Some((pid, change)) = process::reap() {
            let exit = match change {
                Change::Exited(code) => Exit::Code(code),
                Change::Killed(signal) => Exit::Signal(signal as u8),
                // Somebody else has stopped it, and may continue it.
                Change::Stopped | Change::Continued => continue,
            };
            self.ended(pid, change, exit);
        }
        for leader in self.machine.ending().into_iter().flatten() {
            if !process::group_exists(raw(leader)) {
                self.step(Event::GroupGone(leader));
            }
        }
        self.log.line(Level::Debug, format_args!("CHLD: <<<"));
    }

    fn ended(&mut self, pid: process::Pid, change: Change, exit: Exit) {
        if self.notify.ended(pid) {
            return;
        }
        self.listen_again();
        if let Some(check) = &mut self.check {
            let copy = check.copy();
            match check.ended(now(), pid, change) {
                Some(true) => return self.step(Event::Ready(copy)),
                Some(false) => return,
                None => {}
            }
        }
        let group_exists = self.settled.plan.kill_at_exit.is_some() && process::group_exists(pid);
        let pid = Pid(pid.as_raw().unsigned_abs());
        for pipe in &mut self.pipes {
            pipe.take_if(|(copy, _)| *copy == pid);
        }
        self.step(Event::Died { pid, exit, group_exists });
    }

    /// Listens again on sockets that a copy has shut down, for all processes, before it ended.
    fn listen_again(&self) {
        for (listener, socket) in self.settled.listeners.iter().zip(&self.sockets) {
            match sys::listen::again(socket, listeners::manner(listener)) {
                Ok(false) => {}
                Ok(true) => self.log.line(Level::Error, format_args!("{listener} was shut down, listening again")),
                Err(error) => {
                    let reason = cli::reason(&error);
                    self.log.line(Level::Error, format_args!("unable to listen on {listener} again: {reason}"));
                }
            }
        }
    }

    /// Reads sd_notify messages of copies, a few datagrams at a time, so that a process that does not stop writing cannot block hupwatch.
    /// Messages of other processes, or of a copy that serves already, are ignored.
    #[inline(never)]
    fn receive(&mut self) {
        let mut buffer = [0; notify::LONGEST];
        for _ in 0..WORDS {
            let Some(message) = self.notify.receive([self.machine.warming(), None], &mut buffer, |_, _| ()) else {
                return;
            };
            let Some(copy) = message.by else {
                continue;
            };
            for notice in message.words() {
                match notice {
                    Notice::Ready => self.step(Event::Ready(copy)),
                    Notice::ExtendTimeout(nanoseconds) => self.step(Event::Extend(copy, nanoseconds)),
                    Notice::Reloading(_)
                    | Notice::Stopping
                    | Notice::Status(_)
                    | Notice::MainPid(_)
                    | Notice::Watchdog
                    | Notice::WatchdogTrigger
                    | Notice::WatchdogInterval(_)
                    | Notice::Store(_)
                    | Notice::Unstore(_)
                    | Notice::Barrier => {}
                }
            }
        }
    }

    /// Reads what a copy has written to its readiness pipe. The first newline says that it is ready; after that, or at the end of file,
    /// the pipe is closed.
    fn read_pipe(&mut self, at: usize) {
        let Some((copy, pipe)) = &self.pipes[at] else {
            return;
        };
        let copy = *copy;
        match ready_pipe::hear(pipe.as_fd()) {
            Heard::Nothing => {}
            Heard::Ready => {
                self.pipes[at] = None;
                self.step(Event::Ready(copy));
            }
            Heard::End => self.pipes[at] = None,
        }
    }

    /// Runs the check while there is a new copy that is not ready.
    fn run_check(&mut self) {
        let warming = self.machine.warming();
        if self.check.as_ref().is_some_and(|check| Some(check.copy()) != warming) {
            self.check = None;
        }
        let (Ready::Check(command), Some(copy)) = (&self.settled.ready, warming) else {
            return;
        };
        let check = self.check.get_or_insert_with(|| Check::new(copy, command, now()));
        if let Err(error) = check.turn(now()) {
            self.log.line(Level::Error, format_args!("HUP: unable to fork for the check: {}", cli::reason(&error)));
        }
    }

    /// Gives an event to the machine, and does what it decides.
    fn step(&mut self, event: Event) {
        for action in self.machine.step(now(), event) {
            match action {
                Action::Spawn => self.spawn(),
                Action::Term(pid) => signalled(process::kill(raw(pid), Signal::SIGTERM)),
                Action::TermGroup(pid) => {
                    signalled(process::kill_group(raw(pid), Signal::SIGTERM));
                    signalled(process::kill_group(raw(pid), Signal::SIGCONT));
                }
                Action::KillGroup(pid) => signalled(process::kill_group(raw(pid), Signal::SIGKILL)),
                Action::Say(say) => self.log.say(say),
                Action::Quit(exit) => self.exit_code = Some(self.code(exit)),
            }
        }
    }

    fn code(&self, exit: Option<Exit>) -> u8 {
        match exit {
            _ if !self.has_run => cli::TEMPORARY,
            None => 0,
            Some(_) if self.settled.compat => 0,
            Some(Exit::Code(code)) => code,
            Some(Exit::Signal(signal)) => signal.saturating_add(128),
            Some(Exit::Unknown) => cli::TEMPORARY,
        }
    }

    /// Starts a copy, and gives the outcome to the machine. A start is always the last action of its step, so the steps
    /// nest no deeper than this.
    fn spawn(&mut self) {
        match self.start() {
            Ok(pid) => self.step(Event::Started(pid)),
            Err(error) => {
                if self.has_run {
                    self.log.line(Level::Error, format_args!("HUP: unable to fork: {}", cli::reason(&error)));
                } else {
                    PROGRAM.voice().fatal(&text!("unable to fork"), &error);
                }
                self.step(Event::SpawnFailed);
            }
        }
    }

    fn start(&mut self) -> io::Result<Pid> {
        let (reader, writer) = match self.settled.ready {
            Ready::Descriptor(_) => fd::pipe().map(|(reader, writer)| (Some(reader), Some(writer)))?,
            Ready::WarmUp | Ready::Notify | Ready::Check(_) => (None, None),
        };
        if let Some(reader) = &reader {
            fd::set_nonblocking(reader.as_fd())?;
        }
        let (pid, runs) = self.start_with(writer.as_ref().map_or(self.signals.fd(), AsFd::as_fd))?;
        self.has_run |= runs;
        if let Some(reader) = reader {
            let free = self.pipes.iter_mut().find(|pipe| pipe.is_none());
            // There are never more than two copies, so one of the two places is free.
            if let Some(free) = free {
                *free = Some((pid, reader));
            }
        }
        Ok(pid)
    }

    /// Starts a copy. Returns its pid, and whether the command could be executed, as far as that is known.
    fn start_with(&self, ready: BorrowedFd<'_>) -> io::Result<(Pid, bool)> {
        let mut handed = PassedFds::new(&passed(self.settled, self.sockets.iter().map(AsFd::as_fd), ready))
            .map_err(|clash| io::Error::other(clash.to_string()))?;
        let argv = exec::c_strings(&self.settled.command);
        let environment = self.environment(&handed);
        let mut program = Prepared::new(&argv, environment.as_deref());
        if handed.is_counted() || self.inherited {
            program = program.telling_pid(LISTEN_PID);
        }
        let unable = Cell::new(None);
        let become_command = || match process::new_group().and_then(|()| handed.place()) {
            Ok(()) => program.path_exec(),
            Err(error) => error,
        };
        let child = process::spawn(become_command, |error| {
            self.say_unable_to_run(&error);
            unable.set(Some(error));
        })?;
        Ok((Pid(child.as_raw().unsigned_abs()), unable.take().is_none()))
    }

    /// The environment of a copy, if it differs from that of hupwatch.
    fn environment(&self, handed: &PassedFds<'_>) -> Option<Vec<std::ffi::CString>> {
        let mut changes = Vec::new();
        if self.inherited {
            changes.push(("LISTEN_PID", None));
        } else if !self.sockets.is_empty() {
            changes.extend(handed.variables());
        }
        if let Some(name) = self.notify.name() {
            changes.push((NOTIFY_SOCKET, Some(name.to_vec())));
        }
        (!changes.is_empty()).then(|| environ::changed(&changes))
    }

    /// Prints why a child could not execute the command.
    fn say_unable_to_run(&self, error: &io::Error) {
        let text = text!("unable to run ", self.settled.command.first().copied().unwrap_or_default());
        if self.has_run {
            PROGRAM.voice().warning(&text, error);
        } else {
            PROGRAM.voice().fatal(&text, error);
        }
    }
}

/// The sockets that hupwatch was started with, if any.
fn inherited_sockets() -> Option<Range<RawFd>> {
    let number = |name| std::env::var(name).ok()?.parse::<RawFd>().ok();
    (number("LISTEN_PID")? == process::own_pid().as_raw())
        .then(|| FIRST..FIRST.saturating_add(number("LISTEN_FDS").unwrap_or(0)))
}

/// The descriptors that a copy gets; `ready` is the write end of its readiness pipe.
fn passed<'a>(
    settled: &Settled,
    sockets: impl Iterator<Item = BorrowedFd<'a>>,
    ready: BorrowedFd<'a>,
) -> Vec<PassedFd<'a>> {
    let sockets = settled.listeners.iter().zip(sockets).map(|(listener, fd)| PassedFd {
        fd,
        // The name that systemd gives to a socket without a name.
        name: b"unknown",
        number: listener.fd,
    });
    let pipe = match settled.ready {
        Ready::Descriptor(number) => Some(PassedFd { fd: ready, name: b"", number: Some(number) }),
        Ready::WarmUp | Ready::Notify | Ready::Check(_) => None,
    };
    sockets.chain(pipe).collect()
}

/// The signals to catch. HUP is caught even under nohup, since hupwatch is made for it. INT stays ignored if it was, as in the background
/// of a script.
fn caught() -> Vec<Signal> {
    let unless_ignored = |signal: Signal| (!signals::is_ignored(signal)).then_some(signal);
    let always = [Signal::SIGCHLD, Signal::SIGHUP, Signal::SIGTERM, Signal::SIGALRM];
    always.into_iter().chain(unless_ignored(Signal::SIGINT)).collect()
}

fn raw(Pid(pid): Pid) -> process::Pid {
    process::Pid::from_raw(pid.cast_signed())
}

fn now() -> Tick {
    Tick(sys::clock::monotonic())
}
