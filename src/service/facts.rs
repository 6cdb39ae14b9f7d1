//! The description of a service. The line of `svstat` and the messages of `svc --wait` come from here, so that they never disagree.
//!
//! This is pure: it works on the status, the record, and what its caller has seen besides. No other part of the clients knows what a
//! record is made of.

use std::num::NonZeroU32;

use cli::{Text, text};
use machine::wait::{self, Before, Reload, Verdict, Wanted};
use machine::{SECOND, Tick};
use svdir::record::{Copy, Over, Record, Role, Script, Text as Why};
use svdir::{Exit, Mark, Run, Status, Want};
use tai::Label;

use super::details::{Details, LastExit, Second};
use super::over;
use super::record::Found;
use super::summary::{State, Summary};

/// How a start waits for other services, or the last one has that had to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// For how long, for all of them, in nanoseconds.
    pub nanoseconds: u64,
    /// The one that it waits for, or has waited for last.
    pub name: Vec<u8>,
    /// It waits no more.
    pub is_over: bool,
}

/// What is known about a service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    status: Status,
    /// The record, which only a supervise of this suite writes.
    record: Option<Record>,
}

impl Facts {
    /// The facts from the files of a service directory, whichever suite has written them.
    pub fn of(found: Found) -> Facts {
        let Found { status, record } = found;
        Facts { status: record.map_or(status, |record| record.status()), record }
    }

    /// The facts about a service whose supervise is of this suite and has not written its first record yet.
    pub fn before_the_first_record() -> Facts {
        Facts { status: Status::default(), record: Some(Record::default()) }
    }

    /// The status, which all suites write.
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Returns whether it has a process that has not executed `run` yet, and is not shown as up.
    pub fn is_being_started(&self) -> bool {
        self.record.and_then(|record| record.decided.main).is_some_and(|main| !main.executed)
    }

    /// Returns whether the record tells all that a waiting client needs.
    pub const fn can_be_waited_for(&self) -> bool {
        self.record.is_some()
    }

    /// Returns whether the reason why it was not started or not replaced, which its lines show, is this one.
    pub fn gives(&self, why: &[u8]) -> bool {
        self.record.is_some_and(|record| record.observed.why == Why::new(why))
    }

    /// Since when it is up or down.
    pub const fn since(&self) -> Label {
        self.status.since
    }

    /// The pid of its supervise, and the version of that, which is empty if it does not tell; `None` for one of another suite.
    pub fn supervise(&self) -> Option<(u32, String)> {
        let supervise = self.record?.observed.supervise;
        Some((supervise.pid, supervise.version().unwrap_or_default().to_owned()))
    }

    /// The process of the service, if it is up.
    pub fn pid(&self) -> Option<NonZeroU32> {
        self.status.pid.filter(|_| self.status.run != Run::Finish)
    }

    /// The script for which it waits, and the process of that. Of another suite only `finish` is known.
    fn script(&self) -> Option<(Script, NonZeroU32)> {
        let finish = self.status.pid.filter(|_| self.status.run == Run::Finish).map(|pid| (Script::Finish, pid));
        finish.or_else(|| self.record?.decided.hook.map(|hook| (hook.script, hook.pid)))
    }

    /// Whether it is done: by its `start`, by a `run` whose end was final, or as a name for others. So it is ready, without a process.
    pub fn is_done(&self) -> bool {
        self.over() == Some(Over::Done)
    }

    /// The pid of the supervise that wrote the record, the last mark that it read, and how many bytes of marks it has read.
    pub fn author(&self) -> (u32, Mark, u32) {
        let author = |Record { observed, .. }: Record| (observed.supervise.pid, observed.mark, observed.heard);
        self.record.map_or_else(Default::default, author)
    }

    /// Whether supervise has exited because it was told to.
    pub fn has_exited(&self) -> bool {
        self.record.is_some_and(|record| record.observed.supervise.exited)
    }

    /// The facts of a service with a running supervise that has not written its record yet: it does not count that the previous one
    /// has exited.
    #[must_use]
    pub fn with_a_supervise(mut self) -> Facts {
        if let Some(record) = &mut self.record
            && std::mem::take(&mut record.observed.supervise.exited)
        {
            // It begins anew.
            record.decided.over = None;
        }
        self
    }

