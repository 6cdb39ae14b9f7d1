//! `supervise dir`: runs one service. The loop translates between the kernel and the machine that decides.
//!
//! Once the loop runs, no error ends it: what cannot be done is said once for each cause, and done again when there is
//! reason to.

use std::cell::Cell;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use anyhow::Context;
use cli::{Call, Program, Voice, text};
use machine::supervise::{Action, Event, Machine, Signal};
use machine::{Pid, SECOND, Tick};
use svdir::notify::Notice;
use svdir::{Born, Command, More, Status, Want, names};
use sys::adopted::Adopted;
use sys::exec::Prepared;
use sys::process::{self, Change};
use sys::signals::Signals;
use sys::{clock, environ, fd, oom, sealed};
use tai::Label;

use super::beginning::{Beginning, State, last_start, who_we_are};
use super::files::shown;
use super::handover::{self, Answer, Received, Successor};
use super::held::Held;
use super::knobs::Presence;
use super::readiness::{Readiness, Socketed, Ways};
use super::said::Said;
use super::{be_spared, knobs, record, tick};

const PROGRAM: Program = Program {
    name: "supervise",
    synopsis: "dir",
    usage: "supervise: usage: supervise dir",
    usage_exit: cli::USAGE,
    about: "Runs the service in dir: starts dir/run, and again whenever it ends.",
    options: &[("dir", "the service directory")],
};

pub(super) const VOICE: Voice = PROGRAM.voice();

/// Command bytes are read this many at a time.
const BATCH: usize = 256;

/// A status file that could not be written is tried again this much later.
const REWRITE: u64 = 5 * SECOND;

/// The program.
pub fn main(call: Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &Call) -> anyhow::Result<u8> {
    let [dir] = call.words() else {
        return Err(cli::Usage.into());
    };
    cli::init_log(PROGRAM.name);
    let successor = Successor::new(call, VOICE, text!(*dir));
    let mut supervisor = match handover::received(call) {
        Received::Question(state) => return Ok(handover::answer(State::decode(&state).is_some())),
        Received::State(state) => {
            let state = State::decode(&state).with_context(|| text!("unable to go on in ", *dir))?;
            be_spared(state.oom);
            Supervisor::go_on(dir, successor, &state)?
        }
        Received::Nothing => {
            let mut supervisor = Supervisor::open(dir, successor)?;
            be_spared(None);
            supervisor.begin();
            supervisor
        }
    };
    while !supervisor.done {
        supervisor.turn();
    }
    Ok(0)
}

struct Supervisor<'a> {
    /// As the operator typed it: for messages.
    dir: &'a OsStr,
    machine: Machine,
    since: Label,
    /// What stands in the record and is not decided: who we are, and when the service's process was born.
    more: More,
    /// The service's process, where it is not our child but our predecessor's.
    adopted: Option<Adopted>,
    /// Held: the read end of the pipe to the logger, which must not break while both svscan and the logger are dead.
    pipe: Option<OwnedFd>,
    presence: Presence,
    /// How the service tells that it is ready, while it is not.
    readiness: Readiness,
    /// Where services tell of themselves.
    socketed: Socketed,
    /// When the status file, which could not be written, is tried again.
    rewrite: Option<Tick>,
    signals: Signals,
    held: Held,
    successor: Successor,
    said: Said,
    done: bool,
}

