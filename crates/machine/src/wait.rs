//! Decides whether a service is in the state that a client waits for.
//!
//! A client that has sent commands must know that they were obeyed: a status that was written before is about the past. So it
//! sends a mark after them ([`svdir::Mark`]); when the mark appears in the record, the commands were obeyed.

use std::num::NonZeroU32;

use svdir::Want;
use svdir::record::{Over, Record, Role};

/// The state that a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It runs, and was not told to end.
    Up,
    /// It does not run, and is not about to be started.
    Down,
    /// It is up and, if it says when it is ready, ready; if a reload was asked for, it has told that this is over.
    Ready,
    /// It is ready, and no new copy is being started. If commands were sent, it is another process than before, and the last new
    /// copy was not given up.
    Replaced,
    /// It is ready as another process than before the commands, or has done since what it was for.
    Restarted,
    /// The process that it was before the commands is paused.
    Paused,
    /// The process that it was before the commands is not paused.
    Continued,
    /// The process that it was before the commands has ended.
    Ended,
    /// It had a process when the commands came, which so got what they send.
    Told,
}

/// The state before commands were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// The process of the service.
    pub pid: Option<NonZeroU32>,
    /// If one of the commands asks for a reload, and the service is to tell when that is over: the moment before them, in nanoseconds on the
    /// monotonic clock.
    pub reload: Option<u64>,
}

/// How far a reload is that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The service has not told that it reloads.
    Untold,
    /// The service has told so, and not yet that it is ready again.
    UnderWay,
    /// It is over; or none was asked for, or another process is the service, which has read its configuration later.
    Over,
}

/// How far the reload is that was asked for by commands after which the record says this. A reload that has begun before them does not count: the
/// service may have read its configuration before that was changed.
pub fn reload(commanded: Option<Before>, record: &Record) -> Reload {
    /// The service tells the moment in microseconds.
    const MICROSECOND: u64 = 1_000;
    let Some(Before { pid: Some(pid), reload: Some(asked) }) = commanded else {
        return Reload::Over;
    };
    match record.decided.reload.unwrap_or_default() {
        _ if record.pid() != Some(pid) => Reload::Over,
        told if told.began / MICROSECOND < asked / MICROSECOND => Reload::Untold,
        told if told.under_way => Reload::UnderWay,
        _ => Reload::Over,
    }
}

impl Wanted {
    /// The name of the state, for options and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Wanted::Up => "up",
            Wanted::Down => "down",
            Wanted::Ready => "ready",
            Wanted::Replaced => "replaced",
            Wanted::Restarted => "restarted",
            Wanted::Paused => "paused",
            Wanted::Continued => "continued",
            Wanted::Ended => "ended",
            Wanted::Told => "told",
        }
    }

    /// The state with this name, if it is one that a service can be in whoever asks, and before any command.
    pub fn from_name(name: &[u8]) -> Option<Wanted> {
        let all = [Wanted::Up, Wanted::Down, Wanted::Ready, Wanted::Replaced];
        all.into_iter().find(|wanted| wanted.name().as_bytes() == name)
    }
}

/// The result of a judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The service is in the state.
    There,
    /// The service is not in the state, but may get there.
    NotYet,
    /// The service will not get there without another command.
    Never,
}

