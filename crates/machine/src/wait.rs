//! Whether a service is where somebody waits for it to be.
//!
//! Who has sent commands must know that they were obeyed: a status that was written before tells of the past. So a mark is sent
//! behind them ([`svdir::Mark`]), and its appearance in the record says so.

use svdir::{More, Status, Want};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It runs, and was not told to end.
    Up,
    /// It does not run, and is not about to be started.
    Down,
    /// It is up and, if it tells so, ready.
    Ready,
}

impl Wanted {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Wanted::Up => "up",
            Wanted::Down => "down",
            Wanted::Ready => "ready",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &[u8]) -> Option<Wanted> {
        [Wanted::Up, Wanted::Down, Wanted::Ready].into_iter().find(|wanted| wanted.name().as_bytes() == name)
    }
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is there.
    There,
    /// It is not, and may come there.
    NotYet,
    /// Nothing will bring it there.
    Never,
}

/// Judges the record of a service whose supervise lives, or has left by itself. `commanded` says whether whoever waits has sent
/// commands, and they were obeyed.
pub fn judge(wanted: Wanted, commanded: bool, status: &Status, more: &More) -> Verdict {
    let comes_up = more.start_due || (status.want == Want::Up && !more.exiting);
    let there = match wanted {
        Wanted::Up => is_up(status, more),
        Wanted::Ready => is_up(status, more) && (!more.declares || more.ready.is_some()),
        Wanted::Down => status.pid.is_none() && (!comes_up || more.left),
    };
    // Who sent no command waits for somebody else's.
    let never = more.left || (commanded && wanted != Wanted::Down && status.pid.is_none() && !comes_up);
    match (there, never) {
        (true, _) => Verdict::There,
        (false, false) => Verdict::NotYet,
        (false, true) => Verdict::Never,
    }
}

fn is_up(status: &Status, more: &More) -> bool {
    status.pid.is_some() && !more.ending && !more.left
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const UP: Status = Status { pid: NonZeroU32::new(7), ..DOWN };
    const DOWN: Status = Status {
        since: tai::Label { seconds: 0, nanos: 0 },
        pid: None,
        paused: false,
        want: Want::Up,
        got_term: false,
        run: svdir::Run::Down,
    };

    fn all(commanded: bool, status: &Status, more: &More) -> [Verdict; 3] {
        [Wanted::Up, Wanted::Ready, Wanted::Down].map(|wanted| judge(wanted, commanded, status, more))
    }

    use Verdict::{Never, NotYet, There};

    #[test]
    fn one_that_declares_nothing_is_ready_when_it_is_up() {
        assert_eq!(all(true, &UP, &More::default()), [There, There, NotYet]);
        let declares = More { declares: true, ..More::default() };
        assert_eq!(all(true, &UP, &declares), [There, NotYet, NotYet]);
        let ready = More { ready: Some(tai::Label::default()), ..declares };
        assert_eq!(all(true, &UP, &ready), [There, There, NotYet]);
    }

    #[test]
    fn one_that_was_told_to_end_is_not_up_any_more() {
        assert_eq!(all(true, &UP, &More { ending: true, ..More::default() }), [NotYet, NotYet, NotYet]);
    }

    #[test]
    fn one_that_will_be_started_again_is_not_down() {
        assert_eq!(all(true, &DOWN, &More::default()), [NotYet, NotYet, NotYet]);
        let once = Status { want: Want::Once, ..DOWN };
        assert_eq!(all(true, &once, &More { start_due: true, ..More::default() }), [NotYet, NotYet, NotYet]);
    }

    #[test]
    fn one_that_nobody_wants_up_is_waited_for_only_by_who_has_not_commanded_it() {
        for want in [Want::Down, Want::Once] {
            let down = Status { want, ..DOWN };
            assert_eq!(all(true, &down, &More::default()), [Never, Never, There]);
            assert_eq!(all(false, &down, &More::default()), [NotYet, NotYet, There]);
        }
    }

    #[test]
    fn a_supervise_that_has_left_starts_nothing() {
        let left = More { left: true, exiting: true, ..More::default() };
        for commanded in [false, true] {
            assert_eq!(all(commanded, &DOWN, &left), [Never, Never, There]);
        }
    }

    #[test]
    fn every_name_is_the_name_of_one() {
        for wanted in [Wanted::Up, Wanted::Down, Wanted::Ready] {
            assert_eq!(Wanted::from_name(wanted.name().as_bytes()), Some(wanted));
        }
        assert_eq!(Wanted::from_name(b"U"), None);
    }
}