impl<'a> Supervisor<'a> {
    /// Enters and takes the directory.
    fn open(dir: &'a OsStr, successor: Successor) -> anyhow::Result<Supervisor<'a>> {
        let signals = catch_signals(dir)?;
        std::env::set_current_dir(dir).with_context(|| text!("unable to chdir to ", dir))?;
        let want = first_want().with_context(|| text!("unable to stat ", dir, "/", names::DOWN))?;
        let last_run = environ::take(super::LAST_RUN).is_some();
        let (us, mut said, mut begin) = (who_we_are(), Said::new(VOICE), None);
        // The first status comes before the FIFO that says that there is one.
        let held = Held::take(dir, us.boot, || {
            let mut found = Beginning::find(dir, want, us, &mut said)?;
            if last_run {
                found.machine.make_last_run();
            }
            let rewrite = announce(dir, found.machine.record(found.since, found.more), &mut said);
            begin = Some((found, rewrite));
            Ok(())
        })?;
        let (Beginning { machine, since, more, adopted }, rewrite) = begin.context("nothing was announced")?;
        let pipe = hold_pipe();
        let socketed = Socketed::find(more.notify().filter(|_| adopted.is_some()), dir, &mut said);
        let readiness = match &adopted {
            Some(_) if machine.awaits_ready() => {
                machine.pid().map(|pid| Readiness::find(pid, more.ready_pipe, dir, &mut said))
            }
            Some(_) | None => None,
        };
        Ok(Supervisor {
            dir,
            machine,
            since,
            more,
            adopted,
            pipe,
            presence: Presence::default(),
            readiness: readiness.unwrap_or_default(),
            socketed,
            rewrite,
            signals,
            held,
            successor,
            said,
            done: false,
        })
    }

    /// Goes on from the state that was handed over by the program that this one replaces.
    fn go_on(dir: &'a OsStr, successor: Successor, state: &State) -> anyhow::Result<Supervisor<'a>> {
        let signals = catch_signals(dir)?;
        let more = More { version: who_we_are().version, ..state.more };
        let inherited = Held::inherit(state.held)
            .and_then(|held| Ok((held, state.adopted()?, state.pipe()?, state.ready()?, state.notify()?)));
        let (held, adopted, pipe, ready, notify) = inherited.with_context(|| text!("unable to go on in ", dir))?;
        let mut said = Said::new(VOICE);
        let knobs = knobs::for_successor(dir, &more, &mut said);
        let machine = Machine::resume(tick(), &state.status, &more, last_start(more.born), knobs);
        let readiness = if machine.awaits_ready() { Readiness::inherit(ready) } else { Readiness::default() };
        let mut supervisor = Supervisor {
            dir,
            machine,
            since: state.status.since,
            more,
            adopted,
            pipe,
            presence: Presence::default(),
            readiness,
            socketed: Socketed::inherit(notify, &more),
            rewrite: None,
            signals,
            held,
            successor,
            said,
            done: false,
        };
        log::info!("{}: going on as version {}", dir.display(), more.version().unwrap_or_default());
        supervisor.announce();
        supervisor.step(Event::Begin);
        // Deaths of which the old program was not told any more.
        supervisor.reap();
        Ok(supervisor)
    }

    /// What another program needs to go on from here.
    fn state(&self) -> Vec<u8> {
        let (status, more) = self.machine.record(self.since, self.more);
        let held = self.held.descriptors().map(sealed::number);
        let adopted = self.adopted.as_ref().map(|adopted| sealed::number(adopted.fd()));
        let pipe = self.pipe.as_ref().map(|pipe| sealed::number(pipe.as_fd()));
        let ready = self.readiness.pipe().map(sealed::number);
        let notify = self.socketed.fd().map(sealed::number);
        State { status, more, held, adopted, pipe, ready, notify, oom: oom::original() }.encode()
    }

    /// Becomes the new file of this program.
    fn succeed(&mut self, program: &Path) {
        let adopted = self.adopted.as_ref().map(Adopted::fd);
        let pipe = self.pipe.as_ref().map(AsFd::as_fd);
        let others = [adopted, pipe, self.readiness.pipe(), self.socketed.fd()].into_iter().flatten();
        let descriptors: Vec<_> = self.held.descriptors().into_iter().chain(others).collect();
        self.successor.succeed(program, &self.state(), &descriptors, &self.signals);
    }

    /// Starts the service, or finds it running or ended.
    fn begin(&mut self) {
        // A process that is up before the machine has begun is our predecessor's.
        let left_behind = self.machine.pid().filter(|_| self.adopted.is_none());
        self.step(Event::Begin);
        if let Some(pid) = left_behind {
            log::info!("{}: pid {} ended while nobody supervised it", self.dir.display(), pid.0);
            self.step(Event::Died(pid, svdir::Exit::Unknown));
        }
    }

    /// Waits for something to happen, and acts on all that has.
    fn turn(&mut self) {
        let deadlines = [self.machine.deadline(), self.rewrite, self.successor.deadline(), self.readiness.deadline()];
        let deadline = deadlines.into_iter().flatten().min();
        let timeout = self.signals.timeout(deadline.map(|deadline| tick().until(deadline)));
        let adopted = self.adopted.as_ref().map_or(self.signals.fd(), Adopted::fd);
        let ready = self.readiness.pipe().unwrap_or(self.signals.fd());
        let word = self.socketed.fd().unwrap_or(self.signals.fd());
        let [signals, control, ended, ready, word] =
            match sys::poll::readable([self.signals.fd(), self.held.control(), adopted, ready, word], timeout) {
                Ok(readable) => readable,
                Err(error) => {
                    let text = text!("unable to wait for ", self.dir, ", trying again in a second");
                    self.said.warning("poll", text, &error);
                    sys::poll::rest();
                    [true; 5]
                }
            };
        // Before its end: it may have been ready for a moment.
        if ready && self.readiness.hear() {
            self.ready();
        }
        if word {
            self.hear_words();
        }
        if signals || self.signals.came() {
            self.signals.drain();
            self.reap();
        }
        if ended {
            self.see_end_of_adopted();
        }
        if self.machine.deadline().is_some_and(|deadline| deadline <= tick()) {
            self.step(Event::Timeout);
        }
        if self.rewrite.is_some_and(|deadline| deadline <= tick()) {
            self.announce();
        }
        self.successor.timeout();
        if let Some(pid) = self.machine.pid() {
            self.readiness.timeout(self.dir, pid, &mut self.said);
        }
        if control {
            self.obey();
        }
    }

    fn reap(&mut self) {
        while let Some((pid, change)) = process::reap() {
            self.change(pid, change);
        }
    }

    fn change(&mut self, pid: process::Pid, change: Change) {
        let pid = Pid(pid.as_raw().unsigned_abs());
        match self.successor.hear(pid, change) {
            Answer::Yes(program) => return self.succeed(&program),
            Answer::No => return,
            Answer::None => {}
        }
        match self.readiness.ended(pid, change) {
            Some(true) => return self.ready(),
            Some(false) => return,
            None => {}
        }
        log::info!("{}: pid {} {change}", self.dir.display(), pid.0);
        self.step(match change {
            Change::Exited(code) => Event::Died(pid, svdir::Exit::Code(code)),
            Change::Killed(signal) => Event::Died(pid, svdir::Exit::Signal(signal as u8)),
            Change::Stopped => Event::Stopped(pid),
            Change::Continued => Event::Continued(pid),
        });
    }

    /// The service has told that it is ready.
    fn ready(&mut self) {
        self.readiness.stop();
        if let Some(pid) = self.machine.pid() {
            log::info!("{}: pid {} is ready", self.dir.display(), pid.0);
            self.step(Event::Ready(pid));
        }
    }

    /// Takes in what the service tells of itself.
    fn hear_words(&mut self) {
        let Some(pid) = self.machine.pid() else {
            return self.socketed.receive(&[], self.dir, |_, _| {});
        };
        let socketed = std::mem::take(&mut self.socketed);
        socketed.receive(&[pid], self.dir, |pid, word| self.hear_word(pid, word));
        self.socketed = socketed;
    }

    fn hear_word(&mut self, pid: Pid, word: Notice<'_>) {
        match word {
            Notice::Ready => self.ready(),
            Notice::Reloading | Notice::Stopping => self.step(Event::Unready(pid)),
            Notice::Status(status) => log::info!("{}: {}", self.dir.display(), status.escape_ascii()),
            Notice::MainPid(main) if main != pid.0 => {
                let other = io::Error::other("only what was started as run is supervised");
                let text = text!("unable to follow ", self.dir, " to pid ", u64::from(main));
                self.said.warning("mainpid", text, &other);
            }
            // Nothing here has a time limit, and the barrier's descriptor is closed already.
            Notice::MainPid(_)
            | Notice::Watchdog
            | Notice::WatchdogTrigger
            | Notice::ExtendTimeout(_)
            | Notice::Barrier => {}
        }
    }

    /// Looks whether the process that is not our child has ended.
    fn see_end_of_adopted(&mut self) {
        let (Some(pid), Some(adopted)) = (self.machine.pid(), &self.adopted) else {
            return;
        };
        if !adopted.has_ended().unwrap_or(false) {
            return;
        }
        let exit = adopted.exit();
        self.adopted = None;
        match exit {
            Some(change) => self.change(process::Pid::from_raw(pid.0.cast_signed()), change),
            None => {
                log::info!("{}: pid {} ended", self.dir.display(), pid.0);
                self.step(Event::Died(pid, svdir::Exit::Unknown));
            }
        }
    }

    /// Obeys the commands that have come. Bytes that are none are ignored.
    fn obey(&mut self) {
        let mut batch = [0; BATCH];
        let count = match fd::read(self.held.control(), &mut batch) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                return self.said.warning(
                    "control",
                    text!("unable to read ", shown(self.dir, names::CONTROL).0.as_slice()),
                    &error,
                );
            }
        };
        let before = self.more.mark;
        for &byte in batch.iter().take(count) {
            if self.done {
                return;
            }
            if let Some(mark) = self.more.mark.with(byte) {
                self.more.mark = mark;
            } else if byte == svdir::UPGRADE {
                self.successor.ask(&self.state());
            } else if let Some(command) = Command::from_letter(byte) {
                log::debug!("{}: command {}", self.dir.display(), char::from(byte));
                if Machine::needs_knobs(command) {
                    self.machine.learn(knobs::signals(self.dir, &mut self.said));
                }
                self.step(Event::Command(command));
            }
        }
        if self.more.mark != before && !self.done {
            self.announce();
        }
    }

