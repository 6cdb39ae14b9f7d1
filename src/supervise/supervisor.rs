//! The loop of supervise: it turns what the kernel reports into events, lets the machine decide, and turns the actions
//! of the machine into system calls.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::path::Path;

use cli::{Text, Warnings, text};
use machine::supervise::{Action, Event, Job, Knobs, Machine, Needs, Rules, Say, Slot, Word};
use machine::{Pid, SECOND, Tick};
use svdir::notify::Notice;
use svdir::record::{self as sections, Observed, Record};
use svdir::tally::Death;
use svdir::{Command, Exit, names};
use sys::notify::LONGEST;
use sys::process::Change;

use super::cgroup::life_of;
use super::kernel::{Kernel, Told, WATCHED, Woken};
use super::{notices, say};
use crate::service::files::shown;
use crate::service::successor::Answer;

/// How many command bytes are read at a time.
const BATCH: usize = 256;

/// How many datagrams of the service are read before the loop does something else.
const WORDS: usize = 8;

/// How many datagrams are read before the service is judged by its silence or its end.
const LAST_WORDS: usize = 64;

/// The state of the loop.
pub struct Supervisor<'a, K> {
    /// The service directory as the operator typed it, for messages.
    pub dir: &'a OsStr,
    pub machine: Machine,
    /// The events that the machine has not taken in yet.
    pub events: VecDeque<Event>,
    /// The part of the record that does not come from the machine: what was seen of the processes, who this supervise
    /// is, why the service cannot be started, which marks have come.
    pub told: Observed,
    /// The processes whose end the machine has not been told yet, so that it may still want to signal them. Other
    /// processes may have their pids by now.
    pub ended: [Option<Pid>; WATCHED],
    /// The kernel, or a model of it.
    pub kernel: K,
    /// When the loop tries again to make its files anew.
    pub renew: Option<Tick>,
    /// When the loop tries again to read commands, after that has failed.
    pub deaf: Option<Tick>,
    pub said: Warnings,
    pub done: bool,
}

