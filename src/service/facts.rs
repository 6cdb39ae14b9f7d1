//! The description of a service. The line of `svstat` and the messages of `svc --wait` come from here, so that they never disagree.
//!
//! This is pure: it knows what stands in the record, and what its caller has seen besides. No other part of the clients knows what a
//! record is made of.

use std::num::NonZeroU32;

use cli::{Text, text};
use machine::wait::{self, Before, Verdict, Wanted};
use svdir::{Exit, Mark, More, Role, Status, TooShort, Want};
use tai::Label;

/// What the record of a service tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    status: Status,
    /// What only our supervise tells.
    more: Option<More>,
    /// The record has room for marks and a second copy.
    answers: bool,
}

impl Facts {
    /// No record is longer, in bytes.
    pub const LONGEST: usize = Status::WHOLE;

    /// Those of the record in these bytes, of whichever suite it is.
    ///
    /// # Errors
    /// [`TooShort`] for fewer bytes than the oldest record has.
    pub fn decode(record: &[u8]) -> Result<Facts, TooShort> {
        let (status, more) = Status::decode_with(record)?;
        Ok(Facts { status, more, answers: more.is_some() && record.len() >= Status::WITH_SECOND })
    }

    /// The facts about a service whose supervise is ours and has yet to write its first record.
    pub fn before_the_first_record() -> Facts {
        Facts { status: Status::default(), more: Some(More::default()), answers: true }
    }

    /// Returns whether the record tells all that a waiting client needs.
    pub const fn can_be_waited_for(&self) -> bool {
        self.answers
    }

    /// The process of the service, if it is up.
    pub const fn pid(&self) -> Option<NonZeroU32> {
        self.status.pid
    }

    /// The pid of the supervise that wrote the record, and the mark that came last behind commands.
    pub fn author(&self) -> (u32, Mark) {
        self.more.map_or_else(Default::default, |more| (more.supervise, more.mark))
    }

    /// Whether supervise has left because it was told to.
    pub fn has_left(&self) -> bool {
        self.more.is_some_and(|more| more.left)
    }

    /// The same of a service that has a supervise, which has yet to write its record: that the one before has left does not count.
    #[must_use]
    pub fn with_a_supervise(self) -> Facts {
        Facts { more: self.more.map(|more| More { left: false, ..more }), ..self }
    }

    /// Judges whether the service is where it is `wanted`. `commanded` is the state before commands, if some were sent and obeyed.
    pub fn judge(&self, wanted: Wanted, commanded: Option<Before>) -> Verdict {
        wait::judge(wanted, commanded, &self.status, &self.more.unwrap_or_default())
    }

    /// The line of `svstat`: daemontools' to the byte, and ours behind it. `normally_up` says that there is no `down` file.
    pub fn line(&self, normally_up: bool, now: Label) -> Text {
        let Status { since, pid, paused, want, .. } = self.status;
        let on = |clause: &'static str, holds: bool| if holds { clause } else { "" };
        let seconds = since.age(now);
        let mut line = match pid {
            Some(pid) => text!(
                "up (pid ",
                u64::from(pid.get()),
                ") ",
                seconds,
                " seconds",
                on(", normally down", !normally_up),
                on(", paused", paused),
                on(", want down", want == Want::Down),
            ),
            None => {
                text!("down ", seconds, " seconds", on(", normally up", normally_up), on(", want up", want == Want::Up),)
            }
        };
        if let Some(ready) = self.ready() {
            line.add(&[&", ready ", &ready.age(now), &" seconds"]);
        }
        if let Some(why) = self.why_not_started() {
            line.add(&[&", ", &why.as_str()]);
        }
        if let Some(second) = self.more.and_then(|more| more.second) {
            let doing = match second.role {
                Role::Starting => ", starting pid ",
                Role::EndingOld | Role::EndingNew => ", ending pid ",
            };
            line.add(&[&doing, &u64::from(second.pid.get())]);
        }
        line
    }

    /// The clauses that `svstat --long` puts behind the line; none for a supervise of another suite.
    pub fn more(&self) -> Text {
        let mut line = Text::default();
        let Some(more) = &self.more else {
            return line;
        };
        let times = if more.starts == 1 { " time" } else { " times" };
        line.add(&[
            &", supervise pid ",
            &u64::from(more.supervise),
            &" version ",
            &more.version().unwrap_or("unknown"),
        ]);
        line.add(&[&", started ", &u64::from(more.starts), &times]);
        match more.last_exit {
            None => {}
            Some(Exit::Code(code)) => line.add(&[&", last exited ", &u64::from(code)]),
            Some(Exit::Signal(signal)) => line.add(&[&", last killed by signal ", &u64::from(signal)]),
            Some(Exit::Unknown) => line.add(&[&", last ended unseen"]),
        }
        if let Some(why) = self.why_not_replaced() {
            line.add(&[&", not replaced: ", &why.as_str()]);
        }
        line
    }

