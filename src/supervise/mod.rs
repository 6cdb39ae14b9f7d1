//! `supervise dir`: runs one service. The loop translates between the kernel and the machine that decides.
//!
//! Once the loop runs, no error ends it: what cannot be done is said once for each cause, and done again when there is
//! reason to.

mod hold;
mod knobs;
mod readiness;
mod sockets;
mod takeover;
mod voice;

use std::cell::Cell;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use anyhow::Context;
use cli::{Call, Text, Warnings, text};
use machine::reload::Why;
use machine::supervise::{Action, Event, Machine, Signal};
use machine::{Pid, SECOND, Tick};
use svdir::notify::Notice;
use svdir::{Born, Command, More, Status, Want, knob, names};
use sys::adopted::Adopted;
use sys::exec::Prepared;
use sys::handed::{Clash, Handed, LISTEN_PID};
use sys::notify;
use sys::process::{self, Change};
use sys::signals::Signals;
use sys::{clock, environ, fd, oom, proc, sealed, signals};
use tai::Label;

use hold::Held;
use knobs::{Presence, Present};
use readiness::{Readiness, Ways};
use sockets::Sockets;
use takeover::{Beginning, State, last_start, who_we_are};
use voice::{PROGRAM, VOICE};

use crate::service::files::shown;
use crate::service::notify::NotifySocket;
use crate::service::successor::{self, Answer, Received, Successor};
use crate::service::{BELOW_SVSCAN, LAST_RUN, be_spared, keep_to_ourselves, now, record, tick};

/// Command bytes are read this many at a time.
const BATCH: usize = 256;

/// So many datagrams of a service are read before something else has its turn.
const WORDS: usize = 8;

/// So many are read before it is judged by its silence or its end.
const LAST_WORDS: usize = 64;

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
    // That nobody reads stderr, or that files may not be longer, is no reason to die.
    signals::survive_writes();
    // Nor to wait for whoever reads it.
    cli::write_errors_with(sys::fd::write_stderr_at_once);
    keep_to_ourselves();
    let successor = Successor::new(call, VOICE, text!(*dir));
    let mut supervisor = match successor::received(call) {
        Received::Question(state) => return Ok(successor::answer(State::is_understood(&state))),
        Received::State(state) => Supervisor::go_on(dir, successor, &state)?,
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

/// Where a process is started: as the one that serves, or beside it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Main,
    Beside,
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
    /// The same of the second copy, while the service is replaced.
    beside: Option<Adopted>,
    /// Held: the read end of the pipe to the logger, which must not break while both svscan and the logger are dead.
    pipe: Option<OwnedFd>,
    presence: Presence,
    /// How the service tells that it is ready, while it is not.
    readiness: Readiness,
    /// How the new copy tells, while the service is replaced.
    beside_readiness: Readiness,
    /// Where services tell of themselves.
    notify: NotifySocket,
    /// What is held for the service.
    sockets: Sockets,
    /// When the status file, which could not be written, is tried again.
    rewrite: Option<Tick>,
    signals: Signals,
    held: Held,
    successor: Successor,
    said: Warnings,
    done: bool,
}