impl<K: Kernel> Supervisor<'_, K> {
    /// Executes the new file of this program, unless supervise is about to exit.
    fn succeed(&mut self, program: &Path) {
        if self.done {
            return;
        }
        if let Some(state) = self.kernel.state(self.record()) {
            self.kernel.succeed(program, &state);
        }
    }

    /// Starts the service, or takes over the processes of a killed supervise, whether they still run or have ended.
    pub fn begin(&mut self) {
        // The machine has not begun, so the processes that it knows are the predecessor's. Those that are not watched
        // have ended.
        let unseen: Vec<_> = self.machine.processes().filter(|&(slot, _)| !self.kernel.is_watched(slot)).collect();
        if unseen.iter().all(|&(slot, _)| slot != Slot::Second) {
            self.know_group();
        }
        self.take_in(Event::Begin);
        for (_, pid) in unseen {
            log::info!("{}: pid {} ended while nobody supervised it", self.dir.display(), pid.0);
            self.ended(pid, Exit::Unknown);
        }
    }

    /// Tells the machine that a process has ended.
    fn ended(&mut self, pid: Pid, exit: Exit) {
        if let Some(Slot::Job(Job::Health(_))) = self.machine.slot(pid) {
            return self.judged(pid, exit);
        }
        self.kernel.tell(notices::Notice::of_end(&self.machine, pid, exit), &mut self.said);
        let is_main = self.machine.pid() == Some(pid);
        let life = life_of(pid, &self.machine, &self.told);
        let for_memory = life.is_some_and(|life| self.kernel.life_ended(life, pid, exit));
        self.told.memory = if is_main { for_memory } else { self.told.memory };
        let mut rules = if is_main { self.kernel.rules(exit, &mut self.said) } else { Rules::default() };
        rules.signals =
            self.machine.overview().needs_signals(pid).then(|| self.kernel.knobs(Needs::Signals, &mut self.said));
        self.take_in(Event::Ended(pid, exit, rules));
    }

    /// Tells the machine what a run of `health` has found.
    #[inline(never)]
    fn judged(&mut self, pid: Pid, exit: Exit) {
        let settings = self.kernel.health(&mut self.said);
        let needs = if exit == Exit::Code(0) { Needs::Nothing } else { Needs::Signals };
        let knobs = self.kernel.knobs(needs, &mut self.said);
        self.take_in(Event::Judged(pid, exit, settings, knobs));
    }

    /// Goes on after an upgrade, where the old program stopped.
    pub fn go_on(&mut self) {
        log::info!("{}: going on as version {}", self.dir.display(), self.told.supervise.version().unwrap_or_default());
        self.announce();
        self.know_group();
        self.take_in(Event::Begin);
        // Children may have ended whose end the old program did not see any more.
        self.reap();
    }

    /// Tells the machine if the second copy, which an earlier supervise has started, leads a process group.
    fn know_group(&mut self) {
        if self.machine.second_pid().is_some_and(|second| self.kernel.leads_group(second)) {
            self.machine.know_group();
        }
    }

    /// Waits until something happens, and acts on it. Code that a turn seldom needs is not inlined: otherwise every turn would touch its stack.
    #[inline(never)]
    pub fn turn(&mut self) {
        if self.is_due(self.deaf) {
            self.deaf = None;
        }
        let deadlines = [self.machine.deadline(), self.renew, self.deaf, self.kernel.deadline()];
        let woken = match self.kernel.wait(deadlines.into_iter().flatten().min(), self.deaf.is_none()) {
            Ok(woken) => {
                self.said.over("poll");
                woken
            }
            Err(error) => {
                let text = text!("unable to wait for ", self.dir, ", trying again in a second");
                self.said.warning("poll", text, &error);
                self.kernel.rest();
                Woken::UNKNOWN
            }
        };
        // Commands come first: a service that sends messages without end must not keep the operator waiting.
        if woken.commands && self.deaf.is_none() {
            self.obey();
        }
        if woken.ready {
            self.hear_ready();
        }
        if woken.signal || self.kernel.has_signal() {
            self.kernel.forget_signals();
            self.reap();
        }
        if woken.ended {
            self.see_end_of_adopted();
        }
        self.meet_deadlines();
        // Messages come last, and few at a time.
        if woken.word {
            self.hear_words(WORDS);
        }
    }

    fn meet_deadlines(&mut self) {
        if self.machine.is_overdue(self.kernel.now()) {
            let knobs = self.kernel.knobs(Needs::Signals, &mut self.said);
            // All messages count that came before supervise got to run, and while it read the knobs.
            self.hear_last_words();
            self.take_in(Event::Overdue(knobs));
        }
        if self.is_due(self.machine.deadline()) {
            self.take_in(Event::Timeout);
        }
        if self.is_due(self.kernel.rewrite()) {
            self.announce();
        }
        if self.is_due(self.renew) {
            self.look_at_files();
        }
        if self.kernel.hear_gate() {
            self.take_in(Event::Gate);
        }
        self.kernel.end_late();
    }

    fn is_due(&self, deadline: Option<Tick>) -> bool {
        deadline.is_some_and(|deadline| deadline <= self.kernel.now())
    }

    /// Handles the changes of children. CHLD also tells that somebody has removed the files, and one CHLD may stand for
    /// both, so the loop always looks at its files too.
    fn reap(&mut self) {
        while let Some((pid, change)) = self.kernel.reap() {
            if matches!(change, Change::Exited(_) | Change::Killed(_)) {
                if self.kernel.was_helper(pid, &mut self.said) {
                    continue;
                }
                self.ended[0] = Some(pid);
                self.hear_last_words();
            }
            self.change(pid, change);
            self.ended = [None; WATCHED];
        }
        if !self.machine.leftovers().is_empty() {
            self.take_in(Event::Orphans);
        }
        self.look_at_files();
    }

    fn change(&mut self, pid: Pid, change: Change) {
        match self.kernel.hear_successor(pid, change) {
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
                self.kernel.copy_ended(&mut self.said);
            }
        }
        match (ended, change) {
            (Some(exit), _) => self.ended(pid, exit),
            (None, Change::Stopped) => self.take_in(Event::Stopped(pid)),
            (None, _) => self.take_in(Event::Continued(pid)),
        }
    }

    /// Handles the end of processes that are not our children.
    fn see_end_of_adopted(&mut self) {
        let ended = self.kernel.take_ended();
        self.ended = ended.map(|ended| ended.map(|(pid, _)| pid));
        // Only after their end was seen: by now all their messages are there.
        self.hear_last_words();
        for (pid, exit) in ended.into_iter().flatten() {
            match exit {
                Some(change) => self.change(pid, change),
                None => {
                    log::info!("{}: pid {} ended", self.dir.display(), pid.0);
                    self.ended(pid, Exit::Unknown);
                }
            }
        }
        self.ended = [None; WATCHED];
    }

    /// Handles everything that processes have written before their end, or their silence, is handled: one may have been ready
    /// for a moment, or have named another process as the main one.
    fn hear_last_words(&mut self) {
        self.hear_ready();
        self.hear_words(LAST_WORDS);
    }

    /// Tells the machine which copies have written that they are ready.
    fn hear_ready(&mut self) {
        if self.kernel.hear_ready(Slot::Main) {
            self.hear(self.machine.pid(), Word::Ready);
        }
        if self.kernel.hear_ready(Slot::Second) {
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

    /// Handles messages of the service, at most `most` datagrams.
    fn hear_words(&mut self, most: usize) {
        if self.kernel.hears_words() {
            self.hear_some_words(most);
        }
    }

    /// Handles at most `most` datagrams. Not inlined: the buffer must not be on the stack of a supervise whose service
    /// sends no messages.
    #[inline(never)]
    fn hear_some_words(&mut self, most: usize) {
        let mut buffer = [0; LONGEST];
        for _ in 0..most {
            let copies = [self.machine.pid(), self.machine.second_pid()];
            let told = self.kernel.receive(copies, &mut buffer, &mut self.said);
            let Some(Told { by, sender, user, words }) = told else { return };
            match by {
                Some(pid) => {
                    words.fold(pid, |pid, word| self.hear_word(pid, user, word));
                }
                None => log::info!("{}: a word of pid {}, which is not of it", self.dir.display(), sender.0),
            }
        }
    }

    /// Handles one message about the process `pid`. Returns the process that the next message is about.
    fn hear_word(&mut self, pid: Pid, user: u32, word: Notice<'_>) -> Pid {
        let word = match word {
            Notice::Ready => Word::Ready,
            Notice::ExtendTimeout(nanoseconds) => Word::Extend(nanoseconds),
            Notice::Reloading(began) => Word::Reloading(began),
            Notice::Stopping => Word::Stopping,
            Notice::Watchdog => Word::Alive,
            Notice::WatchdogTrigger => Word::Hangs(self.kernel.knobs(Needs::Signals, &mut self.said)),
            Notice::WatchdogInterval(nanoseconds) => Word::Watch(nanoseconds),
            Notice::Status(status) => {
                log::info!("{}: {}", self.dir.display(), status.escape_ascii());
                return pid;
            }
            Notice::MainPid(main) if main != pid.0 => return self.follow(pid, Pid(main), user),
            // Descriptors, and what is to be done with them, were dealt with when the datagram was received.
            Notice::MainPid(_) | Notice::Barrier | Notice::Store(_) | Notice::Unstore(_) => return pid,
        };
        self.hear(Some(pid), word);
        pid
    }

    /// Takes `new` for the process of the service in place of `old`, if that is allowed. Returns the one that is the
    /// process of the service now.
    #[inline(never)]
    fn follow(&mut self, old: Pid, new: Pid, user: u32) -> Pid {
        let is_main = self.machine.pid() == Some(old);
        let moved = if self.machine.can_move(old, new) {
            self.kernel.follow(if is_main { Slot::Main } else { Slot::Second }, old, new, user)
        } else {
            Err(io::Error::other("there are two copies of the service"))
        };
        let born = match moved {
            Ok(born) => born,
            Err(error) => {
                let text = text!("unable to follow ", self.dir, " to pid ", u64::from(new.0));
                self.said.warning("mainpid", text, &error);
                return old;
            }
        };
        self.said.over("mainpid");
        log::info!("{}: following pid {} to pid {}", self.dir.display(), old.0, new.0);
        let since = self.kernel.label();
        let seen = if is_main { &mut self.told.main } else { &mut self.told.second };
        (seen.born, seen.since) = (born, since);
        self.hear(Some(old), Word::Moved(new));
        new
    }

    /// Obeys the commands that have come. Ignores bytes that are no commands.
    #[inline(never)]
    fn obey(&mut self) {
        let mut batch = [0; BATCH];
        let count = match self.kernel.read_commands(&mut batch) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => {
                let shown = shown(self.dir, names::CONTROL);
                let text = text!("unable to read ", shown.0.as_slice(), ", trying again in a second");
                self.said.warning("control", text, &error);
                self.deaf = Some(self.kernel.now().after(SECOND));
                return;
            }
        };
        self.said.over("control");
        let before = self.told.heard;
        for &byte in batch.iter().take(count) {
            if let Some(mark) = self.told.mark.with(byte) {
                (self.told.mark, self.told.heard) = (mark, self.told.heard.wrapping_add(1));
            } else if self.done {
                // A supervise that exits obeys no more commands, but still counts the marks, so that clients know that
                // it has read them.
            } else if byte == svdir::UPGRADE {
                if let Some(state) = self.kernel.state(self.record()) {
                    self.kernel.ask_successor(&state);
                }
            } else if let Some(command) = Command::from_letter(byte) {
                log::debug!("{}: command {}", self.dir.display(), char::from(byte));
                let controls = self.kernel.controls(command, &mut self.said);
                let knobs = Knobs { controls, ..self.kernel.knobs(Needs::of(command), &mut self.said) };
                self.take_in(Event::Command(command, knobs));
            }
        }
        if self.told.heard != before {
            self.announce();
        }
    }

    /// Lets the machine decide about an event, and carries out its actions. The events that come of the actions are
    /// taken in before any other.
    fn take_in(&mut self, event: Event) {
        self.events.push_back(event);
        while let Some(event) = self.events.pop_front() {
            let mut outcomes = 0;
            self.kernel.see(&event);
            for action in self.machine.step(self.kernel.now(), event) {
                if let Some(outcome) = self.act(action) {
                    self.events.insert(outcomes, outcome);
                    outcomes += 1;
                }
            }
        }
    }

    /// Carries out an action. Returns the event that comes of it, if there is one.
    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Start(slot @ (Slot::Main | Slot::Second | Slot::Job(Job::Hook(_) | Job::Control(..)))) => {
                return Some(self.start(slot));
            }
            Action::Start(slot @ Slot::Job(Job::Check(about) | Job::Health(about))) => {
                return Some(self.kernel.start_check(slot, about, &mut self.said));
            }
            Action::Look(first, mode, known) => return Some(self.kernel.look(first, mode, known, &self.machine)),
            Action::Signal(to, signal) => {
                let sent = to.without(&self.ended).map(|to| self.kernel.signal(to, signal, &self.machine));
                say::signalled(self.dir, sent, &mut self.said);
            }
            Action::Promote => {
                self.kernel.promote();
                std::mem::swap(&mut self.told.main, &mut self.told.second);
                self.told.main.ready = None;
            }
            Action::Stamp => {
                self.told.main.since = self.kernel.label();
                if self.machine.pid().is_none() {
                    self.kernel.forget_ready(Slot::Main);
                }
            }
            Action::StampReady => {
                self.told.main.ready = Some(self.kernel.label());
                self.kernel.forget_ready(Slot::Main);
            }
            Action::Announce => self.announce(),
            Action::Tally(exit, most) => {
                let death = Death { at: self.told.main.since, exit, memory: self.told.memory };
                self.kernel.tally(death, most, &mut self.said);
            }
            Action::IsEssential => return Some(Event::Essential(self.kernel.is_essential(&mut self.said))),
            Action::Say(what) => {
                if let Some(Text(why)) = say::say(self.dir, what, self.told.why.bytes()) {
                    self.told.why = sections::Text::new(&why);
                }
                if matches!(what, Say::GaveUp(_)) {
                    self.kernel.forget_ready(Slot::Second);
                }
            }
            Action::Quit => {
                log::info!("{}: leaving", self.dir.display());
                self.told.supervise.exited = true;
                self.kernel.leave([self.told.main.life, self.told.second.life] != [0; 2]);
                self.announce();
                self.done = true;
            }
        }
        None
    }

    /// Starts a copy of the service, or a script for which it waits. Returns the event that comes of it.
    fn start(&mut self, slot: Slot) -> Event {
        let is_copy = !matches!(slot, Slot::Job(_));
        if is_copy {
            self.told.why = sections::Text::default();
        }
        let now = self.record();
        let outcome = self.kernel.start(slot, &self.machine, now, &mut self.said);
        outcome.note(is_copy, &mut self.told);
        outcome.event
    }

    fn record(&self) -> Record {
        let observed = Observed { notify: self.kernel.notify_name(), ..self.told };
        Record { decided: self.machine.decided(), observed }
    }

    fn announce(&mut self) {
        let record = self.record();
        self.kernel.announce(&record, &mut self.said);
    }

    /// Looks whether our files are still there, and makes them anew if they were removed.
    #[inline(never)]
    fn look_at_files(&mut self) {
        self.renew = None;
        if self.done || self.kernel.has_files() {
            return;
        }
        let record = self.record();
        self.renew = self.kernel.renew_files(&record, &mut self.said);
    }
}
