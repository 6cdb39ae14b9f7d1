//! The loop of supervise: what the kernel tells becomes an event, the machine decides, an action becomes a system call.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use cli::{Text, Warnings, text};
use machine::supervise::{Action, Event, Job, Machine, Say, Slot, Word};
use machine::{Pid, Tick};
use svdir::notify::Notice;
use svdir::record::handover::{Handover, Key};
use svdir::record::{self as sections, Observed, Record};
use svdir::{Command, Exit, names};
use sys::adopted::Adopted;
use sys::notify::LONGEST;
use sys::process::{self, Change};
use sys::signals::Signals;
use sys::{fd, oom, proc, sealed, stack};

use super::copies::{Outcome, Provisions, Scene, start_check};
use super::hold::Hold;
use super::processes::{Known, Processes, pid_of};
use super::readiness::{self, ReadyPipe};
use super::takeover::{find_moved, know_group};
use super::upgrade::unknown_descriptor;
use super::{knobs, say};
use crate::service::files::shown;
use crate::service::successor::{Answer, Successor};
use crate::service::{now, record, tick};

/// Command bytes are read this many at a time.
const BATCH: usize = 256;

/// So many datagrams of a service are read before something else has its turn.
const WORDS: usize = 8;

/// So many are read before it is judged by its silence or its end.
const LAST_WORDS: usize = 64;

/// Everything that the loop has.
pub struct Supervisor<'a> {
    /// As the operator typed it: for messages.
    pub dir: &'a OsStr,
    pub machine: Machine,
    /// What has happened and was not taken in yet.
    pub events: VecDeque<Event>,
    pub processes: Processes,
    /// What stands in the record besides what the machine and the processes say: who we are, why the service cannot be started, which marks have come.
    pub told: Observed,
    /// Held: the read end of the pipe to the logger, which must not break while both svscan and the logger are dead.
    pub log_pipe: Option<OwnedFd>,
    pub provisions: Provisions,
    pub signals: Signals,
    pub hold: Hold,
    /// When it is tried again to make our files anew.
    pub renew: Option<Tick>,
    pub successor: Successor,
    pub said: Warnings,
    pub done: bool,
    /// More of the stack was touched than the loop needs.
    pub deep: bool,
}