    /// Judges whether the service is in the state that is `wanted`. `commanded` is the state before the commands, if some were
    /// sent and obeyed.
    pub fn judge(&self, wanted: Wanted, commanded: Option<Before>) -> Verdict {
        wait::judge(wanted, commanded, &self.record.unwrap_or_default())
    }

    /// How far the reload is that was asked for by the commands.
    pub fn reload(&self, commanded: Option<Before>) -> Reload {
        wait::reload(commanded, &self.record.unwrap_or_default())
    }

    /// Whether the service is up and can tell of its reloads, on a notify socket.
    pub fn tells_of_reloads(&self) -> bool {
        self.record.is_some_and(|record| record.decided.reload.is_some())
    }

    /// The line of `svstat`: exactly that of daemontools, then our clauses. `normally_up` says that there is no file
    /// `down`; `now` and `tick` are the present on both clocks.
    pub fn line(&self, normally_up: bool, now: Label, tick: Tick) -> Text {
        let Status { since, paused, want, .. } = self.status;
        let on = |clause: &'static str, holds: bool| if holds { clause } else { "" };
        let seconds = since.age(now);
        let mut line = match self.pid() {
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
        if let Some((role, second)) = self.record.and_then(|record| record.decided.second) {
            let doing = match role {
                Role::Warming => ", starting pid ",
                Role::EndingOld | Role::EndingNew => ", ending pid ",
            };
            line.add(&[&doing, &u64::from(second.pid.get())]);
        }
        if let Some(awaited) = self.awaited() {
            line.add(&[&", waiting for ", &awaited.as_str()]);
        } else if let Some((script, pid)) = self.script() {
            let doing = match script {
                Script::Start | Script::Up => ", starting pid ",
                Script::Finish => ", finishing pid ",
                Script::Stop => ", stopping pid ",
            };
            line.add(&[&doing, &u64::from(pid.get())]);
        } else if let Some(left) = self.left_behind() {
            line.add(&[&", leftovers ", &left.as_str()]);
        } else if let Some(next) = self.next_start() {
            line.add(&[&", next start in ", &tick.until(next).div_ceil(SECOND), &" seconds"]);
        } else if let Some(over) = self.over() {
            line.add(&[&", ", &over::clause(over).as_str()]);
        }
        if let Some(first) = self.first_failure() {
            line.add(&[&", unhealthy ", &(first.until(tick) / SECOND), &" seconds"]);
        }
        line
    }

    /// The clauses that `svstat --long` adds to the line; none for a supervise of another suite.
    pub fn more(&self) -> Text {
        let mut line = Text::default();
        let Some(Record { decided, observed }) = &self.record else {
            return line;
        };
        let (supervise, pace) = (&observed.supervise, decided.pace);
        let times = if pace.starts == 1 { " time" } else { " times" };
        line.add(&[
            &", supervise pid ",
            &u64::from(supervise.pid),
            &" version ",
            &supervise.version().unwrap_or("unknown"),
        ]);
        line.add(&[&", started ", &u64::from(pace.starts), &times]);
        match pace.last_exit {
            None => {}
            Some(Exit::Code(code)) => line.add(&[&", last exited ", &u64::from(code)]),
            Some(Exit::Signal(signal)) => line.add(&[&", last killed by signal ", &u64::from(signal)]),
            Some(Exit::Unknown) => line.add(&[&", last ended unseen"]),
        }
        if observed.memory {
            line.add(&[&", ", &over::MEMORY]);
        }
        if let Some(why) = self.why_not_replaced() {
            line.add(&[&", not replaced: ", &why.as_str()]);
        }
        line
    }

    /// What a table shows of it. `normally_up` says that there is no file `down`; `tick` is the present.
    pub fn summary(&self, normally_up: bool, tick: Tick) -> Summary {
        let (state, why) = self.word(normally_up, tick);
        let decided = self.record.map(|record| record.decided);
        let last_exit = match decided.and_then(|decided| decided.pace.last_exit) {
            Some(_) if self.record.is_some_and(|record| record.observed.memory) => Some(over::NO_MEMORY.to_owned()),
            exit => exit.map(over::ended_short),
        };
        Summary {
            state,
            since: self.status.since,
            pid: self.pid(),
            ready: self.ready(),
            starts: decided.map(|decided| decided.pace.starts),
            last_exit,
            second: decided.and_then(|decided| Some(decided.second?.1.pid)),
            supervise: self.supervise(),
            awaited: self
                .record
                .filter(|record| record.decided.gate.is_some())
                .map(|record| record.observed.awaited.bytes().to_vec()),
            is_wanted_up: self.comes_up() || self.status.want == Want::Up,
            changed: Vec::new(),
            why,
        }
    }

    /// What a program is told of it besides. `normally_up` says that there is no file `down`.
    pub fn details(&self, normally_up: bool) -> Details {
        let Record { decided, observed } = self.record.unwrap_or_default();
        let last_exit = |exit| {
            let at = decided.main.is_none().then_some(self.status.since);
            LastExit { exit, memory: observed.memory, at }
        };
        let second = |(role, copy): (Role, Copy)| Second { role, pid: copy.pid, since: observed.second.since };
        Details {
            want: self.status.want,
            normally_up,
            is_paused: self.status.paused,
            next_start: self.next_start(),
            last_exit: decided.pace.last_exit.map(last_exit),
            second: decided.second.map(second),
            health: self.first_failure().map(|first| (decided.health.map_or(0, |health| health.fails), first)),
        }
    }

    /// How it is, in one word, and what there is to say about that.
    fn word(&self, normally_up: bool, tick: Tick) -> (State, String) {
        let decided = self.record.unwrap_or_default().decided;
        let main = decided.main.filter(|_| self.pid().is_some());
        if let Some(over) = self.over() {
            return match over {
                Over::Done => (State::Done, String::new()),
                failed => (State::Failed, over::reason(failed)),
            };
        }
        if let Some(awaited) = self.awaited() {
            return (State::Waiting, format!("for {awaited}"));
        }
        if let Some(next) = self.next_start() {
            return (State::BackingOff, format!("next try in {}s", tick.until(next).div_ceil(SECOND)));
        }
        if let Some(why) = self.why_not_started() {
            return (State::Refused, why);
        }
        if let Some((script, pid)) = self.script() {
            let state = match script {
                Script::Start | Script::Up => State::Starting,
                Script::Finish => State::Finishing,
                Script::Stop => State::Stopping,
            };
            return (state, format!("{} runs, pid {pid}", script.name()));
        }
        if let Some(left) = self.left_behind() {
            return (State::Stopping, format!("leftovers {left}"));
        }
        if main.is_some_and(|main| main.ending) {
            return (State::Stopping, "told to end".to_owned());
        }
        if self.status.paused {
            return (State::Paused, String::new());
        }
        if let Some(first) = self.first_failure() {
            let fails = decided.health.map_or(0, |health| health.fails);
            let times = if fails == 1 { "once" } else { &format!("{fails} times") };
            return (State::Unhealthy, format!("health failed {times} in {}s", first.until(tick) / SECOND));
        }
        if let Some((role, second)) = decided.second {
            let copy = match role {
                Role::Warming => "new copy starts, pid",
                Role::EndingOld => "old copy ends, pid",
                Role::EndingNew => "new copy given up, pid",
            };
            return (State::Replacing, format!("{copy} {}", second.pid));
        }
        if main.is_some_and(|main| main.declares && !main.ready) {
            return (State::Starting, "not ready yet".to_owned());
        }
        if self.pid().is_some() {
            let state = if self.ready().is_some() { State::Ready } else { State::Up };
            let why = match (self.status.want, self.why_not_replaced()) {
                (_, Some(why)) => format!("not replaced: {why}"),
                (Want::Down | Want::Once, None) => "not to be started again".to_owned(),
                (Want::Up, None) if !normally_up => "normally down".to_owned(),
                (Want::Up, None) => String::new(),
            };
            return (state, why);
        }
        let why = match (self.comes_up() || self.status.want == Want::Up, normally_up) {
            (true, _) => "about to start",
            (false, true) => "told down (normally up)",
            (false, false) => "",
        };
        (State::Down, why.to_owned())
    }

    /// Whether it is up in a cgroup of its own.
    pub fn has_cgroup(&self) -> bool {
        self.pid().is_some() && self.record.is_some_and(|record| record.observed.main.life != 0)
    }

    /// A clause for a message about a service that is not in the state that is `wanted`: its state, and the reason if that matters here. The reason
    /// why a service that is up was not replaced matters only if `replaced` is wanted.
    pub fn clause(&self, wanted: Wanted) -> String {
        let state = self.state();
        let not_replaced = self.why_not_replaced().filter(|_| wanted == Wanted::Replaced);
        match self.why_not_started().or(not_replaced) {
            Some(why) => format!("{state}, {why}"),
            None => state,
        }
    }

    fn state(&self) -> String {
        let decided = self.record.unwrap_or_default().decided;
        match (self.pid(), decided.main) {
            (None, _) if let Some((script, pid)) = self.script() => format!("its {} runs (pid {pid})", script.name()),
            (None, _) if let Some(left) = self.left_behind() => format!("what it has left behind still runs ({left})"),
            (None, _) if self.over() == Some(Over::Done) => "it is done".to_owned(),
            (None, _) if let Some(over) = self.over() => format!("it has {}", over::clause(over)),
            (None, _) if let Some(awaited) = self.awaited() => format!("it waits for {awaited}"),
            (None, _) if self.comes_up() => "it is down and will be started".to_owned(),
            (None, _) => "it is down".to_owned(),
            (Some(pid), _) if decided.second.is_some_and(|(role, _)| role == Role::Warming) => {
                format!("it is up (pid {pid}) and its new copy is not ready")
            }
            (Some(pid), Some(main)) if main.ending => format!("it is up (pid {pid}) and was told to end"),
            (Some(pid), Some(main)) if main.declares && !main.ready => format!("it is up (pid {pid}) and not ready"),
            (Some(pid), _) => format!("it is up (pid {pid})"),
        }
    }

    /// What copies that have ended have left behind, while that is waited for.
    fn left_behind(&self) -> Option<String> {
        let left = self.record?.decided.leftovers;
        let group = left.rests.into_iter().flatten().next()?.group;
        Some(left.pid().map_or_else(|| format!("of process group {group}"), |pid| format!("pid {pid}")))
    }

    /// Whether it is down for good, and nobody told it to be.
    pub fn is_over(&self) -> bool {
        self.over().is_some()
    }

    /// Why it is down for good, if nobody told it to be.
    fn over(&self) -> Option<Over> {
        self.record.and_then(|record| record.decided.over)
    }

    /// The service for which its start waits.
    pub fn awaited(&self) -> Option<String> {
        self.record.and_then(|record| record.awaited())
    }

    /// How its start waits until now, or the last one has waited that had to.
    pub fn wait(&self, tick: Tick) -> Option<Wait> {
        let Record { decided, observed } = self.record?;
        let waits = decided.gate.map(|gate| (Tick(gate.since).until(tick), false));
        let waited = decided.waited.map(|waited| (waited.nanoseconds, true));
        let (nanoseconds, is_over) = waits.or(waited)?;
        Some(Wait { nanoseconds, name: observed.awaited.bytes().to_vec(), is_over })
    }

    /// Whether it is wanted up where it is down.
    fn comes_up(&self) -> bool {
        let service = self.record.unwrap_or_default().decided.service;
        service.start_due || (self.status.want == Want::Up && !service.exiting)
    }

    /// When the first run of `health` had failed in a row that has not ended.
    fn first_failure(&self) -> Option<Tick> {
        let health = self.record?.decided.health.filter(|_| self.pid().is_some())?;
        (health.fails > 0).then_some(Tick(health.since))
    }

    /// When a service that is down is started, if its pace has become longer.
    fn next_start(&self) -> Option<Tick> {
        let decided = self.record?.decided;
        decided.pace.next.filter(|_| decided.main.is_none() && self.comes_up()).map(Tick)
    }

    /// The time since which the service is ready; `None` if it is not ready or does not say when it is.
    pub fn ready(&self) -> Option<Label> {
        self.record.and_then(|record| record.ready())
    }

    /// The reason why a service that is down could not be started.
    fn why_not_started(&self) -> Option<String> {
        self.record.and_then(|record| record.why()).filter(|_| self.pid().is_none())
    }

    /// The reason why a service that is up was not replaced at the last attempt.
    fn why_not_replaced(&self) -> Option<String> {
        self.record.and_then(|record| record.why()).filter(|_| self.pid().is_some())
    }
}

#[cfg(test)]
mod tests {
    use svdir::KillMode;
    use svdir::record::{Copy, Gate, Leftovers, Rest, Service};