impl<'a> Supervisor<'a> {
    /// Enters and takes the directory.
    ///
    /// Here and in [`go_on`](Supervisor::go_on) it is put on the heap: what is moved on the stack touches pages of that, which are the
    /// process's for the rest of its life.
    #[inline(never)]
    fn open(dir: &'a OsStr, successor: Successor) -> anyhow::Result<Box<Supervisor<'a>>> {
        let signals = catch_signals(dir)?;
        std::env::set_current_dir(dir).with_context(|| text!("unable to chdir to ", dir))?;
        let want = first_want().with_context(|| text!("unable to stat ", dir, "/", names::DOWN))?;
        let last_run = environ::take(LAST_RUN).is_some();
        let log_pipe = log_pipe();
        let (us, mut said, mut begin) = (who_we_are(log_pipe), Warnings::new(VOICE), None);
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
        let (Beginning { mut machine, since, more, adopted, beside }, rewrite) =
            begin.context("nothing was announced")?;
        let pipe = log_pipe.and_then(|_| fd::reopen_for_reading(fd::stdout()).ok());
        let lives = adopted.is_some() || beside.is_some();
        let notify =
            if lives { readiness::find_socket(more.notify(), dir, &mut said) } else { NotifySocket::default() };
        watch_only_heard(&mut machine, &notify);
        let sockets = match &adopted {
            Some(process) if Path::new(names::SOCKETS).exists() => Sockets::adopt(process, dir, &mut said),
            Some(_) => Sockets::default(),
            // The sockets of a service that is being replaced are in its second copy too.
            None => beside.as_ref().map(|process| Sockets::adopt(process, dir, &mut said)).unwrap_or_default(),
        };
        let readiness = match &adopted {
            Some(_) if machine.awaits_ready() => {
                machine.pid().map(|pid| Readiness::find(pid, more.ready_pipe, dir, &mut said))
            }
            Some(_) | None => None,
        };
        let beside_readiness = match machine.second_pid().filter(|_| machine.awaits_ready_beside() && beside.is_some())
        {
            Some(pid) => Readiness::find(pid, more.second_pipe, dir, &mut said),
            None => Readiness::default(),
        };
        Ok(Box::new(Supervisor {
            dir,
            machine,
            since,
            more,
            adopted,
            beside,
            pipe,
            presence: Presence::default(),
            readiness: readiness.unwrap_or_default(),
            beside_readiness,
            notify,
            sockets,
            rewrite,
            signals,
            held,
            successor,
            said,
            done: false,
        }))
    }

    /// Goes on from the state that was handed over by the program that this one replaces.
    #[inline(never)]
    fn go_on(dir: &'a OsStr, successor: Successor, state: &[u8]) -> anyhow::Result<Box<Supervisor<'a>>> {
        let state = State::decode(state).with_context(|| text!("unable to go on in ", dir))?;
        be_spared(state.oom);
        let signals = catch_signals(dir)?;
        let more = More { version: who_we_are(None).version, ..state.more };
        let unable = || text!("unable to go on in ", dir);
        let held = Held::inherit(state.held).with_context(unable)?;
        let (adopted, beside) = (state.adopted().with_context(unable)?, state.beside().with_context(unable)?);
        let (ready, beside_ready) = (state.ready().with_context(unable)?, state.beside_ready().with_context(unable)?);
        let (pipe, notify) = (state.pipe().with_context(unable)?, state.notify().with_context(unable)?);
        let notify = notify.and_then(|socket| NotifySocket::inherit(socket).ok()).unwrap_or_default();
        let sockets = Sockets::inherit(&state.sockets).with_context(unable)?;
        let mut said = Warnings::new(VOICE);
        let knobs = knobs::for_successor(dir, &more, &mut said);
        let mut machine = Machine::resume(tick(), &state.status, &more, last_start(more.born), knobs);
        watch_only_heard(&mut machine, &notify);
        let readiness = if machine.awaits_ready() { Readiness::inherit(ready) } else { Readiness::default() };
        let beside_readiness =
            if machine.awaits_ready_beside() { Readiness::inherit(beside_ready) } else { Readiness::default() };
        let mut supervisor = Box::new(Supervisor {
            dir,
            machine,
            since: state.status.since,
            more,
            adopted,
            beside,
            pipe,
            presence: Presence::default(),
            readiness,
            beside_readiness,
            notify,
            sockets,
            rewrite: None,
            signals,
            held,
            successor,
            said,
            done: false,
        });
        log::info!("{}: going on as version {}", dir.display(), more.version().unwrap_or_default());
        supervisor.announce();
        supervisor.know_group();
        supervisor.step(Event::Begin);
        // Deaths of which the old program was not told any more.
        supervisor.reap();
        Ok(supervisor)
    }

    /// What another program needs to go on from here.
    #[inline(never)]
    fn state(&self) -> Vec<u8> {
        let (status, more) = self.machine.record(self.since, self.more);
        let held = self.held.descriptors().map(sealed::number);
        let adopted = self.adopted.as_ref().map(|adopted| sealed::number(adopted.fd()));
        let pipe = self.pipe.as_ref().map(|pipe| sealed::number(pipe.as_fd()));
        let ready = self.readiness.pipe().map(sealed::number);
        let notify = self.notify.descriptor().map(sealed::number);
        let beside = self.beside.as_ref().map(|beside| sealed::number(beside.fd()));
        let beside_ready = self.beside_readiness.pipe().map(sealed::number);
        let (oom, sockets) = (oom::original(), self.sockets.leave());
        State { status, more, held, adopted, pipe, ready, notify, beside, beside_ready, oom, sockets }.encode()
    }

    /// Becomes the new file of this program.
    fn succeed(&mut self, program: &Path) {
        let adopted = self.adopted.as_ref().map(Adopted::fd);
        let pipe = self.pipe.as_ref().map(AsFd::as_fd);
        let beside = self.beside.as_ref().map(Adopted::fd);
        let ready = [self.readiness.pipe(), self.beside_readiness.pipe()];
        let others = [adopted, beside, pipe, self.notify.descriptor()].into_iter().chain(ready).flatten();
        let descriptors: Vec<_> =
            self.held.descriptors().into_iter().chain(others).chain(self.sockets.descriptors()).collect();
        self.successor.succeed(program, &self.state(), &descriptors, &self.signals);
    }

    /// Starts the service, or finds it running or ended.
    fn begin(&mut self) {
        // A process that is up before the machine has begun is our predecessor's.
        let left_behind = self.machine.pid().filter(|_| self.adopted.is_none());
        let second = self.machine.second_pid().filter(|_| self.beside.is_none());
        if second.is_none() {
            self.know_group();
        }
        self.step(Event::Begin);
        if let Some(pid) = left_behind {
            log::info!("{}: pid {} ended while nobody supervised it", self.dir.display(), pid.0);
            self.step(Event::Died(pid, svdir::Exit::Unknown));
        }
        if let Some(pid) = second {
            log::info!("{}: pid {} ended while nobody supervised it", self.dir.display(), pid.0);
            self.step(Event::Died(pid, svdir::Exit::Unknown));
        }
    }

    /// Looks whether the second copy that was found leads a process group. One that has ended is not asked: its pid may be somebody else's.
    fn know_group(&mut self) {
        let Some(pid) = self.machine.second_pid() else {
            return;
        };
        let leads = process::leads_group(process::Pid::from_raw(pid.0.cast_signed()));
        // Only behind that, so the answer was about it. A child of ours keeps its pid until it is reaped.
        let lives = self.beside.as_ref().is_none_or(|beside| beside.has_ended().is_ok_and(|ended| !ended));
        if leads && lives {
            self.machine.know_group();
        }
    }

    /// Waits for something to happen, and acts on all that has. What a turn seldom needs is not inlined: its stack would be touched always.
    #[inline(never)]
    fn turn(&mut self) {
        let deadlines = [
            self.machine.deadline(),
            self.rewrite,
            self.successor.deadline(),
            self.readiness.deadline(),
            self.beside_readiness.deadline(),
            self.notify.deadline(),
        ];
        let deadline = deadlines.into_iter().flatten().min();
        let timeout = self.signals.timeout(deadline.map(|deadline| tick().until(deadline)));
        // Where there is nothing of the kind, the signals stand for it.
        let own = self.signals.fd();
        let sources = [
            own,
            self.held.control(),
            self.adopted.as_ref().map_or(own, Adopted::fd),
            self.beside.as_ref().map_or(own, Adopted::fd),
            self.readiness.pipe().unwrap_or(own),
            self.beside_readiness.pipe().unwrap_or(own),
            self.notify.fd().unwrap_or(own),
        ];
        let [signals, control, ended, beside_ended, ready, beside_ready, word] =
            match sys::poll::readable(sources, timeout) {
                Ok(readable) => readable,
                Err(error) => {
                    let text = text!("unable to wait for ", self.dir, ", trying again in a second");
                    self.said.warning("poll", text, &error);
                    sys::poll::rest();
                    [true; 7]
                }
            };
        // Before its end: it may have been ready for a moment.
        if ready && self.readiness.hear() {
            self.ready(self.machine.pid());
        }
        if beside_ready && self.beside_readiness.hear() {
            self.ready(self.machine.second_pid());
        }
        if signals || self.signals.came() {
            self.signals.drain();
            self.reap();
        }
        if ended || beside_ended {
            self.see_end_of_adopted();
        }
        if self.machine.is_overdue(tick()) {
            // What it has told while we did not get to run counts.
            self.hear_words(LAST_WORDS);
            self.learn_signals();
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
        if let Some(pid) = self.machine.second_pid() {
            self.beside_readiness.timeout(self.dir, pid, &mut self.said);
        }
        if control {
            self.obey();
        }
        // Last, and few at a time: a service that does not stop talking keeps supervise from nothing.
        if word {
            self.hear_words(WORDS);
        }
    }

    fn reap(&mut self) {
        while let Some((pid, change)) = process::reap() {
            if matches!(change, Change::Exited(_) | Change::Killed(_)) {
                if self.notify.ended(pid) {
                    continue;
                }
                // Its last word may have been that it is another process now.
                self.hear_words(LAST_WORDS);
            }
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
        match (self.readiness.ended(pid, change), self.beside_readiness.ended(pid, change)) {
            (Some(true), _) => return self.ready(self.machine.pid()),
            (_, Some(true)) => return self.ready(self.machine.second_pid()),
            (None, None) => {}
            _ => return,
        }
        log::info!("{}: pid {} {change}", self.dir.display(), pid.0);
        if matches!(change, Change::Exited(_) | Change::Killed(_)) {
            self.sockets.listen_again(self.dir, &mut self.said);
        }
        self.step(match change {
            Change::Exited(code) => Event::Died(pid, svdir::Exit::Code(code)),
            Change::Killed(signal) => Event::Died(pid, svdir::Exit::Signal(signal as u8)),
            Change::Stopped => Event::Stopped(pid),
            Change::Continued => Event::Continued(pid),
        });
    }

    /// The process has told that it is ready.
    fn ready(&mut self, pid: Option<Pid>) {
        let Some(pid) = pid else {
            return;
        };
        if self.machine.pid() == Some(pid) {
            self.readiness.stop();
        } else {
            self.beside_readiness.stop();
        }
        log::info!("{}: pid {} is ready", self.dir.display(), pid.0);
        self.step(Event::Ready(pid));
    }

    /// Takes in what the service tells of itself, at most so many datagrams.
    fn hear_words(&mut self, most: usize) {
        if self.notify.is_open() {
            self.hear_some_words(most);
        }
    }

    /// Not inlined: its buffer shall be no part of the stack of a supervise whose service tells nothing.
    #[inline(never)]
    fn hear_some_words(&mut self, most: usize) {
        let mut buffer = [0; notify::LONGEST];
        for _ in 0..most {
            let copies = [self.machine.pid(), self.machine.second_pid()];
            let Some(message) = self.notify.receive(copies, &mut buffer) else {
                return;
            };
            match message.by {
                Some(pid) => {
                    message.words().fold(pid, |pid, word| self.hear_word(pid, message.user, word));
                }
                None => log::info!("{}: a word of pid {}, which is not of it", self.dir.display(), message.sender),
            }
        }
    }

    /// Returns which process the next word is about.
    fn hear_word(&mut self, pid: Pid, user: u32, word: Notice<'_>) -> Pid {
        match word {
            Notice::Ready => self.ready(Some(pid)),
            Notice::ExtendTimeout(nanoseconds) => self.step(Event::Extend(pid, nanoseconds)),
            Notice::Reloading => self.step(Event::Unready(pid)),
            Notice::Stopping => self.step(Event::Stopping(pid)),
            Notice::Watchdog => self.step(Event::Alive(pid)),
            Notice::WatchdogTrigger => {
                self.learn_signals();
                self.step(Event::Hangs(pid));
            }
            Notice::WatchdogInterval(nanoseconds) => self.step(Event::Watch(pid, nanoseconds)),
            Notice::Status(status) => log::info!("{}: {}", self.dir.display(), status.escape_ascii()),
            Notice::MainPid(main) if main != pid.0 => return self.follow(pid, Pid(main), user),
            // The barrier's descriptor is closed already.
            Notice::MainPid(_) | Notice::Barrier => {}
        }
        pid
    }

    /// Takes `new` for the service's process in place of `old`, if it may be. Returns which of them that is now.
    #[inline(never)]
    fn follow(&mut self, old: Pid, new: Pid, user: u32) -> Pid {
        let process = match self.find_moved(old, new, user) {
            Ok(process) => process,
            Err(error) => {
                let text = text!("unable to follow ", self.dir, " to pid ", u64::from(new.0));
                self.said.warning("mainpid", text, &error);
                return old;
            }
        };
        self.said.over("mainpid");
        log::info!("{}: following pid {} to pid {}", self.dir.display(), old.0, new.0);
        let born = record::born(process.birth());
        // A child of ours, as the one that was started as `run` is, is heard of by itself.
        let process = Some(process).filter(|process| proc::parent(process.pid()) != Some(process::own_pid()));
        if self.machine.pid() == Some(old) {
            (self.adopted, self.more.born) = (process, born);
        } else {
            (self.beside, self.more.second_born, self.more.second_since) = (process, born, now());
        }
        self.step(Event::Moved(old, new));
        new
    }

    /// The process `new`, if it is of the service whose process is, or was, `old`. No word of a user makes a process of another user
    /// the service's, unless it stands below that.
    fn find_moved(&self, old: Pid, new: Pid, user: u32) -> io::Result<Adopted> {
        if !self.machine.can_move(old, new) {
            return Err(io::Error::other("there are two copies of the service"));
        }
        let gone = || io::Error::other("there is no such process");
        let found = Adopted::open(process::Pid::from_raw(new.0.cast_signed()))?.ok_or_else(gone)?;
        if !self.notify.may_follow(old, new, user) {
            return Err(io::Error::other("it is no process of the service"));
        }
        if found.has_ended()? { Err(gone()) } else { Ok(found) }
    }

    /// Looks whether a process that is not our child has ended.
    fn see_end_of_adopted(&mut self) {
        // As with a child.
        self.hear_words(LAST_WORDS);
        let has_ended = |adopted: &mut Adopted| adopted.has_ended().unwrap_or(false);
        let ended = [self.adopted.take_if(has_ended), self.beside.take_if(has_ended)];
        for adopted in ended.into_iter().flatten() {
            let pid = adopted.pid();
            match adopted.exit() {
                Some(change) => self.change(pid, change),
                None => {
                    log::info!("{}: pid {pid} ended", self.dir.display());
                    self.step(Event::Died(Pid(pid.as_raw().unsigned_abs()), svdir::Exit::Unknown));
                }
            }
        }
    }

    /// Obeys the commands that have come. Bytes that are none are ignored.
    #[inline(never)]
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
            if let Some(mark) = self.more.mark.with(byte) {
                self.more.mark = mark;
            } else if self.done {
                // It obeys nothing more, and tells that it has read it.
            } else if byte == svdir::UPGRADE {
                self.successor.ask(&self.state());
            } else if let Some(command) = Command::from_letter(byte) {
                log::debug!("{}: command {}", self.dir.display(), char::from(byte));
                self.learn(command);
                self.step(Event::Command(command));
            }
        }
        if self.more.mark != before {
            self.announce();
        }
    }

    /// Reads what the command needs to know.
    fn learn(&mut self, command: Command) {
        if command == Command::Replace {
            let present = self.presence.look();
            self.machine.learn(knobs::for_replacing(self.dir, present, &mut self.said));
        } else if Machine::needs_knobs(command) {
            self.learn_signals();
        }
    }

    fn learn_signals(&mut self) {
        self.machine.learn(knobs::signals(self.dir, &mut self.said));
    }

    /// Lets the machine decide, and does what it says.
    fn step(&mut self, event: Event) {
        for action in self.machine.step(tick(), event) {
            match action {
                Action::Spawn => self.spawn(Place::Main),
                Action::SpawnBeside => self.spawn(Place::Beside),
                Action::Promote => self.promote(),
                Action::EndGroup(leader) => end_group(leader),
                Action::Hung(pid, within) => self.say_hung(pid, within),
                Action::GiveUp(why) => self.give_up(why),
                Action::Kill(pid, signal) => {
                    if event == Event::Timeout && signal == Signal::Kill {
                        VOICE.warn(&text!("unable to end ", self.dir, " in time, killing pid ", u64::from(pid.0)));
                    }
                    self.kill(pid, signal);
                }
                Action::Stamp => {
                    self.since = now();
                    if self.machine.pid().is_none() {
                        self.readiness.stop();
                    }
                }
                Action::StampReady => self.more.ready = Some(now()),
                Action::Announce => self.announce(),
                Action::Quit => {
                    log::info!("{}: leaving", self.dir.display());
                    self.more.left = true;
                    self.notify.remove();
                    self.announce();
                    self.done = true;
                }
            }
        }
    }

    /// The second copy is the main one from now on.
    fn promote(&mut self) {
        let more = &mut self.more;
        std::mem::swap(&mut self.since, &mut more.second_since);
        std::mem::swap(&mut more.born, &mut more.second_born);
        std::mem::swap(&mut more.ready_pipe, &mut more.second_pipe);
        more.ready = None;
        std::mem::swap(&mut self.adopted, &mut self.beside);
        std::mem::swap(&mut self.readiness, &mut self.beside_readiness);
        self.beside_readiness.stop();
        self.sockets.close_others();
    }

    #[inline(never)]
    fn say_hung(&self, pid: Pid, within: Option<u64>) {
        let what = match within {
            Some(within) => format!(" has not told within {} that it is alive", knob::shown(within)),
            None => " has told that it hangs".to_owned(),
        };
        VOICE.warn(&text!(self.dir, what.as_str(), ", ending pid ", u64::from(pid.0)));
    }

    #[inline(never)]
    fn give_up(&mut self, why: Why) {
        self.beside_readiness.stop();
        let advice = match why {
            Why::Died(_, svdir::Exit::Code(0)) => ", and must stay in the foreground",
            _ => "",
        };
        let number = |pid: Pid| u64::from(pid.0);
        let why = match why {
            // What it was refused for is known already.
            Why::NotStarted => text!(self.more.why().as_deref().unwrap_or("there can be no new process")),
            Why::Died(pid, svdir::Exit::Code(code)) => {
                text!("pid ", number(pid), " exited ", u64::from(code), " before it was ready")
            }
            Why::Died(pid, svdir::Exit::Signal(signal)) => {
                text!("pid ", number(pid), " was killed by signal ", u64::from(signal), " before it was ready")
            }
            Why::Died(pid, svdir::Exit::Unknown) => text!("pid ", number(pid), " ended before it was ready"),
            Why::NotReady(pid) => text!("pid ", number(pid), " was not ready in time"),
            // Whoever did so knows.
            Why::Cancelled(pid) => return log::info!("{}: pid {} was called off", self.dir.display(), pid.0),
        };
        self.more.why = More::why_of(&why.0);
        VOICE.warn(&text!("unable to replace ", self.dir, ", going on as before: ", why.0.as_slice(), advice));
    }

    /// Always the last action of its step, so the steps nest no deeper than this.
    ///
    /// The child writes its own record and then becomes `run`. Should we be killed meanwhile, our successor gets the lock, of
    /// which the child holds a copy, only when the record is there.
    fn spawn(&mut self, place: Place) {
        let argv = [c"./run".to_owned()];
        self.more.why = [0; More::WHY];
        let present = self.presence.look();
        if let Err(Text(why)) = self.open_sockets(place, present) {
            return self.refuse(place, &why);
        }
        let alone = self.machine.pid().is_none() && self.machine.second_pid().is_none();
        let ways = Ways::prepare(self.dir, present, &mut self.notify, alone, &mut self.said);
        let gifts: Vec<_> = self.sockets.gifts().chain(ways.gift()).collect();
        let mut handed = match Handed::new(&gifts) {
            Ok(handed) => handed,
            Err(Clash { number, .. }) => {
                let text = text!("unable to start ", self.dir);
                let why = format!("descriptor {number} is given twice, see sockets/ and notification-fd");
                self.said.warning("clash", text, &io::Error::other(why.as_str()));
                return self.refuse(place, why.as_bytes());
            }
        };
        self.said.over("clash");
        let environment = self.environment(&ways, &handed);
        let run = Prepared::new(&argv, environment.as_deref());
        let run = if handed.is_counted() { run.telling_pid(LISTEN_PID) } else { run };
        self.more.notify = readiness::recorded(&self.notify);
        match place {
            Place::Main => {
                self.more.ready_pipe = ways.pipe_id();
                self.machine.declare(ways.any());
                self.machine.watch(ways.watchdog());
            }
            Place::Beside => {
                self.more.second_pipe = ways.pipe_id();
                self.machine.declare_beside(ways.any());
                self.machine.watch_beside(ways.watchdog());
            }
        }
        let (machine, more, since, earliest) = (&self.machine, self.more, now(), clock::since_boot());
        let (sockets, main_since, at) = (&self.sockets, self.since, tick());
        let announced = Cell::new(None);
        let become_run = || {
            let born = Born { earliest, latest: clock::since_boot() };
            let pid = Pid(process::own_pid().as_raw().unsigned_abs());
            let record = match place {
                Place::Main => machine.record_once_started(pid, since, More { born, ..more }),
                Place::Beside => {
                    let more = More { second_born: born, second_since: since, ..more };
                    machine.record_once_started_beside(at, pid, main_since, more)
                }
            };
            let written = record::write(&encode(record));
            announced.set(Some((born, written.is_ok())));
            if place == Place::Beside {
                // What a copy leaves behind that does not get ready is found by its group. This cannot fail in a new process.
                let _ = process::new_group();
            }
            sockets.place(&mut handed).err().unwrap_or_else(|| run.exec(c"./run"))
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
                let pid = Pid(pid.as_raw().unsigned_abs());
                self.said.over("fork");
                self.note_score();
                match place {
                    Place::Main => {
                        (self.since, self.more.born) = (since, born);
                        self.readiness = ways.listen();
                        self.step(Event::Started(pid));
                    }
                    Place::Beside => {
                        (self.more.second_since, self.more.second_born) = (since, born);
                        self.beside_readiness = ways.listen();
                        self.step(Event::StartedBeside(pid));
                    }
                }
                if written {
                    self.note_announced();
                } else {
                    self.announce();
                }
            }
            Err(error) => {
                if place == Place::Beside {
                    self.said.warning("fork", text!("unable to fork for ", self.dir), &error);
                    return self.step(Event::SpawnBesideFailed);
                }
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

    /// Those that the service needs, and no others but those that an old copy has.
    fn open_sockets(&mut self, place: Place, present: Present) -> Result<(), Text> {
        let beside = place == Place::Beside;
        if present.sockets {
            return self.sockets.refresh(beside, self.dir, &mut self.said);
        }
        self.sockets.give_none();
        if !beside {
            self.sockets.close_others();
        }
        Ok(())
    }

    /// The service cannot be started, and `why` has been said.
    fn refuse(&mut self, place: Place, why: &[u8]) {
        self.more.why = More::why_of(why);
        self.step(match place {
            Place::Main => Event::SpawnRefused,
            Place::Beside => Event::SpawnBesideFailed,
        });
    }

    /// The environment of the service; `None` for our own.
    fn environment(&self, ways: &Ways, handed: &Handed<'_>) -> Option<Vec<CString>> {
        let listen = handed.is_counted().then(|| handed.variables());
        let notify = ways.socket().then(|| readiness::variable(&self.notify));
        let changes: Vec<_> = listen.into_iter().flatten().chain(notify).chain(ways.interval()).collect();
        (!changes.is_empty()).then(|| environ::changed(&changes))
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
            Signal::Abort => process::Signal::SIGABRT,
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
        let pid = process::Pid::from_raw(pid.0.cast_signed());
        let adopted = [&self.adopted, &self.beside].into_iter().flatten().find(|adopted| adopted.pid() == pid);
        let sent = match adopted {
            Some(adopted) => adopted.kill(signal),
            None => process::kill(pid, signal),
        };
        match sent {
            // It has just ended, and we shall hear of that.
            Err(error) if error.raw_os_error() == Some(sys::ESRCH) => {}
            Err(error) => self.said.warning("kill", text!("unable to signal ", self.dir), &error),
            Ok(()) => self.said.over("kill"),
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

/// Kills what is left of a process group. The pid of its leader, who may have ended long ago, is given to nobody else while there is anybody in
/// it; so where a process has that which lives and is no child of ours, nothing is left.
#[inline(never)]
fn end_group(Pid(leader): Pid) {
    let leader = process::Pid::from_raw(leader.cast_signed());
    let lives = match Adopted::open(leader) {
        Ok(found) => found.is_some(),
        // There nothing is led by anybody but a child of ours.
        Err(error) => !matches!(error.raw_os_error(), Some(sys::ENOSYS | sys::EPERM)),
    };
    if !lives || proc::parent(leader) == Some(process::own_pid()) {
        // ESRCH: it has left nothing behind.
        let _ = process::kill_group(leader, process::Signal::SIGKILL);
    }
}

/// A service that cannot be heard is not ended for its silence.
fn watch_only_heard(machine: &mut Machine, notify: &NotifySocket) {
    if !notify.is_open() {
        machine.watch(0);
        machine.watch_beside(0);
    }
}

/// The pipe on stdout, if svscan has made that for our logger.
fn log_pipe() -> Option<u64> {
    environ::take(BELOW_SVSCAN)?;
    fd::pipe_id(fd::stdout())
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
fn announce(dir: &OsStr, record: (Status, More), said: &mut Warnings) -> Option<Tick> {
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