/// Judges the record of a service whose supervise lives, or has exited because it was told to. `commanded` is the state before the
/// client sent commands, if it has sent some and they were obeyed.
pub fn judge(wanted: Wanted, commanded: Option<Before>, record: &Record) -> Verdict {
    let (decided, exited) = (&record.decided, record.observed.supervise.exited);
    let service = &decided.service;
    let comes_up = service.start_due || (service.want == Want::Up && !service.exiting);
    let is_up = record.pid().is_some() && decided.main.is_some_and(|main| !main.ending) && !exited;
    let is_ready = is_up && decided.main.is_some_and(|main| !main.declares || main.ready);
    let replacing = service.replace_due || matches!(decided.second, Some((Role::Warming, _)));
    let before = commanded.and_then(|before| before.pid);
    let same = before.is_some() && before == record.pid();
    let is_paused = decided.main.is_some_and(|main| main.paused);
    // The process may also have changed because of another client's command, or by itself. Each start clears the reason, so a reason is
    // about a copy that was started since.
    let given_up = commanded.is_some() && record.observed.why.some().is_some();
    // While a script runs, or something is left behind, it is not yet; nor is it down before `stop` has been run. A supervise that has exited for another reason than
    // that svscan ends with it begins anew when it is started again.
    let ends = decided.hook.is_some() || !decided.leftovers.is_empty();
    let is_set_up = decided.setup.used && !decided.setup.kept;
    let over = decided.over.filter(|_| !ends && (!exited || service.ended));
    let is_down = decided.main.is_none() && decided.second.is_none() && !ends && !is_set_up;
    let there = match wanted {
        Wanted::Up => is_up,
        // A job that is done was what it was wanted for.
        Wanted::Ready => (is_ready && reload(commanded, record) == Reload::Over) || over == Some(Over::Done),
        Wanted::Replaced => is_ready && !replacing && !same && !given_up,
        Wanted::Down => is_down && (!comes_up || exited),
        Wanted::Restarted => before != record.pid() && is_ready || before.is_some() && over == Some(Over::Done),
        Wanted::Paused => same && is_paused,
        Wanted::Continued => same && !is_paused,
        Wanted::Ended => before.is_some() && !same,
        Wanted::Told => before.is_some(),
    };
    // The commands were about the process that was there.
    let missed = match wanted {
        Wanted::Paused | Wanted::Continued => !same,
        Wanted::Ended | Wanted::Told => before.is_none(),
        Wanted::Up | Wanted::Down | Wanted::Ready | Wanted::Replaced | Wanted::Restarted => false,
    };
    // A client that sent no command waits for the commands of others.
    let gone = commanded.is_some() && wanted != Wanted::Down && decided.main.is_none() && !comes_up;
    let kept = wanted == Wanted::Replaced && (same || given_up) && is_up && !replacing;
    // What is over is left by commands only.
    let never = exited || gone || kept || missed || (over.is_some() && wanted != Wanted::Down);
    match (there, never) {
        (true, _) => Verdict::There,
        (false, false) => Verdict::NotYet,
        (false, true) => Verdict::Never,
    }
}

#[cfg(test)]
mod tests {
    use svdir::KillMode;
    use svdir::record::{Copy, Decided, Hook, Leftovers, Observed, Over, Rest, Service, Supervise, Text};

    use super::Verdict::{Never, NotYet, There};
    use super::*;

    const COMMANDED: Option<Before> = Some(Before { pid: None, reload: None });

    fn pid(pid: u32) -> NonZeroU32 {
        NonZeroU32::new(pid).expect("it is not 0")
    }

    fn copy() -> Copy {
        Copy::up(pid(7))
    }

    /// One with this main copy, which is wanted up.
    fn with_main(main: Option<Copy>) -> Record {
        Record { decided: Decided { main, ..Decided::default() }, observed: Observed::default() }
    }

    fn up() -> Record {
        with_main(Some(copy()))
    }

    fn down() -> Record {
        with_main(None)
    }

    fn with_service(record: Record, service: Service) -> Record {
        Record { decided: Decided { service, ..record.decided }, ..record }
    }

    fn with_second(record: Record, role: Role, second: u32) -> Record {
        Record { decided: Decided { second: Some((role, Copy::up(pid(second)))), ..record.decided }, ..record }
    }

    fn all(commanded: Option<Before>, record: &Record) -> [Verdict; 3] {
        [Wanted::Up, Wanted::Ready, Wanted::Down].map(|wanted| judge(wanted, commanded, record))
    }

