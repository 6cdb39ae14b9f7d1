//! A world without a kernel: processes, a FIFO, a socket, a record, and everything that may go wrong with them.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU32;
use std::panic::resume_unwind;

use machine::supervise::health::Settings;
use machine::supervise::hook::LIMIT;
use machine::supervise::{Event, Knobs, Machine, NotStarted, Rules, Slot, Start, Target, Word};
use machine::{Pid, SECOND, Signal, Tick};
use svdir::record::handover::{Handover, Key};
use svdir::record::{self, Born, Observed, Process as Seen, Record, Role, Text};
use svdir::{KillMode, Want};
use sys::process::Change;
use tai::Label;

use super::super::kernel::{Outcome, Woken};
use super::due::Due;
use super::hand::Hand;
use super::happening::{Ability, Happening, NewFile, Script, Scripts};
use super::process::{Life, Process, Processes, What, place};

/// The most turns in a row in which no time passes and nothing happens.
const MOST_IDLE_TURNS: u32 = 20;

/// How a supervise ends between two calls to the kernel.
pub enum Fate {
    /// It is killed.
    Killed,
    /// It executes its new file, with this state.
    Succeeded(Vec<u8>),
}

/// A world.
#[derive(Default)]
pub struct World {
    pub now: Tick,
    /// What is wanted at first.
    pub want: Want,
    /// Supervise exits when `run` ends by itself.
    pub last_run: bool,
    /// svscan is an init.
    pub below_init: bool,
    /// The service is essential.
    pub essential: bool,
    /// Another service is missing: a start waits at most so many nanoseconds in all, or for ever if that is 0.
    pub missing: Option<u64>,
    pub script: VecDeque<(u32, Happening)>,
    /// Nothing is left to happen.
    pub idle: bool,
    /// The time by which the loop must wake up, from what it knows itself.
    pub expected: Option<Tick>,
    pub record: Record,
    pub has_files: bool,
    /// Supervise was told that its files were removed.
    pub recalled: bool,
    /// A signal could not be sent.
    pub lost_signal: bool,
    pub left: bool,
    pub knobs: Knobs,
    pub rules: Rules,
    /// How long `finish` and `stop` may take, in nanoseconds.
    pub finish_limit: Option<u64>,
    /// The mode of a copy that is started, and whether it makes another process.
    pub mode: (KillMode, bool),
    pub scripts: Scripts,
    /// How `health` is run; there is none if the interval is 0.
    pub health: Settings,
    /// How long a copy that is started may take to get ready, in nanoseconds; 0 for no limit.
    pub patience: u64,
    /// Whether a copy that is started says that it is ready: by a pipe, by the socket, by a check.
    pub declares: [bool; 3],
    pub control: VecDeque<u8>,
    /// The messages that were not read yet: their sender, the text, and the process that is named at its end.
    pub words: VecDeque<(u32, &'static str, u32)>,
    pub hand: Hand,
    pub due: Due,
    pub processes: Processes,
    impossible: Vec<Ability>,
    stamps: i64,
    idle_turns: u32,
    watchdog: u64,
    pub new_file: NewFile,
}

impl World {
    pub fn new(script: Script) -> World {
        World {
            now: Tick(5 * SECOND),
            script: script.into(),
            has_files: true,
            knobs: Knobs { patience: Some(4 * SECOND), ..Knobs::default() },
            health: Settings { interval: 0, fails: 1 },
            ..World::default()
        }
    }

    pub fn can(&self, what: Ability) -> bool {
        !self.impossible.contains(&what)
    }

    /// Returns the processes that serve.
    pub fn serving(&self) -> Vec<Pid> {
        self.processes.serving().map(|process| Pid(process.pid)).collect()
    }

    /// Makes everything work from now on. Ends the processes that were told to end, checks and scripts.
    pub fn mend(&mut self) {
        self.impossible.clear();
        (self.declares, self.watchdog, self.rules) = ([false; 3], 0, Rules::default());
        self.finish_limit = Some(LIMIT);
        self.mode = (KillMode::Process, false);
        (self.health.interval, self.patience, self.scripts) = (0, 0, Scripts::default());
        self.is_missing(None);
        let mut ending = Vec::new();
        for process in self.processes.all() {
            process.obeys = true;
            if process.told_to_end || matches!(process.what, What::Check | What::Hook | What::Control) {
                ending.push((process.pid, u8::from(process.what == What::Control)));
            }
        }
        ending.into_iter().for_each(|(pid, code)| self.end(pid, Change::Exited(code)));
    }

