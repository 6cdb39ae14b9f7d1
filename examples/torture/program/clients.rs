//! Commands, by the clients of the suite, such as svc.

use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use sys::process::{Pid, Signal};

use super::line::now;
use super::report::Kind;
use super::suite::Op;
use super::unit::{Expect, Pending};
use super::world::World;

/// How long a client may take.
const PATIENCE: Duration = Duration::from_secs(10);

impl World {
    /// The commands that ask for `op`.
    pub fn commands(&self, op: Op, unit: usize) -> Vec<Vec<String>> {
        self.suite().commands(op, self.units[unit].logger)
    }

    /// Sends a command, if it makes sense now, and remembers what to expect of it. Returns whether it was sent.
    pub fn command(&mut self, unit: usize, op: Op) -> anyhow::Result<bool> {
        let commands = self.commands(op, unit);
        let Some(expect) = self.units[unit].after(op).filter(|_| !commands.is_empty()) else {
            return Ok(false);
        };
        self.note(unit, &format!("svc -{}", op.letters()));
        let target = &mut self.units[unit];
        target.final_due = None;
        if op.replaces() {
            // A new copy makes the service healthy, whatever becomes of that copy.
            target.sick = None;
            target.overlaps.begin(now());
        }
        target.pending = Some(Pending {
            op,
            process: target.told().and_then(|told| told.pid()),
            supervise: target.supervise.map(|supervise| supervise.pid),
        });
        let wanted = |expect| matches!(expect, Expect::Up | Expect::Paused);
        if op.exits() || !wanted(target.expect) || !wanted(expect) {
            target.unwanted.push(now());
        }
        target.expect = expect;
        let ends = matches!(op, Op::Down | Op::Term | Op::Interrupt | Op::Kill | Op::DownExit | Op::TermExit);
        if ends || op.replaces() {
            target.ends.push(now());
            target.doom();
        }
        if op == Op::Interrupt {
            target.unasked.push(now());
        }
        if op.exits() {
            // Whether it was upgraded before it left cannot be seen any more.
            target.upgrade = None;
            target.may_leave = true;
            if let Some(supervise) = &mut target.supervise {
                supervise.doomed = true;
            }
        }
        let dir = target.dir.clone();
        for words in commands {
            self.client(&words, &[&dir])?;
        }
        *self.counts.commands.entry(op.letters()).or_default() += 1;
        Ok(true)
    }

    /// Runs a client, such as svc, to its end.
    pub fn client(&mut self, words: &[String], dirs: &[&Path]) -> anyhow::Result<()> {
        let Some((name, words)) = words.split_first() else {
            return Ok(());
        };
        let mut command = self.program(name);
        command.args(words).args(dirs).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = Pid::from_raw(command.spawn().with_context(|| format!("unable to run {name}"))?.id().cast_signed());
        let begin = Instant::now();
        while sys::process::try_wait(child)?.is_none() {
            if begin.elapsed() > PATIENCE {
                sys::process::kill(child, Signal::SIGKILL)?;
                sys::process::wait(child)?;
                self.violate(Kind::NoEffect, format!("{name} {words:?} {dirs:?} does not end"));
                break;
            }
            thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }
}
