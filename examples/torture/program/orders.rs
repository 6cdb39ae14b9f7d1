//! The expected effect of each command on a unit.

use svdir::Want;

use super::suite::{Op, Then};
use super::told::Told;
use super::unit::{Expect, Pending, Unit};

impl Unit {
    /// What is expected after `op`; `None` if it makes no sense now.
    pub fn after(&self, op: Op) -> Option<Expect> {
        use Expect::{Down, Once, Paused, Unknown, Up};
        if self.rules.steady && op.replaces() {
            return None;
        }
        if self.rules.late && op == Op::Once {
            // It may be ended before it is ready, and then it is down.
            return None;
        }
        match (self.expect, op) {
            (_, Op::Restore) => Some(Up),
            (Unknown, _) => None,
            (Up | Down, Op::Up | Op::DownExit) | (Once, Op::Up) | (Paused, Op::Continue | Op::Kill) => Some(Up),
            (Up, Op::Continue | Op::Term | Op::Interrupt | Op::Kill | Op::Hup | Op::Alarm | Op::TermExit) => Some(Up),
            (Up, Op::Replace(Then::Done | Then::Again | Then::Kill)) | (Down, Op::Replace(Then::Done)) => Some(Up),
            (Up, Op::Replace(Then::Down)) => Some(Down),
            (Once, Op::Continue | Op::Hup | Op::Alarm) => Some(Once),
            (Once, Op::Term | Op::Interrupt | Op::Kill) => Some(Down),
            (Up | Down | Once, Op::Once) => Some(Once),
            (Up | Once | Paused | Down, Op::Down) => Some(Down),
            (Up, Op::Pause) => Some(Paused),
            (Down, Op::Term | Op::Kill | Op::Hup | Op::Alarm | Op::Interrupt) => Some(Down),
            (Down, Op::Pause | Op::Continue | Op::TermExit | Op::Replace(Then::Again | Then::Down | Then::Kill))
            | (Once, Op::Pause | Op::DownExit | Op::TermExit | Op::Replace(_))
            | (
                Paused,
                Op::Up
                | Op::Once
                | Op::Term
                | Op::Interrupt
                | Op::Hup
                | Op::Alarm
                | Op::Pause
                | Op::DownExit
                | Op::TermExit
                | Op::Replace(_),
            ) => None,
        }
    }

    /// Returns whether the command has had its effect.
    pub fn is_obeyed(&self, pending: &Pending, told: &Told, supervise: Option<u32>, stopped: bool) -> bool {
        let (status, pid) = (told.status, told.pid());
        if told.replacing && pending.op.replaces() {
            return false;
        }
        let up = status.want == Want::Up && pid.is_some();
        // runit's status has no once.
        let once = status.want != Want::Up && pid.is_some();
        let another = pid != pending.process;
        match (pending.op, self.expect) {
            (Op::Down | Op::Replace(Then::Down), _) => status.want == Want::Down && pid.is_none(),
            (Op::Up, _) => up,
            (Op::Once, _) => once,
            (Op::Term | Op::Interrupt | Op::Kill, Expect::Down) => pid.is_none(),
            (Op::Term | Op::Interrupt | Op::Kill | Op::Replace(_), _) => up && another,
            (Op::Pause, _) => status.paused && stopped,
            (Op::Continue, _) => !status.paused && !stopped,
            (Op::Hup | Op::Alarm, _) => !another,
            (Op::DownExit | Op::TermExit, _) => up && another && supervise.is_some() && supervise != pending.supervise,
            (Op::Restore, _) => up && !status.paused && !stopped,
        }
    }
}