    pub fn make(&mut self, what: What, life: Life) -> &mut Process {
        self.hand.signal |= life != Life::Lives;
        self.processes.make(what, life, self.now)
    }

    pub fn end(&mut self, pid: u32, change: Change) {
        self.hand.signal |= self.processes.end(pid, change);
    }

    fn end_first(&mut self, what: What, code: u8) {
        self.processes.first(what).into_iter().for_each(|pid| self.end(pid, Change::Exited(code)));
    }

    fn happen(&mut self, happening: Happening) {
        let copy = |place| self.processes.copy(place);
        match happening {
            Happening::Commands(bytes) => self.control.extend(bytes),
            Happening::Ends(place, code) => {
                if let Some(pid) = copy(place) {
                    self.end(pid, Change::Exited(code));
                }
            }
            Happening::Stops(place) => self.change(copy(place), Change::Stopped),
            Happening::Continues(place) => self.change(copy(place), Change::Continued),
            Happening::WritesReady(place) => {
                if let Some(process) = copy(place).and_then(|pid| self.processes.get_mut(pid)) {
                    process.has_written = process.has_pipe;
                }
            }
            Happening::Tells(place, word, ends) => {
                if let Some(pid) = copy(place) {
                    self.tell(pid, word, 0, ends);
                }
            }
            Happening::Moves(place, ends) => {
                if let Some(old) = copy(place) {
                    let new = self.make(What::Run, Life::Lives);
                    (new.parent, new.is_child) = (old, false);
                    let new = new.pid;
                    self.processes.join(new, old);
                    self.tell(old, if ends { "READY=1\nMAINPID=" } else { "MAINPID=" }, new, ends);
                }
            }
            Happening::CheckEnds(code) => self.end_first(What::Check, code),
            Happening::HookEnds(code) => self.end_first(What::Hook, code),
            Happening::ControlEnds(code) => self.end_first(What::Control, code),
            Happening::Health(settings) => self.health = settings,
            Happening::Mode(mode, helps) => self.mode = (mode, helps),
            Happening::HelperEnds => self.end_first(What::Helper, 0),
            Happening::Patience(limit) => self.patience = limit,
            Happening::Rules(rules) => self.rules = rules,
            Happening::FinishLimit(limit) => self.finish_limit = limit,
            Happening::Essential(essential) => self.essential = essential,
            Happening::Missing(missing) => self.is_missing(missing),
            Happening::Scripts(scripts) => self.scripts = scripts,
            Happening::ListenerEnds => drop(self.make(What::Listener, Life::Ended(Change::Exited(0)))),
            Happening::StrangerEnds => drop(self.make(What::Stranger, Life::Ended(Change::Exited(1)))),
            Happening::FilesRemoved => (self.has_files, self.recalled, self.hand.signal) = (false, true, true),
            Happening::Can(what, true) => self.impossible.retain(|&impossible| impossible != what),
            Happening::Can(what, false) => self.impossible.push(what),
            Happening::Declares { pipe, socket, check } => self.declares = [pipe, socket, check],
            Happening::Watchdog(interval) => self.watchdog = interval,
            Happening::Knobs(knobs) => self.knobs = knobs,
            Happening::NewFile(new_file) => self.new_file = new_file,
            Happening::Pass(nanoseconds) => self.now = self.now.after(nanoseconds),
            // A supervise that has recorded its exit may as well be killed: nothing follows.
            Happening::Killed if self.record.observed.supervise.exited => {}
            Happening::Killed => resume_unwind(Box::new(Fate::Killed)),
        }
    }

    /// Another service is missing from now on, or not: supervise is told if a start waits.
    fn is_missing(&mut self, missing: Option<u64>) {
        self.hand.signal |= self.hand.gate.is_some() && missing != self.missing;
        self.missing = missing;
    }

    fn change(&mut self, pid: Option<u32>, change: Change) {
        let process = pid.and_then(|pid| self.processes.get_mut(pid));
        if let Some(process) = process.filter(|process| process.is_child) {
            process.changes.push_back(change);
            self.hand.signal = true;
        }
    }

    fn tell(&mut self, pid: u32, word: &'static str, new: u32, ends: bool) {
        if self.hand.socket {
            self.words.push_back((pid, word, new));
        }
        if ends {
            self.end(pid, Change::Exited(3));
        }
    }

