//! The scripts in `control/` that are asked before a signal is sent, or told of a command, as in runit.
//!
//! | state of each of the two places | meaning | leaves it by |
//! |---|---|---|
//! | free | | a command for which there is a script: starting |
//! | starting | the loop forks in this moment | the fork's success: running; its failure: free, and the signal is sent |
//! | running | its process runs | its end: free, and the signal is sent unless it has exited 0; the deadline: its process group gets KILL, once |
//!
//! Meanwhile every command is obeyed. One for which the same script runs waits for that; where both places are taken, no script is asked and the signal is sent. What is
//! held back is sent to the copy that the command was about, if that still runs.

use std::num::NonZeroU32;

use svdir::record::About;
use svdir::{Command, record};

use super::Actions;
use super::events::{Action, Job, Say, Slot, Target};
use super::hook::CONTROL_LIMIT;
use crate::{Pid, Signal, Tick};

/// How many may run at a time.
pub const MOST: usize = record::CONTROLS;

/// Which scripts there are in `control/`. A script has the letter of its command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scripts(u32);

impl Scripts {
    /// The scripts that matter to this command.
    pub const fn of(command: Command) -> &'static [Command] {
        match command {
            Command::Down => &[Command::Term, Command::Down],
            Command::Restart | Command::Replace => &[Command::Term],
            Command::Exit => &[Command::Exit],
            Command::Pause => &[Command::Pause],
            Command::Continue => &[Command::Continue],
            Command::Hup => &[Command::Hup],
            Command::Alarm => &[Command::Alarm],
            Command::Interrupt => &[Command::Interrupt],
            Command::Term => &[Command::Term],
            Command::Kill => &[Command::Kill],
            Command::Quit => &[Command::Quit],
            Command::Usr1 => &[Command::Usr1],
            Command::Usr2 => &[Command::Usr2],
            // `control/u` is part of each start.
            Command::Up | Command::Once | Command::Winch | Command::Reload => &[],
        }
    }

    /// These, and this one.
    #[must_use]
    pub const fn with(self, script: Command) -> Scripts {
        Scripts(self.0 | 1 << (script as u8))
    }

    /// Returns whether there is this one.
    pub const fn has(self, script: Command) -> bool {
        self.0 & 1 << (script as u8) != 0
    }
}

/// What a script was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The command whose letter the script has.
    pub script: Command,
    /// The command that came.
    pub command: Command,
    /// The copy that the command is about.
    pub about: Pid,
    /// There is a `control/d` to be run behind it.
    pub behind: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    asked: Asked,
    /// `None` while it is being started.
    pid: Option<Pid>,
    kill_at: Option<Tick>,
}

/// The scripts that run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Controls {
    runs: [Option<Run>; MOST],
}

impl Controls {
    /// Takes over those that a predecessor has left running, about these two copies. Their time begins anew.
    pub(super) fn resume(now: Tick, left: &[Option<record::Control>; MOST], copies: [Option<Pid>; 2]) -> Controls {
        // One about a copy that is unknown has nothing to hold back.
        let nobody = Pid(0);
        let [main, second] = copies;
        let copy = |about| match about {
            About::Main => main,
            About::Second => second,
            About::Gone => None,
        };
        let run = |left: record::Control| Run {
            asked: Asked {
                script: left.script,
                command: left.command,
                about: copy(left.about).unwrap_or(nobody),
                behind: left.behind,
            },
            pid: Some(Pid(left.pid.get())),
            kill_at: Some(now.after(CONTROL_LIMIT)),
        };
        Controls { runs: left.map(|left| left.map(run)) }
    }

    /// Runs the script if there is one, unless it runs about that copy already. Returns whether it is to be waited for.
    pub(super) fn ask(&mut self, asked: Asked, there: Scripts, todo: &mut Actions) -> bool {
        let Asked { script, command, about, behind } = asked;
        let mut runs = self.runs.iter_mut().flatten().map(|run| &mut run.asked);
        if let Some(known) = runs.find(|known| known.script == script && known.about == about) {
            if known.command != Command::Down && command != Command::Term {
                (known.command, known.behind) = (command, behind);
            }
            return true;
        }
        if !there.has(script) {
            return false;
        }
        let Some(place) = self.runs.iter().position(Option::is_none) else {
            todo.push(Action::Say(Say::Unasked(script)));
            return false;
        };
        self.runs[place] = Some(Run { asked, pid: None, kill_at: None });
        todo.push(Action::Start(Slot::Job(Job::Control(script, place))));
        true
    }

    /// The script in this place runs.
    pub(super) fn started(&mut self, now: Tick, place: usize, pid: Pid) {
        if let Some(run) = self.runs.get_mut(place).and_then(Option::as_mut) {
            (run.pid, run.kill_at) = (Some(pid), Some(now.after(CONTROL_LIMIT)));
        }
    }

    /// The script in this place has ended, or was not started. Returns what it was asked about.
    pub(super) fn ended(&mut self, place: usize) -> Option<Asked> {
        self.runs.get_mut(place)?.take().map(|run| run.asked)
    }

    /// The copy is another process now.
    pub(super) fn moved(&mut self, old: Pid, new: Pid) {
        for run in self.runs.iter_mut().flatten().filter(|run| run.asked.about == old) {
            run.asked.about = new;
        }
    }