    /// Lets the machine decide, and does what it says.
    fn step(&mut self, event: Event) {
        for action in self.machine.step(tick(), event) {
            match action {
                Action::Spawn => self.spawn(),
                Action::Kill(pid, signal) => self.kill(pid, signal),
                Action::Stamp => {
                    self.since = now();
                    self.readiness.stop();
                }
                Action::StampReady => self.more.ready = Some(now()),
                Action::Announce => self.announce(),
                Action::Quit => {
                    log::info!("{}: leaving", self.dir.display());
                    self.more.left = true;
                    self.announce();
                    self.done = true;
                }
            }
        }
    }

    /// Always the last action of its step, so the steps nest no deeper than this.
    ///
    /// The child writes its own record and then becomes `run`. Should we be killed meanwhile, our successor gets the lock, of
    /// which the child holds a copy, only when the record is there.
    fn spawn(&mut self) {
        let argv = [c"./run".to_owned()];
        let ways = Ways::prepare(self.dir, self.presence.look(), &mut self.socketed, &mut self.said);
        let environment = ways.socket().then(|| environ::changed(&[self.socketed.variable()]));
        let run = Prepared::new(&argv, environment.as_deref());
        self.machine.declare(ways.any());
        self.more.ready_pipe = ways.pipe_id();
        self.more.notify = self.socketed.name();
        let (machine, more, since, earliest) = (&self.machine, self.more, now(), clock::since_boot());
        let announced = Cell::new(None);
        let become_run = || {
            let born = Born { earliest, latest: clock::since_boot() };
            let pid = Pid(process::own_pid().as_raw().unsigned_abs());
            let written = record::write(&encode(machine.record_once_started(pid, since, More { born, ..more })));
            announced.set(Some((born, written.is_ok())));
            ways.place().err().unwrap_or_else(|| run.exec(c"./run"))
        };
        let started = process::spawn(become_run, |error| {
            VOICE.fatal(&text!("unable to start ", self.dir, "/", names::RUN), &error);
        });
        match started {
            Ok(pid) => {
                log::info!("{}: started as pid {pid}", self.dir.display());
                // Where the child's memory is not ours, nothing is known of what it did.
                let (born, written) =
                    announced.get().unwrap_or((Born { earliest, latest: clock::since_boot() }, false));
                (self.since, self.more.born) = (since, born);
                self.readiness = ways.listen();
                self.said.over("fork");
                self.note_score();
                self.step(Event::Started(Pid(pid.as_raw().unsigned_abs())));
                if written {
                    self.note_announced();
                } else {
                    self.announce();
                }
            }
            Err(error) => {
                let text = text!("unable to fork for ", self.dir, ", sleeping 60 seconds");
                self.said.warning("fork", text, &error);
                self.step(Event::SpawnFailed);
            }
        }
    }