    /// Makes a successor find what a killed supervise has left behind.
    pub fn is_taken_over(&mut self) {
        (self.hand, self.due) = (Hand::default(), Due::default());
        // The successor makes the files again if they are missing.
        (self.has_files, self.recalled, self.left) = (true, false, false);
        self.words.clear();
        let Record { decided, observed } = self.record;
        self.hand.copies = self.recorded();
        let recorded: Vec<_> = self.hand.copies.into_iter().flatten().collect();
        self.processes.are_orphaned(&recorded);
        let copies = [(decided.main, observed.main), (decided.second.map(|(_, second)| second), observed.second)];
        for (at, (copy, seen)) in copies.into_iter().enumerate() {
            let process = copy.and_then(|copy| Some((copy, self.processes.get(copy.pid.get())?)));
            let is_it = |process: &Process| process.life == Life::Lives && process.born.0 == seen.born.latest;
            let Some((copy, process)) = process.filter(|(_, process)| is_it(process)) else {
                continue;
            };
            self.hand.watched[at] = Some(process.pid);
            self.hand.pipes[at] = Some(process.pid).filter(|_| process.has_pipe && copy.declares && !copy.ready);
        }
        self.hand.watched[2] = self.processes.hook_of(&self.record);
        self.hand.watched[3..].copy_from_slice(&self.processes.controls_of(&self.record));
        self.hand.unasked = self.hand.watched[1].is_some();
        self.hand.socket = self.declares[1] && self.hand.watched[..2].iter().any(Option::is_some);
    }

    /// Makes the new file of supervise go on with what was handed over. Signals that have come are lost, as with older
    /// releases that did not hand over their pipe.
    pub fn is_upgraded(&mut self, handover: &Handover) {
        let number = |key| handover.descriptor(key).map(i32::unsigned_abs);
        self.due = Due::default();
        self.hand = Hand {
            copies: self.hand.copies,
            unasked: handover.record.decided.second.is_some(),
            watched: Key::WATCHED.map(number),
            pipes: [number(Key::MAIN_READY), number(Key::SECOND_READY)],
            socket: number(Key::NOTIFY).is_some(),
            ..Hand::default()
        };
    }

    fn recorded(&self) -> [Option<u32>; 2] {
        let decided = &self.record.decided;
        let pid = |copy: record::Copy| copy.pid;
        let copies = [decided.main.map(pid), decided.second.map(|(_, second)| pid(second))];
        copies.map(|pid| pid.map(NonZeroU32::get))
    }

    /// Called before each call of the loop to the kernel: lets things happen first.
    pub fn call(&mut self) {
        self.due.call();
        // Supervise may be killed now.
        let recorded = self.recorded();
        for process in self.processes.serving() {
            let is_known = process.is_named || recorded.contains(&Some(process.pid));
            assert!(is_known, "no successor would know of pid {}", process.pid);
        }
        while let Some((delay, _)) = self.script.front_mut() {
            if *delay > 0 {
                *delay -= 1;
                return;
            }
            self.idle_turns = 0;
            if let Some((_, happening)) = self.script.pop_front() {
                self.happen(happening);
            }
        }
    }

    fn woken(&self, commands: bool) -> Woken {
        let ended = |pid: &u32| !self.processes.lives(*pid);
        let written = |pid: &u32| self.processes.get(*pid).is_some_and(|process| process.has_written);
        Woken {
            commands: commands && !self.control.is_empty(),
            signal: self.hand.signal && self.can(Ability::Wake),
            ready: self.hand.pipes.iter().flatten().any(written),
            ended: self.hand.watched.iter().flatten().any(ended),
            word: !self.words.is_empty(),
        }
    }