    #[test]
    fn one_that_declares_nothing_is_ready_when_it_is_up() {
        assert_eq!(all(COMMANDED, &up()), [There, There, NotYet]);
        let declares = Copy { declares: true, ..copy() };
        assert_eq!(all(COMMANDED, &with_main(Some(declares))), [There, NotYet, NotYet]);
        let ready = Copy { ready: true, ..declares };
        assert_eq!(all(COMMANDED, &with_main(Some(ready))), [There, There, NotYet]);
    }

    /// `svc --wait=ready -r web` said that all was well where `run` could not be executed.
    #[test]
    fn one_that_has_not_become_run_is_neither_up_nor_ready_nor_down() {
        for declares in [false, true] {
            let record = with_main(Some(Copy { executed: false, declares, ..copy() }));
            for commanded in [None, COMMANDED, Some(Before { pid: Some(pid(7)), reload: None })] {
                assert_eq!(all(commanded, &record), [NotYet, NotYet, NotYet]);
                assert_eq!(judge(Wanted::Replaced, commanded, &record), NotYet);
            }
        }
    }

    #[test]
    fn one_that_was_told_to_end_is_not_up_any_more() {
        assert_eq!(all(COMMANDED, &with_main(Some(Copy { ending: true, ..copy() }))), [NotYet, NotYet, NotYet]);
    }

    #[test]
    fn one_that_will_be_started_again_is_not_down() {
        assert_eq!(all(COMMANDED, &down()), [NotYet, NotYet, NotYet]);
        let once = Service { want: Want::Once, start_due: true, ..Service::default() };
        assert_eq!(all(COMMANDED, &with_service(down(), once)), [NotYet, NotYet, NotYet]);
    }

    #[test]
    fn one_that_nobody_wants_up_is_waited_for_only_by_who_has_not_commanded_it() {
        for want in [Want::Down, Want::Once] {
            let down = with_service(down(), Service { want, ..Service::default() });
            assert_eq!(all(COMMANDED, &down), [Never, Never, There]);
            assert_eq!(all(None, &down), [NotYet, NotYet, There]);
        }
    }

    #[test]
    fn a_supervise_that_has_exited_starts_nothing() {
        let exiting = with_service(down(), Service { exiting: true, ..Service::default() });
        let supervise = Supervise { exited: true, ..Supervise::default() };
        for record in [down(), exiting] {
            let record = Record { observed: Observed { supervise, ..record.observed }, ..record };
            for commanded in [None, COMMANDED] {
                assert_eq!(all(commanded, &record), [Never, Never, There]);
            }
        }
    }

    #[test]
    fn one_is_replaced_when_another_process_serves_and_no_further_one_is_coming() {
        let before = |pid: Option<NonZeroU32>| Some(Before { pid, ..Before::default() });
        let judge = |commanded, record: &Record| judge(Wanted::Replaced, commanded, record);
        let due = with_service(up(), Service { replace_due: true, ..Service::default() });
        for commanded in [before(Some(pid(9))), before(None), None] {
            assert_eq!(judge(commanded, &up()), There);
            assert_eq!(judge(commanded, &with_second(up(), Role::EndingOld, 9)), There);
            assert_eq!(judge(commanded, &with_second(up(), Role::Warming, 9)), NotYet);
            assert_eq!(judge(commanded, &due), NotYet);
            assert_eq!(judge(commanded, &with_main(Some(Copy { declares: true, ..copy() }))), NotYet);
        }
        let same = before(up().pid());
        assert_eq!(judge(same, &with_second(up(), Role::Warming, 9)), NotYet);
        assert_eq!(judge(same, &with_second(up(), Role::EndingNew, 9)), Never);
        assert_eq!(judge(same, &with_main(Some(Copy { ending: true, ..copy() }))), NotYet);
    }

