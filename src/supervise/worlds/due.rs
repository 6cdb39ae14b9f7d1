//! What the loop has begun and must do before anything else, and before it waits again.

use std::collections::{BTreeSet, VecDeque};

use machine::Pid;
use machine::supervise::{Event, Word};
use svdir::{Command, Exit};
use sys::process::Change;

/// No turn takes more calls to the kernel.
const MOST_CALLS: u32 = 2000;

/// It.
#[derive(Default)]
pub struct Due {
    calls: u32,
    /// The machine hears of these before anything else.
    outcomes: VecDeque<Event>,
    /// So many of them come of the event that it takes in now.
    fresh: usize,
    /// These were read.
    pub commands: VecDeque<Command>,
    /// There are commands, and they were not read.
    pub unread: bool,
    /// These ends were told.
    pub ends: Vec<(u32, Option<Change>)>,
    /// The machine has heard of these.
    heard: BTreeSet<u32>,
    /// This one has written that it is ready.
    pub ready: Option<u32>,
    /// This one has named another, which was found.
    pub moved: Option<u32>,
    /// What this one has left behind is to be ended.
    pub group: Option<u32>,
    /// It could not wait.
    pub rest: bool,
}

impl Due {
    pub fn call(&mut self) {
        self.calls += 1;
        assert!(self.calls < MOST_CALLS, "a turn without an end");
    }

    /// The loop waits.
    pub fn is_over(&mut self) {
        let Due { outcomes, commands, unread, ends, ready, moved, group, rest, .. } = &self;
        assert!(outcomes.is_empty(), "nobody has heard of {outcomes:?}");
        assert!(commands.is_empty(), "nobody has obeyed {commands:?}");
        assert!(ends.is_empty(), "nobody has heard of the end of {ends:?}");
        assert!(!unread, "there are commands, and nobody has read them");
        assert_eq!((*ready, *moved), (None, None), "nobody has heard of it");
        assert_eq!(*group, None, "nobody has ended what it left behind");
        assert!(!rest, "it cannot wait, and does not rest");
        self.calls = 0;
    }

    /// This comes of a start.
    pub fn comes(&mut self, outcome: Event) {
        self.outcomes.insert(self.fresh, outcome);
        self.fresh += 1;
    }

    /// The end of this process is nothing to the machine.
    pub fn is_heard(&mut self, pid: u32) {
        self.ends.retain(|&(ended, _)| ended != pid);
    }

    /// The machine takes in an event.
    pub fn see(&mut self, event: &Event) {
        self.fresh = 0;
        if let Some(outcome) = self.outcomes.pop_front() {
            return assert_eq!(*event, outcome, "what came of a start is not taken in at once");
        }
        if let Some(pid) = self.ready.take() {
            return assert_eq!(*event, Event::Word(Pid(pid), Word::Ready));
        }
        if let Some(old) = self.moved.take() {
            return assert!(
                matches!(event, Event::Word(Pid(pid), Word::Moved(_)) if *pid == old),
                "{event:?} of {old}"
            );
        }
        match *event {
            Event::Started(..) | Event::NotStarted(..) => panic!("{event:?} of no start"),
            Event::Command(command, _) => assert_eq!(self.commands.pop_front(), Some(command)),
            Event::Begin => {}
            Event::Ended(..)
            | Event::Stopped(_)
            | Event::Continued(_)
            | Event::Word(..)
            | Event::Overdue(_)
            | Event::Timeout => {
                assert!(self.commands.is_empty() && !self.unread, "{event:?} comes before a command");
            }
        }
        if let Event::Ended(Pid(pid), exit) = *event {
            self.see_end(pid, exit);
        }
    }

    fn see_end(&mut self, pid: u32, exit: Exit) {
        assert!(self.heard.insert(pid), "the end of pid {pid} is told twice");
        let at = self.ends.iter().position(|&(ended, _)| ended == pid);
        let expected = match at.and_then(|at| self.ends.swap_remove(at).1) {
            Some(Change::Exited(code)) => Exit::Code(code),
            Some(Change::Killed(signal)) => Exit::Signal(u8::try_from(signal).expect("a signal")),
            Some(Change::Stopped | Change::Continued) | None => Exit::Unknown,
        };
        assert_eq!(exit, expected, "of pid {pid}");
    }
}
