//! Tells `notify` of each start and end of the processes of the service, as in daemontools-encore. Nothing waits for it: it is run for one event after the other, with a time limit,
//! and if events come faster than that, only so many are kept.

use std::collections::VecDeque;
use std::ffi::{CString, OsStr};
use std::io;

use cli::{Warnings, text};
use machine::supervise::{Event, Job, Machine, Slot};
use machine::{Pid, SECOND, Tick};
use svdir::record::Script;
use svdir::{Exit, names};

use super::processes::process_of;
use super::start::{Made, Plan};
use super::voice::VOICE;
use crate::service::tick;

/// How long one run may take, in nanoseconds.
const LIMIT: u64 = 10 * SECOND;
/// How many events are kept while `notify` runs.
const MOST: usize = 8;
/// The code if it is unknown how a process has ended: no process exits with it.
const NO_CODE: u32 = 256;
/// The subject of the warnings about running it.
const RUN: &str = "./notify";
/// The subject of the warning that it is too slow.
const SLOW: &str = "slow ./notify";

/// A start or an end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    script: &'static str,
    pid: Pid,
    /// How it has ended; `None` for a start.
    exit: Option<Exit>,
}

impl Notice {
    /// What is to be told of the outcome of a start.
    pub fn of_start(event: &Event) -> Option<Notice> {
        let Event::Started(slot, start) = *event else {
            return None;
        };
        Some(Notice { script: script(slot).filter(|_| start.executed)?, pid: start.pid, exit: None })
    }

    /// What is to be told of the end of this process, before the machine has taken that in. A process that has not executed `run` was never up.
    pub fn of_end(machine: &Machine, pid: Pid, exit: Exit) -> Option<Notice> {
        let slot = machine.slot(pid)?;
        let copy = if slot == Slot::Second { machine.second() } else { machine.main() };
        let executed = matches!(slot, Slot::Job(_)) || copy.is_some_and(|copy| copy.executed);
        Some(Notice { script: script(slot).filter(|_| executed)?, pid, exit: Some(exit) })
    }

    /// The arguments `SCRIPT EVENT PID CODE`.
    fn words(self) -> [CString; 4] {
        let (event, code) = match self.exit {
            None => ("start", 0),
            Some(Exit::Code(code)) => ("exit", u32::from(code)),
            Some(Exit::Signal(signal)) => ("killed", u32::from(signal)),
            Some(Exit::Unknown) => ("exit", NO_CODE),
        };
        [self.script.to_owned(), event.to_owned(), self.pid.0.to_string(), code.to_string()]
            .map(|word| CString::new(word).unwrap_or_default())
    }
}

const fn script(slot: Slot) -> Option<&'static str> {
    match slot {
        Slot::Main | Slot::Second => Some(names::RUN),
        Slot::Job(Job::Hook(Script::Start)) => Some(names::START),
        Slot::Job(Job::Hook(Script::Stop)) => Some(names::STOP),
        Slot::Job(_) => None,
    }
}

/// What is told, and what is still to be told.
#[derive(Default)]
pub struct Notices {
    queue: VecDeque<Notice>,
    /// The one that runs, and when it gets KILL.
    running: Option<(Pid, Tick)>,
}

impl Notices {
    /// Tells `notify` of an event, now or later.
    #[inline(never)]
    pub fn tell(&mut self, notice: Notice, dir: &OsStr, said: &mut Warnings) {
        if self.running.is_none() {
            self.run(notice, dir, said);
        } else if self.queue.len() < MOST {
            self.queue.push_back(notice);
        } else {
            let slow = io::Error::other("it takes longer than what it is told of");
            said.warning(SLOW, text!("unable to tell ", dir, "/", names::NOTIFY_SCRIPT, " of everything"), &slow);
        }
    }