    #[test]
    fn one_is_not_replaced_if_its_new_copy_was_given_up_whoever_serves() {
        let given_up = |record: Record| {
            let why = Text::new(b"pid 11 exited 1 before it was ready");
            Record { observed: Observed { why, ..record.observed }, ..record }
        };
        let due = with_service(up(), Service { replace_due: true, ..Service::default() });
        let judge = |commanded, record: Record| judge(Wanted::Replaced, commanded, &given_up(record));
        for pid in [up().pid(), Some(pid(9)), None] {
            let commanded = Some(Before { pid, ..Before::default() });
            assert_eq!(judge(commanded, up()), Never);
            assert_eq!(judge(commanded, with_second(up(), Role::EndingNew, 11)), Never);
            // Another is tried.
            assert_eq!(judge(commanded, with_second(up(), Role::Warming, 11)), NotYet);
            assert_eq!(judge(commanded, due), NotYet);
            // It comes back as another.
            assert_eq!(judge(commanded, with_main(Some(Copy { ending: true, ..copy() }))), NotYet);
        }
        assert_eq!(judge(None, up()), There, "it is about the past");
        assert_eq!(all(COMMANDED, &given_up(up())), [There, There, NotYet]);
    }

    #[test]
    fn two_copies_are_not_down_before_both_have_ended() {
        let down = with_service(down(), Service { want: Want::Down, ..Service::default() });
        assert_eq!(judge(Wanted::Down, COMMANDED, &down), There);
        for role in [Role::Warming, Role::EndingOld, Role::EndingNew] {
            assert_eq!(judge(Wanted::Down, COMMANDED, &with_second(down, role, 9)), NotYet);
        }
    }

    #[test]
    fn one_is_not_down_before_its_finish_is_over_and_nothing_is_left_of_it() {
        let service = Service { want: Want::Down, ..Service::default() };
        let hook = Some(Hook::finish(pid(9)));
        let down = with_service(down(), service);
        let finishing = Record { decided: Decided { hook, ..down.decided }, ..down };
        for commanded in [None, COMMANDED] {
            assert_eq!(judge(Wanted::Down, commanded, &finishing), NotYet);
            assert_eq!(judge(Wanted::Down, commanded, &down), There);
            let left = Record { decided: Decided { leftovers: leftovers(), ..down.decided }, ..down };
            assert_eq!(judge(Wanted::Down, commanded, &left), NotYet);
        }
    }

    fn leftovers() -> Leftovers {
        let rest = Rest { group: pid(8), mode: KillMode::Mixed, pid: Some(pid(10)), kill_due: false };
        Leftovers { rests: [Some(rest), None], ending: true, finish: false }
    }

    #[test]
    fn what_has_failed_is_waited_for_by_nobody_and_what_is_done_is_ready() {
        let service = Service { want: Want::Down, ..Service::default() };
        let down = with_service(down(), service);
        let failed = Record { decided: Decided { over: Some(Over::Finish), ..down.decided }, ..down };
        for commanded in [None, COMMANDED] {
            assert_eq!(all(commanded, &failed), [Never, Never, There]);
            let done = Record { decided: Decided { over: Some(Over::Done), ..down.decided }, ..down };
            assert_eq!(all(commanded, &done), [Never, There, There]);
            let supervise = Supervise { exited: true, ..Supervise::default() };
            let left = |ended| {
                let left = with_service(done, Service { ended, ..service });
                Record { observed: Observed { supervise, ..left.observed }, ..left }
            };
            assert_eq!(all(commanded, &left(true)), [Never, There, There], "svscan ends with it");
            assert_eq!(all(commanded, &left(false)), [Never, Never, There]);
            let hook = Some(Hook::finish(pid(9)));
            let finishing = Record { decided: Decided { hook, ..done.decided }, ..done };
            assert_ne!(judge(Wanted::Ready, commanded, &finishing), There);
            let left = Record { decided: Decided { leftovers: leftovers(), ..done.decided }, ..done };
            assert_ne!(judge(Wanted::Ready, commanded, &left), There);
        }
    }

