//! Every command in every state of a service. What comes of it is the table in ARCHITECTURE.md, which is checked here.

use std::fmt::Write;

use machine::supervise::gate::Held;
use machine::supervise::{Action, Actions, Event, Job, Knobs, Left, Machine, NotStarted, Rules, Slot, Start, Target};
use machine::{Pid, SECOND, Signal, Tick};
use svdir::finals::Finals;
use svdir::record::Script;
use svdir::{Command, Exit, KillMode, Want};

const PAGE: &str = include_str!("../../../ARCHITECTURE.md");
/// What stands before the table and behind it.
const MARKS: [&str; 2] =
    ["<!-- commands: checked by crates/machine/tests/commands.rs -->\n", "<!-- end of commands -->\n"];

const MAIN: Pid = Pid(11);
const SECOND_COPY: Pid = Pid(12);
const HOOK: Pid = Pid(13);

/// The knobs: the signals are such that no other command sends them.
fn knobs() -> Knobs {
    Knobs { down_signal: Signal(34), reload_signal: Signal(35), ..Knobs::default() }
}

/// A service in some state.
#[derive(Clone)]
struct Service {
    machine: Machine,
    now: Tick,
}

impl Service {
    /// Up, since longer than a second.
    fn up() -> Service {
        Service::up_in(KillMode::Process)
    }

    fn up_in(mode: KillMode) -> Service {
        let mut service = Service { machine: Machine::new(Want::Up), now: Tick(SECOND) };
        service.step(Event::Begin);
        service.step(Event::Started(Slot::Main, Start { mode, ..Start::plain(MAIN) }));
        service.now = service.now.after(5 * SECOND);
        service
    }

    fn step(&mut self, event: Event) -> Actions {
        self.machine.step(self.now, event)
    }

    /// Takes in an event where there is no `stop`.
    fn goes_on(&mut self, event: Event) {
        let stop = Slot::Job(Job::Hook(Script::Stop));
        if self.step(event).into_iter().any(|action| action == Action::Start(stop)) {
            self.step(Event::NotStarted(stop, NotStarted::Gone));
        }
    }

    fn started(&mut self, slot: Slot, pid: Pid) {
        self.step(Event::Started(slot, Start::plain(pid)));
    }

    fn ends(&mut self, pid: Pid, exit: Exit, rules: Rules) {
        self.goes_on(Event::Ended(pid, exit, rules));
    }

    /// The copy ends, and something is left of it.
    fn leaves(&mut self, pid: Pid) {
        self.ends(pid, Exit::Code(1), Rules::default());
        self.step(Event::Left(pid, Some(Left { pid: None, told: true })));
    }

    fn command(&mut self, command: Command) -> Actions {
        self.step(Event::Command(command, knobs()))
    }

    fn told(mut self, command: Command) -> Service {
        self.command(command);
        self
    }
}