    /// Says so if the new child has kept our OOM score.
    fn note_score(&mut self) {
        match oom::failure() {
            Some(error) => self.said.warning("oom", text!("unable to restore the OOM score of ", self.dir), &error),
            None => self.said.over("oom"),
        }
    }

    /// A pid is that of a child which was not reaped, so it can be nobody else's.
    fn kill(&mut self, pid: Pid, signal: Signal) {
        let signal = match signal {
            Signal::Term => process::Signal::SIGTERM,
            Signal::Cont => process::Signal::SIGCONT,
            Signal::Stop => process::Signal::SIGSTOP,
            Signal::Hup => process::Signal::SIGHUP,
            Signal::Alarm => process::Signal::SIGALRM,
            Signal::Int => process::Signal::SIGINT,
            Signal::Kill => process::Signal::SIGKILL,
            Signal::Quit => process::Signal::SIGQUIT,
            Signal::Usr1 => process::Signal::SIGUSR1,
            Signal::Usr2 => process::Signal::SIGUSR2,
            Signal::Winch => process::Signal::SIGWINCH,
            Signal::Number(number) => match process::Signal::try_from(i32::from(number)) {
                Ok(signal) => signal,
                // The knobs give no such number.
                Err(_) => return,
            },
        };
        let sent = match &self.adopted {
            Some(adopted) => adopted.kill(signal),
            None => process::kill(process::Pid::from_raw(pid.0.cast_signed()), signal),
        };
        if let Err(error) = sent {
            self.said.warning("kill", text!("unable to signal ", self.dir), &error);
        }
    }