    use super::*;

    fn facts(pid: Option<u32>, service: Service, why: &[u8]) -> Facts {
        let mut record = Record::default();
        record.decided.main = pid.and_then(NonZeroU32::new).map(Copy::up);
        record.decided.service = service;
        record.observed.why = Why::new(why);
        Facts::of(Found { status: record.status(), record: Some(record) })
    }

    fn line(facts: &Facts) -> String {
        facts.line(true, Label::default(), Tick::default()).to_string()
    }

    #[test]
    fn line_and_clause_give_the_same_reason() {
        let down = facts(None, Service::default(), b"no file");
        assert_eq!(line(&down), "down 0 seconds, normally up, want up, no file");
        for wanted in [Wanted::Up, Wanted::Ready, Wanted::Replaced, Wanted::Down] {
            assert_eq!(down.clause(wanted), "it is down and will be started, no file");
        }
        let up = facts(Some(7), Service::default(), b"no file");
        assert_eq!(line(&up), "up (pid 7) 0 seconds");
        assert_eq!(up.more().to_string(), ", supervise pid 0 version unknown, started 0 times, not replaced: no file");
        assert_eq!(up.clause(Wanted::Replaced), "it is up (pid 7), no file");
        assert_eq!(up.clause(Wanted::Ready), "it is up (pid 7)");
    }