    pub fn wait(&mut self, until: Option<Tick>, commands: bool) -> io::Result<Woken> {
        self.due.is_over();
        assert_ne!(self.hand.gate, Some(true), "what a start waits for may have changed, and nobody looks");
        assert!(!self.hand.unasked, "it does not know whether the copy that it has found leads a group");
        for due in [self.expected, self.hand.rewrite, self.hand.asked.map(|(_, at)| at)].into_iter().flatten() {
            assert!(until.is_some_and(|until| until <= due), "it sleeps until {until:?}, and {due:?} is due");
        }
        if !self.can(Ability::Wait) {
            self.due.rest = true;
            match self.script.front_mut() {
                Some((delay, _)) => *delay = 0,
                None => self.idle = true,
            }
            return Err(io::Error::from_raw_os_error(12));
        }
        self.idle_turns += 1;
        loop {
            let woken = self.woken(commands);
            if woken != Woken::default() || self.hand.signal || until.is_some_and(|until| until <= self.now) {
                assert!(self.idle_turns <= MOST_IDLE_TURNS, "it does not come to rest: {woken:?}");
                self.due.unread = woken.commands;
                return Ok(woken);
            }
            self.idle_turns = 1;
            match self.script.pop_front() {
                Some((_, Happening::Pass(nanoseconds))) => {
                    let end = self.now.after(nanoseconds);
                    self.now = until.map_or(end, |until| until.min(end));
                    if self.now < end {
                        self.script.push_front((u32::MAX, Happening::Pass(self.now.until(end))));
                    }
                }
                Some((_, happening)) => self.happen(happening),
                None => {
                    self.idle = true;
                    return Ok(woken);
                }
            }
        }
    }

    /// Checks an event that the machine takes in.
    pub fn see(&mut self, event: &Event) {
        let is_late = matches!(event, Event::Ended(..) | Event::Stopped(_) | Event::Continued(_));
        assert!(!self.left || is_late, "{event:?} after it has left");
        self.due.see(event);
        match *event {
            Event::Ended(Pid(pid), ..) => self.see_end(pid),
            Event::Overdue(_) => {
                assert!(self.words.is_empty(), "it may have told that it is alive");
                assert!(!self.woken(false).ready, "it has told that it is ready");
            }
            Event::Word(_, Word::Moved(_)) => {}
            Event::Word(Pid(pid), _) => {
                assert!(self.hand.copies.contains(&Some(pid)), "pid {pid} is no copy");
            }
            _ => {}
        }
    }

    fn see_end(&mut self, pid: u32) {
        assert!(!self.processes.lives(pid), "pid {pid} lives");
        assert!(self.words.iter().all(|&(sender, ..)| sender != pid), "it has told something before it ended");
        let has_written = self.processes.get(pid).is_some_and(|process| process.has_written);
        assert!(!has_written || !self.hand.pipes.contains(&Some(pid)), "it was ready before it ended");
        // If a new copy ends before it serves, supervise ends the rest of its process group, if it knows that group.
        let is_new = matches!(self.record.decided.second, Some((Role::Warming | Role::EndingNew, _)));
        if is_new && self.hand.rewrite.is_none() && [self.hand.copies[1], self.hand.group] == [Some(pid); 2] {
            self.due.group = Some(pid);
        }
        for copy in &mut self.hand.copies {
            copy.take_if(|copy| *copy == pid);
        }
    }

    pub fn start(&mut self, slot: Slot, machine: &Machine, now: Record) -> Outcome {
        assert!(slot != Slot::Main || self.processes.first(What::Hook).is_none(), "beside a script");
        assert_eq!(self.processes.left_behind(self.hand.copies), None, "it is started beside what is left of another");
        let beside = if slot == Slot::Second { machine.pid() } else { machine.second_pid() };
        let serving = self.serving();
        assert!(serving.iter().all(|&pid| Some(pid) == beside), "{serving:?} run, and only {beside:?} may");
        let failed =
            |why, text: &[u8]| Outcome { event: Event::NotStarted(slot, why), seen: None, why: Text::new(text) };
        if !self.can(Ability::Provide) {
            return failed(NotStarted::Refused, b"it lacks something");
        }
        let [has_pipe, socket, check] = self.declares;
        self.hand.socket |= socket;
        if !self.can(Ability::Fork) {
            return failed(NotStarted::Fork, b"");
        }
        let (executed, writes, obeys, at) =
            (self.can(Ability::Execute), self.can(Ability::Write), self.can(Ability::Obey), self.now);
        let process = self.make(What::Run, Life::Lives);
        (process.has_pipe, process.obeys, process.serves) = (has_pipe, obeys, executed && writes);
        let pid = process.pid;
        let declares = has_pipe || socket || check;
        let watchdog = if socket { self.watchdog } else { 0 };
        let (health, (mode, helps), tells) = (self.health.interval, self.mode, socket);
        let patience = if declares { self.patience } else { 0 };
        let made = Start { declares, check, tells, watchdog, health, mode, patience, ..Start::plain(Pid(pid)) };
        let start = |executed| Start { executed, ..made };
        if mode.leads() && executed && writes {
            self.processes.lead(pid, helps, obeys, at);
        }
        if !writes {
            self.end(pid, Change::Exited(111));
            return failed(NotStarted::Refused, b"nobody would know of it");
        }
        let born = Born { earliest: at.0, latest: at.0 };
        let seen = Seen { since: self.label(), born, life: pid, ..Seen::default() };
        let observed = match slot {
            Slot::Second => Observed { second: seen, ..now.observed },
            Slot::Main | Slot::Job(_) => Observed { main: seen, ..now.observed },
        };
        self.record = Record { decided: machine.decided_once_started(at, slot, start(false)), observed };
        if !executed {
            self.end(pid, Change::Exited(111));
            let outcome = failed(NotStarted::Refused, b"unable to start run");
            let event = if slot == Slot::Second { outcome.event } else { Event::Started(slot, start(false)) };
            return Outcome { event, ..outcome };
        }
        let Hand { copies, watched, pipes, group, .. } = &mut self.hand;
        let place = place(slot);
        *group = if slot == Slot::Second { Some(pid) } else { *group };
        (copies[place], watched[place], pipes[place]) = (Some(pid), None, Some(pid).filter(|_| has_pipe));
        Outcome { event: Event::Started(slot, start(true)), seen: Some(seen), why: Text::default() }
    }

