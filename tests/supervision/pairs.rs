//! Every ordered pair of letters, back to back, in one svc and in two: what comes of it is what [`Model`] says, which
//! is the table of the manual. Then a KILL, to see what is left of the wish: whether it comes back, stays down, or
//! supervise leaves.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use testkit::{PATIENCE, Scratch, wait_until};

use super::world::{MORTAL, Service, masked, scratch};

const LETTERS: &str = "udopchaitkx";

/// A `run` that survives HUP and ALRM, and that TERM and INT end only once a line can be read from `gate`: so both
/// letters of a pair have been obeyed before it dies. KILL ends it at any time.
const GATED: &str = "trap : HUP ALRM
trap dying=1 TERM INT
exec 3<>gate
echo $$ >ready
while :; do read line <&3 && [ \"$dying\" ] && exit; done";

/// What can be seen of a service and its supervise.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    gone: bool,
    up: bool,
    /// Up under another pid than before the letters.
    restarted: bool,
    paused: bool,
    want: u8,
}

impl Seen {
    fn of(service: &mut Service, first: u32) -> Seen {
        let gone = service.supervise.ended().map(|code| assert_eq!(code, 0)).is_some();
        let record = service.record();
        let up = record.pid != 0;
        Seen { gone, up, restarted: up && record.pid != first, paused: record.paused != 0, want: record.want }
    }

    /// The words of svstat.
    fn words(&self, normally_down: bool) -> String {
        if self.gone {
            return "supervise not running".into();
        }
        let mut words = String::from(if self.up { "up (pid N) S seconds" } else { "down S seconds" });
        words.push_str(if self.up && normally_down { ", normally down" } else { "" });
        words.push_str(if self.up || normally_down { "" } else { ", normally up" });
        words.push_str(if self.paused { ", paused" } else { "" });
        words.push_str(if !self.up && self.want == b'u' { ", want up" } else { "" });
        words.push_str(if self.up && self.want == b'd' { ", want down" } else { "" });
        words
    }
}

#[derive(Clone)]
struct Model {
    seen: Seen,
    exiting: bool,
    /// A signal was sent that ends it as soon as it runs.
    doomed: bool,
    killed: bool,
    /// HUP and ALRM end it.
    mortal: bool,
}

impl Model {
    fn up() -> Model {
        let seen = Seen { gone: false, up: true, restarted: false, paused: false, want: b'u' };
        Model { seen, exiting: false, doomed: false, killed: false, mortal: false }
    }

    fn down() -> Model {
        let seen = Seen { up: false, want: b'd', ..Model::up().seen };
        Model { seen, mortal: true, ..Model::up() }
    }

    fn start(&mut self) {
        self.seen = Seen { up: true, restarted: true, paused: false, ..self.seen };
        (self.doomed, self.killed) = (false, false);
    }

    fn send(&mut self, letter: char) {
        if self.seen.gone {
            return;
        }
        let up = self.seen.up;
        match letter {
            'u' => self.seen.want = b'u',
            'd' => (self.seen.want, self.seen.paused, self.doomed) = (b'd', false, up),
            'o' => self.seen.want = 0,
            'x' => (self.exiting, self.seen.gone) = (true, !up),
            'p' => self.seen.paused = up,
            'c' => self.seen.paused = false,
            't' | 'i' => self.doomed |= up,
            'h' | 'a' => self.doomed |= up && self.mortal,
            'k' => self.killed = up,
            other => panic!("no letter: {other}"),
        }
        if "uo".contains(letter) && !up {
            self.start();
        }
    }

    /// What the signals that were sent come to.
    fn settle(mut self) -> Model {
        if !self.killed && (!self.doomed || self.seen.paused) {
            return self;
        }
        self.seen = Seen { up: false, restarted: false, paused: false, ..self.seen };
        (self.doomed, self.killed) = (false, false);
        if self.exiting {
            self.seen.gone = true;
        } else if self.seen.want == b'u' {
            self.start();
        }
        self
    }

    /// What may come of a pair. After a KILL the second letter comes before the death or after it.
    fn pair(&self, first: char, second: Option<char>) -> Vec<Model> {
        let mut after_first = self.clone();
        after_first.send(first);
        let orders =
            if after_first.killed { vec![after_first.clone(), after_first.settle()] } else { vec![after_first] };
        let finish = |mut model: Model| {
            second.into_iter().for_each(|letter| model.send(letter));
            model.settle()
        };
        orders.into_iter().map(finish).collect()
    }
}

/// One pair under test.
struct Case<'a> {
    service: Service<'a>,
    gate: Gate,
    /// The pid before the letters.
    first: u32,
    expected: Vec<Model>,
}

/// A FIFO that the test keeps open at both ends.
struct Gate {
    _reader: File,
    writer: File,
}

impl Gate {
    fn new(path: &Path) -> Gate {
        sys::fd::make_fifo(path).expect("a FIFO");
        let _reader = sys::fd::open_read(path).expect("a FIFO");
        Gate { _reader, writer: sys::fd::open_write(path).expect("read by us") }
    }
}