/// Every state, with what the table calls it.
fn states() -> Vec<(&'static str, Service)> {
    let down = || {
        let mut service = Service::up().told(Command::Down);
        service.ends(MAIN, Exit::Signal(15), Rules::default());
        service
    };
    let mut starting = Service { machine: Machine::new(Want::Up), now: Tick(SECOND) };
    starting.step(Event::Begin);
    starting.started(Slot::Job(Job::Hook(Script::Start)), HOOK);
    let mut waiting = Service { machine: Machine::new(Want::Up), now: Tick(SECOND) };
    waiting.step(Event::Begin);
    waiting.step(Event::NotStarted(Slot::Main, NotStarted::Held(Held { until: None, news: true })));
    let mut set_up = starting.clone();
    set_up.ends(HOOK, Exit::Code(0), Rules::default());
    set_up.step(Event::NotStarted(Slot::Main, NotStarted::Gone));
    set_up.step(Event::Essential(false));
    set_up.now = set_up.now.after(5 * SECOND);
    let mut stopping = Service::up().told(Command::Down);
    stopping.step(Event::Ended(MAIN, Exit::Signal(15), Rules::default()));
    stopping.started(Slot::Job(Job::Hook(Script::Stop)), HOOK);
    let mut paced = Service::up();
    paced.ends(MAIN, Exit::Code(1), Rules { backoff: Some(60 * SECOND), ..Rules::default() });
    paced.step(Event::Started(Slot::Main, Start::plain(MAIN)));
    paced.ends(MAIN, Exit::Code(1), Rules { backoff: Some(60 * SECOND), ..Rules::default() });
    let mut finishing = Service::up();
    finishing.ends(MAIN, Exit::Code(1), Rules { finish: true, ..Rules::default() });
    finishing.started(Slot::Job(Job::Hook(Script::Finish)), HOOK);
    let over = |exit| {
        let mut service = Service::up();
        let finals = Finals::parse(b"any", |_| None).expect("a list of ends");
        service.ends(MAIN, exit, Rules { finals, ..Rules::default() });
        service.goes_on(Event::Essential(false));
        service
    };
    let mut warming = Service::up().told(Command::Replace);
    warming.started(Slot::Second, SECOND_COPY);
    let mut leaving = Service::up().told(Command::Replace);
    leaving.started(Slot::Second, SECOND_COPY);
    leaving.now = leaving.now.after(2 * SECOND);
    leaving.step(Event::Timeout);
    assert_eq!(leaving.machine.pid(), Some(SECOND_COPY), "the new copy serves");
    let mut left = Service::up_in(KillMode::Mixed);
    left.leaves(MAIN);
    let mut replaced = Service::up_in(KillMode::Mixed).told(Command::Replace);
    replaced.started(Slot::Second, SECOND_COPY);
    replaced.now = replaced.now.after(2 * SECOND);
    replaced.step(Event::Timeout);
    replaced.leaves(MAIN);
    vec![
        ("down", down()),
        ("in the pace", paced),
        ("waiting", waiting),
        ("`start` runs", starting),
        ("up", Service::up()),
        ("told to end by `d`", Service::up().told(Command::Down)),
        ("down, and something is left of it", left),
        ("finishing", finishing),
        ("done", over(Exit::Code(0))),
        ("done by `start` alone", set_up),
        ("`stop` runs", stopping),
        ("failed", over(Exit::Code(1))),
        ("replacing: the new copy is not ready", warming),
        ("replacing: the old copy ends", leaving),
        ("replaced, and something is left of the old copy", replaced),
    ]
}

/// The signal that a command of the last column sends.
fn own_signal(command: Command) -> Option<Signal> {
    Some(match command {
        Command::Pause => Signal::STOP,
        Command::Continue => Signal::CONT,
        Command::Hup => Signal::HUP,
        Command::Alarm => Signal::ALRM,
        Command::Interrupt => Signal::INT,
        Command::Term => Signal::TERM,
        Command::Kill => Signal::KILL,
        Command::Quit => Signal::QUIT,
        Command::Usr1 => Signal::USR1,
        Command::Usr2 => Signal::USR2,
        Command::Winch => Signal::WINCH,
        _ => return None,
    })
}