    fn announce(&mut self) {
        self.rewrite = announce(self.dir, self.machine.record(self.since, self.more), &mut self.said);
    }

    fn note_announced(&mut self) {
        self.said.over("status");
        self.rewrite = None;
    }
}

/// The wall clock, as a label.
pub(super) fn now() -> Label {
    let (seconds, nanos) = clock::wall();
    Label::from_unix(seconds, nanos)
}

/// The read end of the pipe on stdout, if svscan has made that.
fn hold_pipe() -> Option<OwnedFd> {
    environ::take(super::BELOW_SVSCAN)?;
    fd::pipe_id(fd::stdout())?;
    fd::reopen_for_reading(fd::stdout()).ok()
}

fn catch_signals(dir: &OsStr) -> anyhow::Result<Signals> {
    Signals::catch(&[process::Signal::SIGCHLD]).with_context(|| text!("unable to create pipe for ", dir))
}

/// Up, unless there is a `down`. A dangling link of that name is none.
fn first_want() -> io::Result<Want> {
    match std::fs::metadata(names::DOWN) {
        Ok(_) => Ok(Want::Down),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Want::Up),
        Err(error) => Err(error),
    }
}

/// Writes the status file. Failure is said and no more: the service matters, its status does not. Returns when it is tried again.
fn announce(dir: &OsStr, record: (Status, More), said: &mut Said) -> Option<Tick> {
    match record::write(&encode(record)) {
        Ok(()) => {
            said.over("status");
            None
        }
        Err(failure) => {
            let (text, error) = failure.told(dir);
            said.warning("status", text, &error);
            Some(tick().after(REWRITE))
        }
    }
}

fn encode((status, more): (Status, More)) -> record::Bytes {
    status.encode_with(&more)
}
