//! What the loop owes: what it must do before anything else, and before it waits again.

use std::collections::{BTreeSet, VecDeque};

use machine::Pid;
use machine::supervise::{Event, Word};
use svdir::{Command, Exit};
use sys::process::Change;

/// The most calls to the kernel in a turn.
const MOST_CALLS: u32 = 2000;

/// What the loop owes.
#[derive(Default)]
pub struct Due {
    calls: u32,
    /// The events of starts and looks, and the answers to questions. The machine must take them in before anything else.
    outcomes: VecDeque<Event>,
    /// How many of them come from the event that the machine takes in now.
    fresh: usize,
    /// The commands that were read, and not obeyed yet.
    pub commands: VecDeque<Command>,
    /// There are commands that were not read yet.
    pub unread: bool,
    /// The ends that the loop has seen, and the machine has not.
    pub ends: Vec<(u32, Option<Change>)>,
    /// The processes whose end the machine has taken in.
    heard: BTreeSet<u32>,
    /// The process that has written that it is ready.
    pub ready: Option<u32>,
    /// The process that has named another one, which was found.
    pub moved: Option<u32>,
    /// The leader of the process group whose rest is to be ended.
    pub group: Option<u32>,
    /// A wait has failed, so the loop must rest.
    pub rest: bool,
}

impl Due {
    pub fn call(&mut self) {
        self.calls += 1;
        assert!(self.calls < MOST_CALLS, "a turn without an end");
    }

    /// Checks that nothing is owed, because the loop waits.
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

    /// Notes the event of a start or of a look.
    pub fn comes(&mut self, outcome: Event) {
        self.outcomes.insert(self.fresh, outcome);
        self.fresh += 1;
    }

    /// Notes that the machine need not hear of the end of this process.
    pub fn is_heard(&mut self, pid: u32) {
        self.ends.retain(|&(ended, _)| ended != pid);
    }

    /// Checks an event that the machine takes in.
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
            Event::Started(..) | Event::NotStarted(..) | Event::Left(..) | Event::Essential(_) => {
                panic!("{event:?} of no action")
            }
            Event::Command(command, _) => assert_eq!(self.commands.pop_front(), Some(command)),
            Event::Begin => {}
            Event::Ended(..)
            | Event::Judged(..)
            | Event::Stopped(_)
            | Event::Continued(_)
            | Event::Word(..)
            | Event::Overdue(_)
            | Event::Orphans
            | Event::Gate
            | Event::Timeout => {
                assert!(self.commands.is_empty() && !self.unread, "{event:?} comes before a command");
            }
        }
        if let Event::Ended(Pid(pid), exit, _) | Event::Judged(Pid(pid), exit, ..) = *event {
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