    /// Returns whether this process, which was just reaped, was the one that ran. Then it tells of the next event.
    pub fn ended(&mut self, pid: Pid, dir: &OsStr, said: &mut Warnings) -> bool {
        let was_it = self.running.take_if(|(running, _)| *running == pid).is_some();
        if was_it {
            self.go_on(dir, said);
        }
        was_it
    }

    /// The process that runs.
    pub fn pid(&self) -> Option<Pid> {
        self.running.map(|(pid, _)| pid)
    }

    /// When [`end_late`](Notices::end_late) has something to do.
    pub fn deadline(&self) -> Option<Tick> {
        self.running.map(|(_, kill_at)| kill_at)
    }

    /// Kills the one that runs, with its group, if it has had its time.
    pub fn end_late(&mut self, dir: &OsStr) {
        let now = tick();
        let Some((pid, kill_at)) = self.running.as_mut().filter(|(_, kill_at)| *kill_at <= now) else {
            return;
        };
        // It is reaped soon; should that fail, it is killed again.
        *kill_at = now.after(LIMIT);
        let killing =
            text!("unable to end ", dir, "/", names::NOTIFY_SCRIPT, " in time, killing pid ", u64::from(pid.0));
        VOICE.warn(&killing);
        let _ = sys::process::signal_group(process_of(*pid), machine::Signal::KILL.0);
    }

    /// Tells of everything at once, since supervise goes away, or becomes another program, which does not know of this.
    pub fn flush(&mut self, dir: &OsStr) {
        let mut said = Warnings::new(VOICE);
        for notice in std::mem::take(&mut self.queue) {
            self.run(notice, dir, &mut said);
        }
        self.running = None;
    }

    fn go_on(&mut self, dir: &OsStr, said: &mut Warnings) {
        while self.running.is_none() {
            let Some(notice) = self.queue.pop_front() else {
                said.over(SLOW);
                return;
            };
            self.run(notice, dir, said);
        }
    }

    fn run(&mut self, notice: Notice, dir: &OsStr, said: &mut Warnings) {
        let plan = Plan::new(c"./notify", &notice.words(), &[], &[]).map_err(io::Error::other);
        match plan.and_then(|plan| plan.in_group().start(None)).and_then(Made::executed) {
            Ok(made) => {
                said.over(RUN);
                self.running = Some((made.pid, tick().after(LIMIT)));
            }
            Err(error) => {
                let text = text!("unable to run ", dir, "/", names::NOTIFY_SCRIPT, ", going on without");
                said.warning(RUN, text, &error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use machine::supervise::Start;

    use super::*;

    #[test]
    fn the_words_are_those_of_encore() {
        let words = |notice: Option<Notice>| {
            let words = notice.map(|notice| notice.words().map(|word| word.to_string_lossy().into_owned()));
            words.map(|words| words.join(" "))
        };
        let told = |slot| words(Notice::of_start(&Event::Started(slot, Start::plain(Pid(7)))));
        let hook = |script| Slot::Job(Job::Hook(script));
        assert_eq!(told(Slot::Main).as_deref(), Some("run start 7 0"));
        assert_eq!(told(Slot::Second).as_deref(), Some("run start 7 0"));
        assert_eq!(told(hook(Script::Start)).as_deref(), Some("start start 7 0"));
        assert_eq!(told(hook(Script::Stop)).as_deref(), Some("stop start 7 0"));
        assert_eq!([told(hook(Script::Finish)), told(Slot::Job(Job::Check(Pid(7))))], [None, None]);
        let ended = |exit| words(Some(Notice { script: names::RUN, pid: Pid(7), exit: Some(exit) })).expect("words");
        let all = [Exit::Code(3), Exit::Signal(9), Exit::Unknown].map(ended);
        assert_eq!(all, ["run exit 7 3", "run killed 7 9", "run exit 7 256"]);
    }

    #[test]
    fn what_has_not_executed_run_was_never_up() {
        let start = Start { executed: false, ..Start::plain(Pid(7)) };
        assert_eq!(Notice::of_start(&Event::Started(Slot::Main, start)), None);
    }
}
