//! Whether a service is as the letters want it that were sent.

use std::num::NonZeroU32;

use svdir::{Run, Status, Want};

use super::verb::CHECK;

/// What is known about a service.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub status: Status,
    /// It is done without a process, as only a supervise of this suite says.
    pub done: bool,
    /// It is being started, as only a supervise of this suite says.
    pub starting: bool,
    /// The pid of its supervise, if that is of this suite, and has not exited.
    pub supervise: Option<NonZeroU32>,
    /// Its supervise is of this suite.
    pub ours: bool,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is not there.
    NotYet,
    /// It is there if its `check` succeeds.
    UnlessCheckFails,
    /// It is there.
    There,
}

/// Judges how far it is, all letters taken together. `before` is what was known before the letters were sent.
pub fn judge(letters: &[u8], before: &Seen, now: &Seen) -> Progress {
    let mut progress = Progress::There;
    for &letter in letters {
        match judge_one(letter, before, now) {
            Progress::NotYet => return Progress::NotYet,
            Progress::UnlessCheckFails => progress = Progress::UnlessCheckFails,
            Progress::There => {}
        }
    }
    progress
}

fn judge_one(letter: u8, before: &Seen, now: &Seen) -> Progress {
    use Progress::{NotYet, There, UnlessCheckFails};
    let Status { pid, run, want, paused, got_term, since } = now.status;
    // It was started, or has ended, since the letters were sent.
    let is_new = since != before.status.since;
    let there = |holds: bool, there: Progress| if holds { there } else { NotYet };
    match (letter, pid) {
        // Its end is seen as that of its FIFO, unless another supervise has come already.
        (b'x', _) => there(now.ours && (now.supervise.is_none() || now.supervise != before.supervise), There),
        (b'u', None) if now.done => There,
        (b'u', _) => there(run == Run::Run && want == Want::Up, UnlessCheckFails),
        (b'd' | b'o', None) if now.starting => NotYet,
        (b'd', _) => there(pid.is_none() && run == Run::Down && want != Want::Up, There),
        (CHECK, Some(_)) => UnlessCheckFails,
        (b't' | b'k', None) if want != Want::Up => There,
        (b't' | b'k', _) => there(is_new && run == Run::Run && !got_term, UnlessCheckFails),
        (b'o', None) => there(is_new, There),
        (b'o', Some(_)) => there(want != Want::Up, There),
        (b'p', Some(_)) => there(paused, There),
        (b'c', Some(_)) => there(!paused, There),
        _ => There,
    }
}

#[cfg(test)]
mod tests {
    use tai::Label;

    use super::*;
    use Progress::{NotYet, There, UnlessCheckFails};

    fn up(pid: u32) -> Status {
        let since = Label::from_unix(i64::from(pid), 0);
        Status { pid: NonZeroU32::new(pid), run: Run::Run, since, ..Status::default() }
    }

    fn down(want: Want) -> Status {
        Status { want, ..Status::default() }
    }

    fn judged(letters: &str, before: Status, now: Status) -> Progress {
        let seen = |status| Seen { status, done: false, starting: false, supervise: None, ours: false };
        judge(letters.as_bytes(), &seen(before), &seen(now))
    }

    #[test]
    fn up_is_a_run_that_passes_its_check() {
        assert_eq!(judged("u", down(Want::Up), up(7)), UnlessCheckFails);
        assert_eq!(judged("u", up(7), up(7)), UnlessCheckFails);
        assert_eq!(judged("u", up(7), Status { run: Run::Finish, ..up(7) }), NotYet);
        // Nobody has read the letter yet.
        assert_eq!(judged("u", up(7), Status { want: Want::Down, ..up(7) }), NotYet);
        assert_eq!(judged("u", down(Want::Up), down(Want::Up)), NotYet);
    }

    #[test]
    fn down_is_down_for_good_and_without_its_finish() {
        assert_eq!(judged("d", up(7), down(Want::Down)), There);
        assert_eq!(judged("d", up(7), down(Want::Once)), There);
        // Nobody has read the letter yet.
        assert_eq!(judged("d", down(Want::Up), down(Want::Up)), NotYet);
        assert_eq!(judged("d", up(7), Status { run: Run::Finish, want: Want::Down, ..up(8) }), NotYet);
    }

    #[test]
    fn a_restart_is_another_run_not_the_same_one_in_the_same_second() {
        for letters in ["t", "k", "tc", "tcu"] {
            assert_eq!(judged(letters, up(7), up(7)), NotYet);
            assert_eq!(judged(letters, up(7), up(8)), UnlessCheckFails);
            assert_eq!(judged(letters, up(7), Status { got_term: true, ..up(8) }), NotYet);
            assert_eq!(judged(letters, up(7), Status { run: Run::Finish, ..up(8) }), NotYet);
            assert_eq!(judged(letters, up(7), down(Want::Up)), NotYet);
        }
        for want in [Want::Down, Want::Once] {
            assert_eq!(judged("tc", down(want), down(want)), There);
        }
        assert_eq!(judged("tcu", down(Want::Down), down(Want::Down)), NotYet);
    }

    #[test]
    fn once_is_a_run_that_is_not_repeated_or_has_been() {
        assert_eq!(judged("o", down(Want::Down), down(Want::Down)), NotYet);
        assert_eq!(judged("o", down(Want::Down), Status { want: Want::Once, ..up(7) }), There);
        assert_eq!(judged("o", down(Want::Down), Status { want: Want::Down, ..up(7) }), There);
        assert_eq!(judged("o", up(7), up(7)), NotYet);
        assert_eq!(judged("o", up(7), down(Want::Down)), There);
    }

    #[test]
    fn what_is_being_started_is_not_down() {
        let before = Seen { status: down(Want::Down), done: false, starting: false, supervise: None, ours: true };
        let since = Label::from_unix(9, 0);
        for starting in [false, true] {
            let now = Seen { status: Status { since, ..down(Want::Once) }, starting, ..before };
            let expected = if starting { NotYet } else { There };
            assert_eq!((judge(b"o", &before, &now), judge(b"d", &before, &now)), (expected, expected));
        }
    }

    #[test]
    fn pausing_is_seen_in_what_runs() {
        let paused = Status { paused: true, ..up(7) };
        assert_eq!(judged("p", up(7), up(7)), NotYet);
        assert_eq!(judged("p", up(7), paused), There);
        assert_eq!(judged("c", paused, paused), NotYet);
        assert_eq!(judged("c", paused, up(7)), There);
        assert_eq!(judged("p", up(7), down(Want::Up)), There);
        assert_eq!(judged("h", paused, paused), There);
    }

    #[test]
    fn an_exit_is_another_supervise_or_none() {
        let seen = |pid, ours| Seen {
            status: down(Want::Down),
            done: false,
            starting: false,
            supervise: NonZeroU32::new(pid),
            ours,
        };
        for (now, expected) in [(seen(5, true), NotYet), (seen(6, true), There), (seen(0, true), There)] {
            assert_eq!(judge(b"x", &seen(5, true), &now), expected);
        }
        assert_eq!(judge(b"x", &seen(0, false), &seen(0, false)), NotYet);
    }
}