    #[test]
    fn an_end_for_want_of_memory_is_named() {
        let mut facts = facts(None, Service::default(), b"");
        let record = facts.record.as_mut().expect("there is one");
        (record.decided.pace.last_exit, record.observed.memory) = (Some(Exit::Signal(9)), true);
        let more = facts.more().to_string();
        assert!(more.ends_with(", started 0 times, last killed by signal 9, killed for memory"), "{more}");
    }

    #[test]
    fn a_service_that_nobody_starts_is_just_down() {
        let service = Service::default();
        for (service, starts) in [
            (service, true),
            (Service { exiting: true, ..service }, false),
            (Service { want: Want::Once, ..service }, false),
            (Service { want: Want::Once, start_due: true, ..service }, true),
            (Service { want: Want::Down, ..service }, false),
        ] {
            let clause = facts(None, service, b"").clause(Wanted::Up);
            assert_eq!(clause, if starts { "it is down and will be started" } else { "it is down" }, "{service:?}");
        }
    }

    #[test]
    fn what_is_left_behind_is_named_by_a_process_or_its_group() {
        let rest = |group, pid| {
            let group = NonZeroU32::new(group).expect("not 0");
            Some(Rest { group, mode: KillMode::Group, pid: NonZeroU32::new(pid), kill_due: true })
        };
        for (rests, shown) in [
            ([rest(7, 9), rest(8, 10)], "pid 9"),
            ([rest(7, 0), rest(8, 10)], "pid 10"),
            ([None, rest(8, 0)], "of process group 8"),
        ] {
            let mut facts = facts(None, Service { want: Want::Down, ..Service::default() }, b"");
            if let Some(record) = &mut facts.record {
                record.decided.leftovers = Leftovers { rests, ..Leftovers::default() };
            }
            assert_eq!(line(&facts), format!("down 0 seconds, normally up, leftovers {shown}"));
            assert_eq!(facts.clause(Wanted::Down), format!("what it has left behind still runs ({shown})"));
        }
    }

    #[test]
    fn what_a_start_waits_for_is_named_as_text() {
        let mut facts = facts(None, Service::default(), b"");
        let record = facts.record.as_mut().expect("there is one");
        (record.decided.gate, record.observed.awaited) = (Some(Gate { since: 1 }), Why::new(b"db\xff\n"));
        assert_eq!(line(&facts), "down 0 seconds, normally up, want up, waiting for db\\xff\\n");
        assert_eq!(facts.clause(Wanted::Ready), "it waits for db\\xff\\n");
    }

    #[test]
    fn what_another_suite_tells_is_daemontools_line() {
        let status = Status { pid: NonZeroU32::new(7), want: Want::Up, ..Status::default() };
        let facts = Facts::of(Found { status, record: None });
        assert_eq!(line(&facts), "up (pid 7) 0 seconds");
        assert_eq!(facts.more().to_string(), "");
        assert!(!facts.can_be_waited_for());
    }
}