impl<'a> Case<'a> {
    fn start(scratch: &'a Scratch, name: &str, from: &Model) -> Case<'a> {
        let gate = Gate::new(&scratch.mkdir(name).join("gate"));
        let make = if from.seen.up { Service::new } else { Service::down };
        let run = if from.mortal { MORTAL } else { GATED };
        Case { service: make(scratch, name, run), gate, first: 0, expected: vec![from.clone()] }
    }

    /// Waits until the service is as the pairs expect it to be: its traps set, and so long after its start that neither
    /// the original's second of deafness nor the pace of starts comes in between.
    fn wait_ready(&mut self) {
        let service = &self.service;
        self.first = service.record().pid;
        if self.expected.iter().any(|model| model.seen.up) {
            self.first = service.wait_up();
            service.wait_file("ready", &format!("{}\n", self.first));
            wait_until("it is two seconds old", || service.record().seconds() + 2 <= sys::clock::wall().0 as u64);
        }
    }

    /// What is not as expected; lets the service go on if it waits at the gate.
    fn mismatch(&mut self) -> Option<String> {
        // Once the FIFO is full there are lines enough.
        let _ = self.gate.writer.write(b"go\n");
        let seen = Seen::of(&mut self.service, self.first);
        let expected: Vec<&Seen> = self.expected.iter().map(|model| &model.seen).collect();
        (!expected.contains(&&seen)).then(|| format!("{}: {seen:?} is none of {expected:?}", self.service.name))
    }

    /// Forgets what it was not, and sends a KILL to what is there.
    fn kill(&mut self, scratch: &Scratch) {
        let seen = Seen::of(&mut self.service, self.first);
        self.expected.retain(|model| model.seen == seen);
        assert!(!self.expected.is_empty(), "{}: {seen:?} came late", self.service.name);
        self.first = self.service.record().pid;
        for model in &mut self.expected {
            model.seen.restarted = false;
            model.send('k');
            *model = model.clone().settle();
        }
        scratch.run("svc", &["-k", &self.service.name]);
    }
}

fn wait_settled(cases: &mut [Case]) {
    let begin = Instant::now();
    while let Some(wrong) = cases.iter_mut().find_map(Case::mismatch) {
        assert!(begin.elapsed() < PATIENCE, "{wrong}");
        std::thread::sleep(Duration::from_millis(2));
    }
    // Nothing more comes of it.
    assert_eq!(cases.iter_mut().find_map(Case::mismatch), None);
}

/// What svstat says of all of them agrees with what was seen.
fn check_svstat(scratch: &Scratch, cases: &[Case], normally_down: bool) {
    let names: Vec<&str> = cases.iter().map(|case| case.service.name.as_str()).collect();
    let out = scratch.run("svstat", &names).out();
    for (case, line) in cases.iter().zip(out.lines()) {
        let name = &case.service.name;
        let said = masked(line.strip_prefix(&format!("{name}: ")).expect("its name"));
        let expected: Vec<String> = case.expected.iter().map(|model| model.seen.words(normally_down)).collect();
        assert!(expected.contains(&said), "{name}: {said:?} is none of {expected:?}");
    }
}

/// Sends every pair to a service of its own in the state `from`: both letters by one svc, or each by its own.
fn every_pair(from: &Model, in_one: bool) {
    let scratch = scratch();
    let pairs = LETTERS.chars().flat_map(|first| LETTERS.chars().map(move |second| (first, second)));
    let mut cases: Vec<(Case, (char, char))> =
        pairs.map(|pair| (Case::start(&scratch, &format!("{}{}", pair.0, pair.1), from), pair)).collect();
    for (case, (first, second)) in &mut cases {
        case.wait_ready();
        let name = case.service.name.clone();
        let sent =
            if in_one { vec![format!("-{first}{second}")] } else { vec![format!("-{first}"), format!("-{second}")] };
        for letters in sent {
            // The first letter may have ended supervise.
            scratch.run("svc", &[&letters, &name]);
        }
        // One svc sends a letter once.
        let second = Some(*second).filter(|second| !in_one || second != first);
        case.expected = from.pair(*first, second);
    }
    let mut cases: Vec<Case> = cases.into_iter().map(|(case, _)| case).collect();
    for case in &mut cases {
        wait_until("the letters are read", || case.service.drained());
    }
    let normally_down = !from.seen.up;
    wait_settled(&mut cases);
    check_svstat(&scratch, &cases, normally_down);
    cases.iter_mut().for_each(|case| case.kill(&scratch));
    wait_settled(&mut cases);
    check_svstat(&scratch, &cases, normally_down);
}

#[test]
fn every_pair_in_one_svc_to_a_running_service_has_its_result() {
    every_pair(&Model::up(), true);
}

#[test]
fn every_pair_in_two_svcs_to_a_running_service_has_its_result() {
    every_pair(&Model::up(), false);
}

#[test]
fn every_pair_in_one_svc_to_a_down_service_has_its_result() {
    every_pair(&Model::down(), true);
}

#[test]
fn every_pair_in_two_svcs_to_a_down_service_has_its_result() {
    every_pair(&Model::down(), false);
}