    /// Returns whether none runs.
    pub(super) fn is_idle(&self) -> bool {
        self.runs.iter().all(Option::is_none)
    }

    /// The job that runs as this process.
    pub(super) fn job(&self, pid: Pid) -> Option<Job> {
        let place = self.runs.iter().position(|run| run.is_some_and(|run| run.pid == Some(pid)))?;
        Some(Job::Control(self.runs[place]?.asked.script, place))
    }

    /// The processes that run, each in its place.
    pub fn pids(&self) -> [Option<Pid>; MOST] {
        self.runs.map(|run| run?.pid)
    }

    /// When [`timeout`](Controls::timeout) is to be asked.
    pub(super) fn deadline(&self) -> Option<Tick> {
        self.runs.iter().flatten().filter_map(|run| run.kill_at).min()
    }

    /// Kills those that have had their time, with their groups, each once.
    pub(super) fn timeout(&mut self, now: Tick, todo: &mut Actions) {
        for run in self.runs.iter_mut().flatten() {
            if let (Some(_), Some(pid)) = (run.kill_at.take_if(|at| *at <= now), run.pid) {
                todo.push(Action::Say(Say::ControlLate(run.asked.script, pid)));
                todo.push(Action::Signal(Target::Job(pid), Signal::KILL));
            }
        }
    }

    /// What stands in the record where there are these copies, the main one first.
    pub(super) fn record(&self, [main, second]: [Option<Pid>; 2]) -> [Option<record::Control>; MOST] {
        self.runs.map(|run| {
            let Run { asked: Asked { script, command, about, behind }, pid, .. } = run?;
            let pid = NonZeroU32::new(pid?.0)?;
            let about = match Some(about) {
                about if about == main => About::Main,
                about if about == second => About::Second,
                _ => About::Gone,
            };
            Some(record::Control { script, command, pid, about, behind })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERM: Asked = Asked { script: Command::Term, command: Command::Term, about: Pid(7), behind: false };

    fn ask(controls: &mut Controls, asked: Asked) -> (bool, Vec<Action>) {
        let mut todo = Actions::default();
        let there = Scripts::default().with(Command::Term).with(Command::Hup).with(Command::Kill);
        (controls.ask(asked, there, &mut todo), todo.into_iter().collect())
    }

    #[test]
    fn one_that_runs_is_not_asked_twice_and_the_stronger_command_counts() {
        let mut controls = Controls::default();
        let starts = Action::Start(Slot::Job(Job::Control(Command::Term, 0)));
        assert_eq!(ask(&mut controls, TERM), (true, vec![starts]));
        controls.started(Tick(1), 0, Pid(9));
        let down = Asked { command: Command::Down, behind: true, ..TERM };
        for asked in [Asked { command: Command::Restart, ..TERM }, down, TERM] {
            assert_eq!(ask(&mut controls, asked), (true, vec![]));
        }
        assert_eq!(controls.job(Pid(9)), Some(Job::Control(Command::Term, 0)));
        controls.moved(Pid(7), Pid(8));
        assert_eq!(controls.ended(0), Some(Asked { about: Pid(8), ..down }));
        assert!(controls.is_idle());
    }

    #[test]
    fn where_there_is_none_or_no_place_nothing_waits() {
        let mut controls = Controls::default();
        let quit = Asked { script: Command::Quit, command: Command::Quit, ..TERM };
        assert_eq!(ask(&mut controls, quit), (false, vec![]));
        let hup = Asked { script: Command::Hup, command: Command::Hup, ..TERM };
        let kill = Asked { script: Command::Kill, command: Command::Kill, ..TERM };
        assert!(ask(&mut controls, TERM).0 && ask(&mut controls, hup).0);
        assert_eq!(ask(&mut controls, kill), (false, vec![Action::Say(Say::Unasked(Command::Kill))]));
    }

    #[test]
    fn one_that_takes_too_long_is_killed_once() {
        let mut controls = Controls::default();
        ask(&mut controls, TERM);
        controls.started(Tick(1), 0, Pid(9));
        let late = Tick(1).after(CONTROL_LIMIT);
        let mut timeout = |now| {
            let mut todo = Actions::default();
            controls.timeout(now, &mut todo);
            todo.into_iter().count()
        };
        assert_eq!([timeout(Tick(2)), timeout(late), timeout(late)], [0, 2, 0], "it is said, and killed");
        assert_eq!((controls.deadline(), controls.is_idle()), (None, false));
    }

    #[test]
    fn a_successor_waits_for_the_same() {
        let mut controls = Controls::default();
        ask(&mut controls, TERM);
        assert_eq!(controls.record([None; 2]), [None; MOST], "it does not run yet");
        controls.started(Tick(1), 0, Pid(9));
        let copies = [Some(Pid(7)), None];
        assert_eq!(Controls::resume(Tick(1), &controls.record(copies), copies), controls);
        // The copy has ended, and two others run.
        let others = [Some(Pid(8)), Some(Pid(10))];
        let mut resumed = Controls::resume(Tick(1), &controls.record(others), others);
        let about_nobody = Asked { about: Pid(0), ..TERM };
        assert_eq!(resumed.ended(0), Some(about_nobody), "what was about it is about none of these");
    }
}
