//! Whether a service is where somebody waits for it to be.
//!
//! Who has sent commands must know that they were obeyed: a status that was written before tells of the past. So a mark is sent
//! behind them ([`svdir::Mark`]), and its appearance in the record says so.

use std::num::NonZeroU32;

use svdir::{More, Role, Second, Status, Want};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It runs, and was not told to end.
    Up,
    /// It does not run, and is not about to be started.
    Down,
    /// It is up and, if it tells so, ready.
    Ready,
    /// The same, no new copy is on its way and, if something was commanded, it is another process than before, and the last new copy
    /// was not given up.
    Replaced,
}

/// What was so before commands were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// The process that served.
    pub pid: Option<NonZeroU32>,
}

impl Wanted {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Wanted::Up => "up",
            Wanted::Down => "down",
            Wanted::Ready => "ready",
            Wanted::Replaced => "replaced",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &[u8]) -> Option<Wanted> {
        let all = [Wanted::Up, Wanted::Down, Wanted::Ready, Wanted::Replaced];
        all.into_iter().find(|wanted| wanted.name().as_bytes() == name)
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

/// Judges the record of a service whose supervise lives, or has left by itself. `commanded` tells of the time before whoever waits
/// has sent commands, if that was so and they were obeyed.
pub fn judge(wanted: Wanted, commanded: Option<Before>, status: &Status, more: &More) -> Verdict {
    let comes_up = more.start_due || (status.want == Want::Up && !more.exiting);
    let is_ready = is_up(status, more) && (!more.declares || more.ready.is_some());
    let replacing = more.replace_due || matches!(more.second, Some(Second { role: Role::Starting, .. }));
    let same = commanded.is_some_and(|before| before.pid.is_some() && before.pid == status.pid);
    // That it is another process now may be the work of somebody else's command, or its own. Each start clears the reason, so it is about a
    // copy that was made since.
    let given_up = commanded.is_some() && more.why().is_some();
    let there = match wanted {
        Wanted::Up => is_up(status, more),
        Wanted::Ready => is_ready,
        Wanted::Replaced => is_ready && !replacing && !same && !given_up,
        Wanted::Down => status.pid.is_none() && more.second.is_none() && (!comes_up || more.left),
    };
    // Who sent no command waits for somebody else's.
    let gone = commanded.is_some() && wanted != Wanted::Down && status.pid.is_none() && !comes_up;
    let kept = wanted == Wanted::Replaced && (same || given_up) && is_up(status, more) && !replacing;
    let never = more.left || gone || kept;
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

    const COMMANDED: Option<Before> = Some(Before { pid: None });

    fn all(commanded: Option<Before>, status: &Status, more: &More) -> [Verdict; 3] {
        [Wanted::Up, Wanted::Ready, Wanted::Down].map(|wanted| judge(wanted, commanded, status, more))
    }

    use Verdict::{Never, NotYet, There};

    #[test]
    fn one_that_declares_nothing_is_ready_when_it_is_up() {
        assert_eq!(all(COMMANDED, &UP, &More::default()), [There, There, NotYet]);
        let declares = More { declares: true, ..More::default() };
        assert_eq!(all(COMMANDED, &UP, &declares), [There, NotYet, NotYet]);
        let ready = More { ready: Some(tai::Label::default()), ..declares };
        assert_eq!(all(COMMANDED, &UP, &ready), [There, There, NotYet]);
    }

    #[test]
    fn one_that_was_told_to_end_is_not_up_any_more() {
        assert_eq!(all(COMMANDED, &UP, &More { ending: true, ..More::default() }), [NotYet, NotYet, NotYet]);
    }

    #[test]
    fn one_that_will_be_started_again_is_not_down() {
        assert_eq!(all(COMMANDED, &DOWN, &More::default()), [NotYet, NotYet, NotYet]);
        let once = Status { want: Want::Once, ..DOWN };
        assert_eq!(all(COMMANDED, &once, &More { start_due: true, ..More::default() }), [NotYet, NotYet, NotYet]);
    }

    #[test]
    fn one_that_nobody_wants_up_is_waited_for_only_by_who_has_not_commanded_it() {
        for want in [Want::Down, Want::Once] {
            let down = Status { want, ..DOWN };
            assert_eq!(all(COMMANDED, &down, &More::default()), [Never, Never, There]);
            assert_eq!(all(None, &down, &More::default()), [NotYet, NotYet, There]);
        }
    }

    #[test]
    fn a_supervise_that_has_left_starts_nothing() {
        let left = More { left: true, exiting: true, ..More::default() };
        for commanded in [None, COMMANDED] {
            assert_eq!(all(commanded, &DOWN, &left), [Never, Never, There]);
        }
    }

    #[test]
    fn one_is_replaced_when_another_process_serves_and_no_further_one_is_coming() {
        let pid = NonZeroU32::new(9).expect("it is not 0");
        let second = |role| More { second: Some(Second { pid, role }), ..More::default() };
        let before = |pid: Option<NonZeroU32>| Some(Before { pid });
        let judge = |commanded, more: &More| judge(Wanted::Replaced, commanded, &UP, more);
        for commanded in [before(NonZeroU32::new(9)), before(None), None] {
            assert_eq!(judge(commanded, &More::default()), There);
            assert_eq!(judge(commanded, &second(Role::EndingOld)), There);
            assert_eq!(judge(commanded, &second(Role::Starting)), NotYet);
            assert_eq!(judge(commanded, &More { replace_due: true, ..More::default() }), NotYet);
            assert_eq!(judge(commanded, &More { declares: true, ..More::default() }), NotYet);
        }
        let same = before(UP.pid);
        assert_eq!(judge(same, &second(Role::Starting)), NotYet);
        assert_eq!(judge(same, &second(Role::EndingNew)), Never);
        assert_eq!(judge(same, &More { ending: true, ..More::default() }), NotYet);
    }

    #[test]
    fn one_is_not_replaced_if_its_new_copy_was_given_up_whoever_serves() {
        let why = More { why: More::why_of(b"pid 11 exited 1 before it was ready"), ..More::default() };
        let second = |role| Some(Second { pid: NonZeroU32::new(11).expect("it is not 0"), role });
        let judge = |commanded, more: &More| judge(Wanted::Replaced, commanded, &UP, more);
        for pid in [UP.pid, NonZeroU32::new(9), None] {
            let commanded = Some(Before { pid });
            assert_eq!(judge(commanded, &why), Never);
            assert_eq!(judge(commanded, &More { second: second(Role::EndingNew), ..why }), Never);
            // Another is tried.
            assert_eq!(judge(commanded, &More { second: second(Role::Starting), ..why }), NotYet);
            assert_eq!(judge(commanded, &More { replace_due: true, ..why }), NotYet);
            // It comes back as another.
            assert_eq!(judge(commanded, &More { ending: true, ..why }), NotYet);
        }
        assert_eq!(judge(None, &why), There, "it is about the past");
        assert_eq!(all(COMMANDED, &UP, &why), [There, There, NotYet]);
    }

    #[test]
    fn two_copies_are_not_down_before_both_have_ended() {
        let down = Status { want: Want::Down, ..DOWN };
        let pid = NonZeroU32::new(9).expect("it is not 0");
        let more = More { second: Some(Second { pid, role: Role::EndingOld }), ..More::default() };
        assert_eq!(super::judge(Wanted::Down, COMMANDED, &down, &more), NotYet);
    }

    #[test]
    fn every_name_is_the_name_of_one() {
        for wanted in [Wanted::Up, Wanted::Down, Wanted::Ready, Wanted::Replaced] {
            assert_eq!(Wanted::from_name(wanted.name().as_bytes()), Some(wanted));
        }
        assert_eq!(Wanted::from_name(b"U"), None);
    }
}