    #[test]
    fn a_reload_is_over_when_one_that_began_after_the_command_is_followed_by_ready() {
        let told = |began, under_way: bool| {
            let copy = Copy { declares: true, ready: !under_way, ..copy() };
            let reload = Some(svdir::record::Reload { began, under_way });
            Record { decided: Decided { reload, ..with_main(Some(copy)).decided }, observed: Observed::default() }
        };
        let asked = Some(Before { pid: Some(pid(7)), reload: Some(5_500) });
        for (record, far, ready) in [
            (told(0, false), Reload::Untold, NotYet),
            (told(4_000, false), Reload::Untold, NotYet),
            (told(4_000, true), Reload::Untold, NotYet),
            (told(5_000, true), Reload::UnderWay, NotYet),
            (told(6_000, true), Reload::UnderWay, NotYet),
            (told(5_000, false), Reload::Over, There),
            (told(6_000, false), Reload::Over, There),
        ] {
            assert_eq!((reload(asked, &record), judge(Wanted::Ready, asked, &record)), (far, ready));
            assert_eq!(judge(Wanted::Up, asked, &record), There, "that is nothing but up");
            // Another process serves, or none was asked to reload.
            for other in [None, COMMANDED, Some(Before { pid: Some(pid(9)), reload: Some(5_500) })] {
                assert_eq!(reload(other, &record), Reload::Over);
            }
        }
        let silent = with_main(Some(Copy { declares: true, ready: true, ..copy() }));
        assert_eq!(judge(Wanted::Ready, asked, &silent), NotYet, "its supervise does not tell any more");
    }

    #[test]
    fn one_is_restarted_when_another_process_is_ready_or_it_is_done_since() {
        let before = |pid: Option<NonZeroU32>| Some(Before { pid, ..Before::default() });
        let judge = |commanded, record: &Record| judge(Wanted::Restarted, commanded, record);
        let down = with_service(down(), Service { want: Want::Down, ..Service::default() });
        let done = Record { decided: Decided { over: Some(Over::Done), ..down.decided }, ..down };
        for (commanded, record, expected) in [
            (before(Some(pid(7))), up(), NotYet),
            (before(Some(pid(7))), with_main(Some(Copy { ending: true, ..copy() })), NotYet),
            (before(Some(pid(9))), up(), There),
            (before(None), up(), There),
            (before(Some(pid(9))), with_main(Some(Copy { declares: true, ..copy() })), NotYet),
            (before(Some(pid(9))), with_main(None), NotYet),
            (before(Some(pid(9))), down, Never),
            (before(None), down, Never),
            (before(Some(pid(9))), done, There),
            (before(None), done, Never),
        ] {
            assert_eq!(judge(commanded, &record), expected, "{commanded:?} {record:?}");
        }
    }

    #[test]
    fn what_a_signal_does_is_done_to_the_process_that_was_there() {
        const SIGNALLED: [Wanted; 4] = [Wanted::Paused, Wanted::Continued, Wanted::Ended, Wanted::Told];
        let before = |pid: Option<NonZeroU32>| Some(Before { pid, ..Before::default() });
        let all = |commanded, record: &Record| SIGNALLED.map(|wanted| judge(wanted, commanded, record));
        let paused = with_main(Some(Copy { paused: true, ..copy() }));
        assert_eq!(all(before(Some(pid(7))), &up()), [NotYet, There, NotYet, There]);
        assert_eq!(all(before(Some(pid(7))), &paused), [There, NotYet, NotYet, There]);
        assert_eq!(all(before(Some(pid(9))), &up()), [Never, Never, There, There], "another serves");
        assert_eq!(all(before(Some(pid(7))), &down()), [Never, Never, There, There]);
        assert_eq!(all(before(None), &down()), [Never; 4]);
    }

    #[test]
    fn every_name_is_the_name_of_one() {
        for wanted in [Wanted::Up, Wanted::Down, Wanted::Ready, Wanted::Replaced] {
            assert_eq!(Wanted::from_name(wanted.name().as_bytes()), Some(wanted));
        }
        assert_eq!(Wanted::from_name(b"U"), None);
    }
}