/// What comes of a command, in few words.
fn outcome(mut service: Service, command: Command) -> String {
    let before = service.machine.decided().service;
    let (main, second) = (service.machine.pid(), service.machine.second_pid());
    let actions: Vec<Action> = service.command(command).into_iter().collect();
    let after = service.machine.decided().service;
    let mut said = Vec::new();
    if after.want != before.want {
        said.push(format!("wanted {}", format!("{:?}", after.want).to_lowercase()));
    }
    let mut sent = Vec::new();
    for &action in &actions {
        match action {
            Action::Start(Slot::Main) => said.push("start".to_owned()),
            Action::Start(Slot::Job(Job::Hook(Script::Stop))) => said.push("`stop`".to_owned()),
            Action::Signal(Target::Job(HOOK), Signal::TERM) => said.push("ends `start`".to_owned()),
            Action::Signal(Target::Job(HOOK), Signal::CONT) => {}
            Action::Start(Slot::Second) => said.push("start of a new copy".to_owned()),
            Action::Signal(Target::Process(pid), signal) => sent.push((Some(pid), signal)),
            Action::Quit => said.push("exit".to_owned()),
            Action::Say(_) | Action::Announce | Action::Stamp | Action::StampReady => {}
            Action::Start(Slot::Job(_))
            | Action::Signal(..)
            | Action::Look(..)
            | Action::Promote
            | Action::Tally(..)
            | Action::IsEssential => {
                said.push(format!("{action:?}"));
            }
        }
    }
    for (pid, name) in [(main, "the main copy"), (second, "the other copy")] {
        let got: Vec<Signal> =
            sent.iter().filter(|(to, _)| pid.is_some() && *to == pid).map(|(_, signal)| *signal).collect();
        let whom = if second.is_some() { name } else { "it" };
        match &*got {
            [] => {}
            [end, Signal::CONT] if *end == knobs().down_signal => said.push(format!("ends {whom}")),
            [reload] if *reload == knobs().reload_signal => said.push(format!("reload signal to {whom}")),
            [signal] if own_signal(command) == Some(*signal) => said.push(format!("its signal to {whom}")),
            signals => said.push(format!("{signals:?} to {whom}")),
        }
    }
    if after.start_due != before.start_due && !actions.contains(&Action::Start(Slot::Main)) {
        said.push(if after.start_due { "start when it is due" } else { "no start" }.to_owned());
    }
    if after.exiting && !before.exiting && !actions.contains(&Action::Quit) {
        said.push("exit when down".to_owned());
    }
    if after.replace_due && !before.replace_due {
        said.push("once more afterwards".to_owned());
    }
    if said.is_empty() { "nothing".to_owned() } else { said.join(", ") }
}

/// The columns: commands of which the same comes in every state, but that each sends its own signal.
fn columns() -> [(&'static str, Vec<Command>); 8] {
    use Command::{Alarm, Continue, Hup, Interrupt, Kill, Pause, Quit, Term, Usr1, Usr2, Winch};
    let signals = vec![Pause, Continue, Hup, Alarm, Interrupt, Term, Kill, Quit, Usr1, Usr2, Winch];
    [
        ("`u`", vec![Command::Up]),
        ("`o`", vec![Command::Once]),
        ("`d`", vec![Command::Down]),
        ("`x`", vec![Command::Exit]),
        ("`r`", vec![Command::Restart]),
        ("`R`", vec![Command::Replace]),
        ("`g`", vec![Command::Reload]),
        ("`p c h a i t k q 1 2 w`", signals),
    ]
}

fn table() -> String {
    let mut rows: Vec<(String, String)> = Vec::new();
    for (name, service) in states() {
        let cells = columns().map(|(column, commands)| {
            let mut cells: Vec<String> = commands.iter().map(|&command| outcome(service.clone(), command)).collect();
            cells.dedup();
            assert_eq!(cells.len(), 1, "{name}: {column}");
            cells.remove(0)
        });
        let cells = cells.join(" | ");
        match rows.iter_mut().find(|(_, known)| *known == cells) {
            Some((names, _)) => write!(names, "; {name}").expect("memory"),
            None => rows.push((name.to_owned(), cells)),
        }
    }
    let mut table = format!("| state | {} |\n|{}\n", columns().map(|(column, _)| column).join(" | "), "---|".repeat(9));
    for (names, cells) in rows {
        writeln!(table, "| {names} | {cells} |").expect("memory");
    }
    table
}

#[test]
fn every_command_has_a_column() {
    let mut letters: Vec<u8> = columns().into_iter().flat_map(|(_, commands)| commands).map(Command::letter).collect();
    let mut all: Vec<u8> = Command::all().map(Command::letter).collect();
    letters.sort_unstable();
    all.sort_unstable();
    assert_eq!(letters, all);
}

#[test]
fn the_table_in_the_architecture_is_right() {
    let written = PAGE.split_once(MARKS[0]).and_then(|(_, rest)| rest.split_once(MARKS[1])).map(|(table, _)| table);
    let table = table();
    assert!(written == Some(&table), "the table in ARCHITECTURE.md is to be:\n{table}");
}