impl Supervisor<'_> {
    /// Becomes the new file of this program.
    fn succeed(&mut self, program: &Path) {
        let open: Vec<BorrowedFd<'_>> =
            self.descriptors().map(|(_, fd)| fd).chain(self.provisions.sockets.descriptors()).collect();
        if let Some(state) = self.state() {
            self.successor.succeed(program, &state, &open, &self.signals);
        }
    }

    /// What another program needs to go on from here.
    #[inline(never)]
    fn state(&self) -> Option<Vec<u8>> {
        let descriptors = self.descriptors().map(|(key, fd)| (key, sealed::number(fd))).collect();
        let (oom, sockets) = (oom::original(), self.provisions.sockets.leave());
        Handover { record: self.record(), descriptors, sockets, oom }.encode()
    }

    /// All that stays open over an upgrade, but for the sockets of the service.
    fn descriptors(&self) -> impl Iterator<Item = (Key, BorrowedFd<'_>)> {
        let [reader, writer] = self.signals.descriptors();
        let signals = [(Key::SIGNALS, reader), (Key::SIGNALS_WRITER, writer)];
        let log_pipe = self.log_pipe.as_ref().map(|pipe| (Key::LOG_PIPE, pipe.as_fd()));
        let notify = self.provisions.notify.descriptor().map(|socket| (Key::NOTIFY, socket));
        let all = self.hold.descriptors().chain(self.processes.descriptors()).chain(signals).chain(log_pipe);
        all.chain(notify).chain(unknown_descriptor())
    }

    /// Starts the service, or finds it running or ended.
    pub fn begin(&mut self) {
        // A process that is up before the machine has begun is our predecessor's.
        let gone = |pid: Option<Pid>, known: &Known| pid.filter(|_| known.adopted.is_none());
        let main = gone(self.machine.pid(), &self.processes.main);
        let second = gone(self.machine.second_pid(), &self.processes.second);
        if second.is_none() {
            know_group(&mut self.machine, &self.processes.second);
        }
        self.take_in(Event::Begin);
        for pid in [main, second].into_iter().flatten() {
            log::info!("{}: pid {} ended while nobody supervised it", self.dir.display(), pid.0);
            self.take_in(Event::Ended(pid, Exit::Unknown));
        }
    }

    /// Goes on where the program has stood that this one replaces.
    pub fn go_on(&mut self) {
        log::info!("{}: going on as version {}", self.dir.display(), self.told.supervise.version().unwrap_or_default());
        self.announce();
        know_group(&mut self.machine, &self.processes.second);
        self.take_in(Event::Begin);
        // Deaths of which the old program was not told any more.
        self.reap();
    }

    /// Waits for something to happen, and acts on all that has. What a turn seldom needs is not inlined: its stack would be touched always.
    #[inline(never)]
    pub fn turn(&mut self) {
        let deadlines = [
            self.machine.deadline(),
            self.hold.announcer.rewrite,
            self.renew,
            self.successor.deadline(),
            self.provisions.notify.deadline(),
        ];
        let deadline = deadlines.into_iter().flatten().min();
        let timeout = self.signals.timeout(deadline.map(|deadline| tick().until(deadline)));
        // What the beginning or a start has touched is not needed until the next one.
        if std::mem::take(&mut self.deep) {
            stack::give_back();
        }
        let Processes { main, second } = &self.processes;
        let sources = [
            Some(self.signals.fd()),
            Some(self.hold.control()),
            main.ready.fd(),
            second.ready.fd(),
            main.adopted.as_ref().map(Adopted::fd),
            second.adopted.as_ref().map(Adopted::fd),
            self.provisions.notify.fd(),
        ];
        let found = sys::poll::readable_of(sources, timeout);
        let [signals, control, main_ready, second_ready, main_ended, second_ended, word] = match found {
            Ok(readable) => {
                self.said.over("poll");
                readable
            }
            Err(error) => {
                let text = text!("unable to wait for ", self.dir, ", trying again in a second");
                self.said.warning("poll", text, &error);
                sys::poll::rest();
                // What is not there says nothing.
                [true; 7]
            }
        };
        // The operator comes first: a service that does not stop talking keeps him from nothing.
        if control {
            self.obey();
        }
        if main_ready || second_ready {
            self.hear_ready();
        }
        if signals || self.signals.came() {
            self.signals.drain();
            self.reap();
        }
        if main_ended || second_ended {
            self.see_end_of_adopted();
        }
        self.meet_deadlines();
        // Last, and few at a time.
        if word {
            self.hear_words(WORDS);
        }
    }

    fn meet_deadlines(&mut self) {
        if self.machine.is_overdue(tick()) {
            // What it has told while we did not get to run counts.
            self.hear_words(LAST_WORDS);
            let knobs = knobs::signals(self.dir, &mut self.said);
            self.take_in(Event::Overdue(knobs));
        }
        if is_due(self.machine.deadline()) {
            self.take_in(Event::Timeout);
        }
        if is_due(self.hold.announcer.rewrite) {
            self.announce();
        }
        if is_due(self.renew) {
            self.look_at_files();
        }
        self.successor.timeout();
    }

    fn reap(&mut self) {
        let mut nobody = true;
        while let Some((pid, change)) = process::reap() {
            nobody = false;
            if matches!(change, Change::Exited(_) | Change::Killed(_)) {
                if self.provisions.notify.ended(pid) {
                    continue;
                }
                self.hear_last_words();
            }
            self.change(pid_of(pid), change);
        }
        if nobody {
            self.look_at_files();
        }
    }

    fn change(&mut self, pid: Pid, change: Change) {
        match self.successor.hear(pid, change) {
            Answer::Yes(program) => return self.succeed(&program),
            Answer::No => return,
            Answer::None => {}
        }
        let ended = match change {
            Change::Exited(code) => Some(Exit::Code(code)),
            Change::Killed(signal) => Some(Exit::Signal(signal as u8)),
            Change::Stopped | Change::Continued => None,
        };
        if !matches!(self.machine.slot(pid), Some(Slot::Job(_))) {
            log::info!("{}: pid {} {change}", self.dir.display(), pid.0);
            if ended.is_some() {
                self.provisions.sockets.listen_again(self.dir, &mut self.said);
            }
        }
        self.take_in(match (ended, change) {
            (Some(exit), _) => Event::Ended(pid, exit),
            (None, Change::Stopped) => Event::Stopped(pid),
            (None, _) => Event::Continued(pid),
        });
    }

    /// Looks whether a process that is not our child has ended.
    fn see_end_of_adopted(&mut self) {
        self.hear_last_words();
        for adopted in self.processes.take_ended().into_iter().flatten() {
            let pid = pid_of(adopted.pid());
            match adopted.exit() {
                Some(change) => self.change(pid, change),
                None => {
                    log::info!("{}: pid {} ended", self.dir.display(), pid.0);
                    self.take_in(Event::Ended(pid, Exit::Unknown));
                }
            }
        }
    }

    /// Takes in all that was told before an end is: it may have been ready for a moment, or have said that it is another process now.
    fn hear_last_words(&mut self) {
        self.hear_ready();
        self.hear_words(LAST_WORDS);
    }

    /// Takes in who has written that it is ready.
    fn hear_ready(&mut self) {
        if self.processes.main.ready.hear() {
            self.hear(self.machine.pid(), Word::Ready);
        }
        if self.processes.second.ready.hear() {
            self.hear(self.machine.second_pid(), Word::Ready);
        }
    }

    fn hear(&mut self, pid: Option<Pid>, word: Word) {
        if let Some(pid) = pid {
            if word == Word::Ready {
                log::info!("{}: pid {} is ready", self.dir.display(), pid.0);
            }
            self.take_in(Event::Word(pid, word));
        }
    }

    /// Takes in what the service tells of itself, at most so many datagrams.
    fn hear_words(&mut self, most: usize) {
        if self.provisions.notify.is_open() {
            self.hear_some_words(most);
        }
    }

    /// Not inlined: its buffer shall be no part of the stack of a supervise whose service tells nothing.
    #[inline(never)]
    fn hear_some_words(&mut self, most: usize) {
        let mut buffer = [0; LONGEST];
        for _ in 0..most {
            let copies = [self.machine.pid(), self.machine.second_pid()];
            let Some(message) = self.provisions.notify.receive(copies, &mut buffer) else {
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
        let word = match word {
            Notice::Ready => Word::Ready,
            Notice::ExtendTimeout(nanoseconds) => Word::Extend(nanoseconds),
            Notice::Reloading => Word::Unready,
            Notice::Stopping => Word::Stopping,
            Notice::Watchdog => Word::Alive,
            Notice::WatchdogTrigger => Word::Hangs(knobs::signals(self.dir, &mut self.said)),
            Notice::WatchdogInterval(nanoseconds) => Word::Watch(nanoseconds),
            Notice::Status(status) => {
                log::info!("{}: {}", self.dir.display(), status.escape_ascii());
                return pid;
            }
            Notice::MainPid(main) if main != pid.0 => return self.follow(pid, Pid(main), user),
            // The barrier's descriptor is closed already.
            Notice::MainPid(_) | Notice::Barrier => return pid,
        };
        self.hear(Some(pid), word);
        pid
    }

    /// Takes `new` for the service's process in place of `old`, if it may be. Returns which of them that is now.
    #[inline(never)]
    fn follow(&mut self, old: Pid, new: Pid, user: u32) -> Pid {
        let process = match find_moved(&self.machine, &self.provisions.notify, old, new, user) {
            Ok(process) => process,
            Err(error) => {
                let text = text!("unable to follow ", self.dir, " to pid ", u64::from(new.0));
                self.said.warning("mainpid", text, &error);
                return old;
            }
        };
        self.said.over("mainpid");
        log::info!("{}: following pid {} to pid {}", self.dir.display(), old.0, new.0);
        let is_main = self.machine.pid() == Some(old);
        let known = if is_main { &mut self.processes.main } else { &mut self.processes.second };
        known.seen.born = record::born(process.birth());
        known.seen.since = now();
        // A child of ours, as the one that was started as `run` is, is heard of by itself.
        known.adopted = Some(process).filter(|process| proc::parent(process.pid()) != Some(process::own_pid()));
        self.hear(Some(old), Word::Moved(new));
        new
    }

    /// Obeys the commands that have come. Bytes that are none are ignored.
    #[inline(never)]
    fn obey(&mut self) {
        let mut batch = [0; BATCH];
        let count = match fd::read(self.hold.control(), &mut batch) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                let text = text!("unable to read ", shown(self.dir, names::CONTROL).0.as_slice());
                return self.said.warning("control", text, &error);
            }
        };
        self.said.over("control");
        let before = self.told.heard;
        for &byte in batch.iter().take(count) {
            if let Some(mark) = self.told.mark.with(byte) {
                (self.told.mark, self.told.heard) = (mark, self.told.heard.wrapping_add(1));
            } else if self.done {
                // It obeys nothing more, and tells that it has read it.
            } else if byte == svdir::UPGRADE {
                if let Some(state) = self.state() {
                    self.successor.ask(&state);
                }
            } else if let Some(command) = Command::from_letter(byte) {
                log::debug!("{}: command {}", self.dir.display(), char::from(byte));
                let knobs = self.provisions.knobs_for(command, self.dir, &mut self.said);
                self.take_in(Event::Command(command, knobs));
            }
        }
        if self.told.heard != before {
            self.announce();
        }
    }

    /// Lets the machine decide, and does what it says. What comes of that is taken in before anything else.
    fn take_in(&mut self, event: Event) {
        self.events.push_back(event);
        while let Some(event) = self.events.pop_front() {
            let mut outcomes = 0;
            for action in self.machine.step(tick(), event) {
                if let Some(outcome) = self.act(action) {
                    self.events.insert(outcomes, outcome);
                    outcomes += 1;
                }
            }
        }
    }

    /// Does it. Returns what came of it, where that is to be taken in.
    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Start(slot @ (Slot::Main | Slot::Second)) => return Some(self.start(slot)),
            Action::Start(slot @ Slot::Job(Job::Check(about))) => {
                return Some(start_check(slot, about, self.dir, &mut self.said));
            }
            Action::Signal(target, signal) => match self.processes.signal(target, signal) {
                Ok(()) => self.said.over("kill"),
                Err(error) => self.said.warning("kill", text!("unable to signal ", self.dir), &error),
            },
            Action::Promote => {
                self.processes.promote();
                self.provisions.sockets.close_others();
            }
            Action::Stamp => {
                self.processes.main.seen.since = now();
                if self.machine.pid().is_none() {
                    self.processes.main.ready = ReadyPipe::default();
                }
            }
            Action::StampReady => {
                self.processes.main.seen.ready = Some(now());
                self.processes.main.ready = ReadyPipe::default();
            }
            Action::Announce => self.announce(),
            Action::Say(what) => {
                if let Some(Text(why)) = say::say(self.dir, what, self.told.why.bytes()) {
                    self.told.why = sections::Text::new(&why);
                }
                if matches!(what, Say::GaveUp(_)) {
                    self.processes.second.ready = ReadyPipe::default();
                }
            }
            Action::Quit => {
                log::info!("{}: leaving", self.dir.display());
                self.told.supervise.exited = true;
                self.provisions.notify.remove();
                self.announce();
                self.done = true;
            }
        }
        None
    }

    /// Starts a copy of the service.
    fn start(&mut self, slot: Slot) -> Event {
        self.told.why = sections::Text::default();
        let scene = Scene {
            dir: self.dir,
            machine: &self.machine,
            now: self.record(),
            announcer: &mut self.hold.announcer,
            said: &mut self.said,
        };
        self.deep = true;
        let Outcome { event, known, why } = self.provisions.start(slot, scene);
        self.told.why = why;
        match (known, slot) {
            (Some(known), Slot::Second) => self.processes.second = known,
            (Some(known), Slot::Main | Slot::Job(_)) => self.processes.main = known,
            (None, _) => {}
        }
        event
    }

    fn record(&self) -> Record {
        let Processes { main, second } = &self.processes;
        let notify = readiness::recorded(&self.provisions.notify);
        let observed = Observed { main: main.seen, second: second.seen, notify, ..self.told };
        Record { decided: self.machine.decided(), observed }
    }

    fn announce(&mut self) {
        let record = self.record();
        self.hold.announcer.announce(self.dir, &record, &mut self.said);
    }

    /// Looks whether our files are still there, and makes them anew if somebody has removed them.
    #[inline(never)]
    fn look_at_files(&mut self) {
        self.renew = None;
        if self.done || self.hold.is_there() {
            return;
        }
        let record = self.record();
        self.renew = self.hold.insist(self.dir, &record, &mut self.said);
    }
}

fn is_due(deadline: Option<Tick>) -> bool {
    deadline.is_some_and(|deadline| deadline <= tick())
}