    pub fn label(&mut self) -> Label {
        self.stamps += 1;
        Label::from_unix(self.stamps, 0)
    }

    pub fn signal(&mut self, target: Target, Signal(signal): Signal) -> io::Result<()> {
        let pid = match target {
            Target::Process(pid) => {
                let is_sure = self.hand.watched.contains(&Some(pid.0)) || self.processes.is_unreaped(pid);
                assert!(is_sure, "a signal to {pid:?}, which may be somebody else's");
                pid.0
            }
            Target::Job(pid) => {
                let is_sure = self.hand.watched[2..].contains(&Some(pid.0));
                assert!(
                    is_sure || self.processes.is_unreaped(pid),
                    "a signal to {pid:?}, which may be somebody else's"
                );
                pid.0
            }
            Target::Tree(pid, _) if Signal(signal) != Signal::KILL => {
                return self.signal(Target::Process(pid), Signal(signal));
            }
            Target::Orphans(leader) | Target::Group(leader) => {
                assert!(!self.serving().contains(&leader), "the group of a copy that lives");
                self.due.group.take_if(|group| *group == leader.0);
                self.hand.signal |= self.processes.signal_group(leader.0, None, Signal(signal));
                return Ok(());
            }
            Target::Tree(pid, Pid(leader)) | Target::Led(pid, Pid(leader)) => {
                let sent = self.signal(Target::Process(pid), Signal(signal));
                if sent.is_ok() {
                    self.hand.signal |= self.processes.signal_group(leader, Some(pid.0), Signal(signal));
                }
                return sent;
            }
        };
        if !self.can(Ability::Signal) {
            self.lost_signal = true;
            return Err(io::Error::from_raw_os_error(sys::EPERM));
        }
        let Some(process) = self.processes.get_mut(pid).filter(|process| process.life == Life::Lives) else {
            return Ok(());
        };
        if [Signal::STOP, Signal::CONT].map(|Signal(signal)| signal).contains(&signal) {
            let change = if signal == Signal::STOP.0 { Change::Stopped } else { Change::Continued };
            self.change(Some(pid), change);
        } else if signal == Signal::KILL.0 || process.obeys {
            self.end(pid, Change::Killed(signal.into()));
        } else {
            process.told_to_end = true;
        }
        Ok(())
    }

    pub fn follow(&mut self, slot: Slot, old: u32, new: u32) -> io::Result<Born> {
        if !self.processes.lives(new) || !self.processes.descends(new, old) {
            return Err(io::Error::other("it is no process of the service"));
        }
        if let Some(process) = self.processes.get_mut(old) {
            process.serves = false;
        }
        let process = self.processes.get_mut(new).ok_or(io::ErrorKind::NotFound)?;
        (process.serves, process.is_named) = (true, true);
        let born = process.born.0;
        (self.hand.copies[place(slot)], self.hand.watched[place(slot)]) = (Some(new), Some(new));
        self.due.moved = Some(old);
        Ok(Born { earliest: born, latest: born })
    }
}