    /// A clause for messages about a service that is not as `wanted`: in which state it is, and why, if that matters here. Why a service that is up was
    /// not replaced some time ago matters only to those who want it replaced.
    pub fn clause(&self, wanted: Wanted) -> String {
        let state = self.state();
        let not_replaced = self.why_not_replaced().filter(|_| wanted == Wanted::Replaced);
        match self.why_not_started().or(not_replaced) {
            Some(why) => format!("{state}, {why}"),
            None => state,
        }
    }

    fn state(&self) -> String {
        let more = self.more.unwrap_or_default();
        match self.status.pid {
            None if more.start_due || (self.status.want == Want::Up && !more.exiting) => {
                "it is down and will be started".to_owned()
            }
            None => "it is down".to_owned(),
            Some(pid) if more.second.is_some_and(|second| second.role == Role::Starting) => {
                format!("it is up (pid {pid}) and its new copy is not ready")
            }
            Some(pid) if more.ending => format!("it is up (pid {pid}) and was told to end"),
            Some(pid) if more.declares && more.ready.is_none() => format!("it is up (pid {pid}) and not ready"),
            Some(pid) => format!("it is up (pid {pid})"),
        }
    }

    /// Since when the service is ready, if it is and tells so.
    fn ready(&self) -> Option<Label> {
        self.more.and_then(|more| more.ready).filter(|_| self.status.pid.is_some())
    }

    /// Why a service that is down could not be started.
    fn why_not_started(&self) -> Option<String> {
        self.more.and_then(|more| more.why()).filter(|_| self.status.pid.is_none())
    }

    /// Why a service that is up was not replaced when that was last tried.
    fn why_not_replaced(&self) -> Option<String> {
        self.more.and_then(|more| more.why()).filter(|_| self.status.pid.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: Status = Status { pid: NonZeroU32::new(7), ..DOWN };
    const DOWN: Status = Status {
        since: Label { seconds: 0, nanos: 0 },
        pid: None,
        paused: false,
        want: Want::Up,
        got_term: false,
        run: svdir::Run::Down,
    };

    fn facts(status: Status, more: More) -> Facts {
        Facts { status, more: Some(more), answers: true }
    }

    fn line(facts: &Facts) -> String {
        facts.line(true, Label::default()).to_string()
    }

    #[test]
    fn line_and_clause_give_the_same_reason() {
        let why = More { why: More::why_of(b"no file"), ..More::default() };
        let down = facts(DOWN, why);
        assert_eq!(line(&down), "down 0 seconds, normally up, want up, no file");
        for wanted in [Wanted::Up, Wanted::Ready, Wanted::Replaced, Wanted::Down] {
            assert_eq!(down.clause(wanted), "it is down and will be started, no file");
        }
        let up = facts(UP, why);
        assert_eq!(line(&up), "up (pid 7) 0 seconds");
        assert_eq!(up.more().to_string(), ", supervise pid 0 version unknown, started 0 times, not replaced: no file");
        assert_eq!(up.clause(Wanted::Replaced), "it is up (pid 7), no file");
        assert_eq!(up.clause(Wanted::Ready), "it is up (pid 7)");
    }

    #[test]
    fn a_service_that_nobody_starts_is_just_down() {
        for (want, more, starts) in [
            (Want::Up, More::default(), true),
            (Want::Up, More { exiting: true, ..More::default() }, false),
            (Want::Once, More::default(), false),
            (Want::Once, More { start_due: true, ..More::default() }, true),
            (Want::Down, More::default(), false),
        ] {
            let clause = facts(Status { want, ..DOWN }, more).clause(Wanted::Up);
            assert_eq!(clause, if starts { "it is down and will be started" } else { "it is down" }, "{want:?}");
        }
    }

    #[test]
    fn what_another_suite_tells_is_daemontools_line() {
        let record = UP.encode();
        for length in [Status::LEAST, Status::SIZE] {
            let facts = Facts::decode(&record[..length]).expect("long enough");
            assert_eq!(line(&facts), "up (pid 7) 0 seconds");
            assert_eq!(facts.more().to_string(), "");
            assert!(!facts.can_be_waited_for());
        }
        assert!(Facts::decode(&record[..Status::LEAST - 1]).is_err());
    }
}
