//! Fifty services that need each other in a random way, below a svscan, while anything happens to them, beside a small model of what may start.
//!
//! Each service notes when it is born, when it is about to say that it is ready, and again and again that it lives, all by one clock. So there are times in which it was
//! not ready for sure: from a birth until it says so, while it was down and nobody wanted it up, and while it was not listed. When a start was allowed is not
//! known, but it was after the life before it, and before it was born: if something that it needs was not ready in all of that time, it was too early. What a
//! service may take for nothing, since both may be in one circle, is not looked at.
//!
//! Once in a while all things come to rest, with some services down and some not listed: then each other one is up, or says for which one that is not ready it
//! waits. When those come back, all come up.
//!
//! `UPHOLD_GRAPH_SECONDS` says for how long things happen, `UPHOLD_GRAPH_SEED` which.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use testkit::{PATIENCE, Scratch, start, wait_until};

use super::order_torture::{Numbers, supervise};

const COUNT: usize = 50;
/// Those from this one on need each other in circles too; the others need only those before them.
const CIRCLES: usize = 42;
/// How long things happen between two rests.
const ROUND: Duration = Duration::from_secs(3);
/// Tells a process that it is a service, and after how many milliseconds it is ready.
const SERVICE: &str = "UPHOLD_GRAPH_SERVICE";
/// The descriptor on which it says so.
const READY: i32 = 7;

/// Microseconds of the monotonic clock.
type Micros = u64;

fn now() -> Micros {
    sys::clock::monotonic() / 1000
}

/// From when until when something was so.
type Span = (Micros, Micros);

/// Runs as a service, if the environment says so.
#[test]
fn a_service_of_the_graph() {
    let Some(time) = env::var_os(SERVICE) else {
        return;
    };
    let mut notes = OpenOptions::new().append(true).create(true).open("notes").expect("a file of ours");
    let mut note = |what: &str| notes.write_all(format!("{what} {}\n", now()).as_bytes()).expect("a file of ours");
    note("born");
    let time = time.to_str().and_then(|time| time.parse().ok()).map(Duration::from_millis);
    let mut unsaid = time.map(|time| (Instant::now() + time, false));
    // Not closed before the end: a supervise that takes over reads what the one before it has not.
    let ready = unsaid.is_some().then(|| sys::sealed::inherit(READY).expect("it is given"));
    loop {
        if let (Some((at, is_noted)), Some(ready)) = (&mut unsaid, &ready)
            && *at <= Instant::now()
        {
            if !std::mem::replace(is_noted, true) {
                note("ready");
            }
            // While there is no supervise nobody reads it.
            if sys::fd::write(ready.as_fd(), b"\n").is_ok() {
                unsaid = None;
            }
        }
        note("alive");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn name(number: usize) -> String {
    format!("s{number:02}")
}

/// What is known of one service.
#[derive(Default)]
struct Service {
    /// It says when it is ready.
    tells: bool,
    /// Since when it was seen to be down, and nobody has wanted it up.
    down: Option<Micros>,
    /// Since when it is not listed.
    absent: Option<Micros>,
    /// When it was not ready, by what was done to it.
    unready: Vec<Span>,
    /// The last moments in which it was down, before somebody wanted it up.
    raised: Vec<Micros>,
    /// What it needs, and since when.
    needs: BTreeMap<usize, Micros>,
    /// What it has needed, and when.
    needed: Vec<(usize, Span)>,
}

/// The services, and what is done to them.
struct Graph {
    scratch: Scratch,
    numbers: Numbers,
    services: Vec<Service>,
}

impl Graph {
    fn new(seed: u64) -> Graph {
        let mut graph = Graph { scratch: Scratch::new(), numbers: Numbers(seed), services: Vec::new() };
        graph.scratch.mkdir("scan");
        let program = env::current_exe().expect("the test has a path");
        for number in 0..COUNT {
            let tells = graph.below(2) == 0;
            let time = if tells { (graph.below(5) * 100).to_string() } else { "at once".to_owned() };
            let words = "--exact rules::order_graph::a_service_of_the_graph";
            let run = format!("exec env {SERVICE}='{time}' '{}' {words} >/dev/null 2>&1", program.display());
            let dir = format!("sv/{}", name(number));
            graph.scratch.service(&dir, &run);
            graph.scratch.mkdir(format!("{dir}/dependencies.d"));
            if tells {
                graph.scratch.write(format!("{dir}/notification-fd"), READY.to_string());
            }
            graph.services.push(Service { tells, ..Service::default() });
            for _ in 0..graph.below(3) {
                graph.toggle(number);
            }
            // Nothing has been started yet.
            graph.services[number].needs.values_mut().for_each(|since| *since = 0);
            graph.link(number);
        }
        graph
    }

    fn below(&mut self, limit: usize) -> usize {
        self.numbers.next(limit as u64) as usize
    }

    /// Makes a service need another one, or need it no more.
    fn toggle(&mut self, number: usize) {
        let other = match number {
            0 => return,
            CIRCLES.. if self.below(2) == 0 => CIRCLES + self.below(COUNT - CIRCLES),
            _ => self.below(number),
        };
        let file = self.scratch.path(format!("sv/{}/dependencies.d/{}", name(number), name(other)));
        let service = &mut self.services[number];
        if let Some(since) = service.needs.remove(&other) {
            service.needed.push((other, (since, now())));
            fs::remove_file(file).expect("it was made");
        } else if other != number {
            fs::write(file, "").expect("a file of ours");
            service.needs.insert(other, now());
        }
    }

    fn link(&mut self, number: usize) {
        let service = &mut self.services[number];
        service.unready.extend(service.absent.take().map(|since| (since, now())));
        // It may be there.
        let _ = symlink(format!("../sv/{}", name(number)), self.scratch.path(format!("scan/{}", name(number))));
    }

    fn unlink(&mut self, number: usize) {
        if fs::remove_file(self.scratch.path(format!("scan/{}", name(number)))).is_ok() {
            self.services[number].absent = Some(now());
        }
    }

    /// Sends letters to services, and returns whether all have obeyed.
    fn svc(&self, words: &[&str], numbers: &[usize]) -> bool {
        let dirs: Vec<String> = numbers.iter().map(|&number| format!("sv/{}", name(number))).collect();
        let dirs = dirs.iter().map(String::as_str);
        self.scratch.run("svc", &words.iter().copied().chain(dirs).collect::<Vec<_>>()).code == 0
    }

    fn take_down(&mut self, number: usize, limit: &str) -> bool {
        let is_down = self.svc(&["-d", "--wait=down", limit], &[number]);
        if is_down {
            self.services[number].down.get_or_insert(now());
        }
        is_down
    }

    /// It may be up from now on.
    fn raise(&mut self, number: usize) {
        let service = &mut self.services[number];
        if let Some(since) = service.down.take() {
            service.unready.push((since, now()));
            service.raised.push(now());
        }
    }

    fn take_up(&mut self, number: usize) {
        self.raise(number);
        self.svc(&["-u"], &[number]);
    }

    /// Lets one thing happen.
    fn happen(&mut self) {
        let number = self.below(COUNT);
        match self.below(12) {
            0 | 1 => {
                let pid = supervise(&self.scratch, &name(number)).and_then(|pid| i32::try_from(pid).ok());
                // It may have ended since.
                let kill = |pid| sys::process::kill(sys::process::Pid::from_raw(pid), sys::process::Signal::SIGKILL);
                let _ = pid.map(kill);
            }
            2 | 3 => drop(self.svc(&["-k"], &[number])),
            4 => drop(self.svc(&["-t"], &[number])),
            5 => drop(self.take_down(number, "--timeout=300ms")),
            6 | 7 => self.take_up(number),
            8 => drop(self.svc(&["--reexec"], &[number])),
            9 => self.unlink(number),
            10 => (0..COUNT).for_each(|number| self.link(number)),
            _ => self.toggle(number),
        }
    }

    /// What svstat says of each.
    fn states(&self) -> Vec<String> {
        let dirs: Vec<String> = (0..COUNT).map(|number| format!("sv/{}", name(number))).collect();
        let told = self.scratch.run("svstat", &dirs.iter().map(String::as_str).collect::<Vec<_>>()).out();
        let states: Vec<_> = told.lines().filter_map(|line| Some(line.split_once(": ")?.1.to_owned())).collect();
        assert_eq!(states.len(), COUNT, "{told}");
        states
    }

    fn is_ready(&self, number: usize, states: &[String]) -> bool {
        let state = &states[number];
        state.starts_with("up ") && (!self.services[number].tells || state.contains(", ready "))
    }

    /// The services that this one waits for, if they are not ready. It does not wait for what leads back to it, as far as that is listed.
    fn awaited(&self, number: usize) -> Vec<usize> {
        let leads_back = |&other: &usize| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![other]);
            while let Some(at) = next.pop() {
                if at == number {
                    return true;
                }
                if seen.insert(at) && self.services[at].absent.is_none() {
                    next.extend(self.services[at].needs.keys());
                }
            }
            false
        };
        self.services[number].needs.keys().copied().filter(|other| !leads_back(other)).collect()
    }

    /// Whether a service that is wanted up is as it is to be when all things are at rest: what can start has started, and what waits says for whom.
    fn rests(&self, number: usize, states: &[String]) -> bool {
        let is_there = |&other: &usize| self.services[other].absent.is_none() && self.is_ready(other, states);
        let missing: Vec<usize> = self.awaited(number).into_iter().filter(|other| !is_there(other)).collect();
        let waits = |&other: &usize| states[number].ends_with(&format!(", want up, waiting for {}", name(other)));
        self.is_ready(number, states) || missing.iter().any(waits)
    }

    /// Waits until this holds of each service, by what svstat says of all of them.
    #[track_caller]
    fn wait_all(&self, what: &str, holds: impl Fn(usize, &[String]) -> bool) {
        let begin = Instant::now();
        wait_until(what, || {
            let states = self.states();
            let bad: Vec<_> = (0..COUNT).filter(|&number| !holds(number, &states)).collect();
            // Before that wait is given up, with more to say.
            if !bad.is_empty() && begin.elapsed() > PATIENCE - Duration::from_secs(10) {
                let tell = |&number: &usize| (name(number), &states[number], self.needs(number));
                panic!("waited in vain: {what}: {:?}", bad.iter().map(tell).collect::<Vec<_>>());
            }
            bad.is_empty()
        });
    }

    fn needs(&self, number: usize) -> Vec<String> {
        self.services[number].needs.keys().copied().map(name).collect()
    }

    /// Lets all things come to rest with some services down and others not listed, and then all come up.
    fn rest(&mut self) {
        (0..COUNT).for_each(|number| self.link(number));
        self.wait_all("all are supervised", |number, states| !states[number].contains("not running"));
        let mut down = Vec::new();
        for number in 0..COUNT {
            match self.below(10) {
                0 | 1 => down.push(number),
                2 => self.unlink(number),
                _ => {}
            }
        }
        for number in 0..COUNT {
            if down.contains(&number) {
                assert!(self.take_down(number, "--timeout=100s"), "{} goes down", name(number));
            } else {
                self.raise(number);
            }
        }
        let up: Vec<usize> = (0..COUNT).filter(|number| !down.contains(number)).collect();
        self.svc(&["-u"], &up);
        self.wait_all("what can start does", |number, states| {
            let state = &states[number];
            if down.contains(&number) {
                state.starts_with("down ") && !state.contains("want up")
            } else {
                self.rests(number, states)
            }
        });
        (0..COUNT).for_each(|number| self.link(number));
        down.iter().for_each(|&number| self.raise(number));
        self.svc(&["-u"], &down);
        self.wait_all("no wait is lost", |number, states| self.is_ready(number, states));
    }
}

/// What a service has noted: when it was born, and what it had done last before that; and when it was not ready for sure, by its births.
struct Notes {
    births: Vec<Span>,
    unready: Vec<Span>,
}

impl Notes {
    fn read(text: &str, service: &Service) -> Notes {
        let mut notes = Notes { births: Vec::new(), unready: Vec::new() };
        let (mut last, mut since) = (0, Some(0));
        for line in text.lines() {
            let (what, at) = line.split_once(' ').expect("two words");
            let at: Micros = at.parse().expect("a number");
            match what {
                "born" => {
                    // While it was down nobody has looked for it whether others are ready.
                    let down = service.raised.iter().copied().filter(|&raised| raised <= at).max().unwrap_or(0);
                    notes.births.push((last.max(down), at));
                    since.get_or_insert(at);
                }
                "ready" => notes.unready.extend(since.take().map(|since| (since, at))),
                _ => {}
            }
            last = at;
        }
        // Whether one is ready that does not say so nobody knows but its supervise.
        notes.unready.retain(|_| service.tells);
        notes.unready.extend(since.filter(|_| service.tells).map(|since| (since, Micros::MAX)));
        notes.unready.extend(&service.unready);
        notes.unready = merged(std::mem::take(&mut notes.unready));
        notes
    }
}

/// The same times, where those that overlap are one.
fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut merged: Vec<Span> = Vec::new();
    for (from, to) in spans {
        match merged.last_mut().filter(|last| from <= last.1) {
            Some(last) => last.1 = last.1.max(to),
            None => merged.push((from, to)),
        }
    }
    merged
}

impl Graph {
    /// Checks every start. Returns how many there were for which something else was looked at, and how many of them came after a time in which that was not ready.
    fn verify(&mut self, seed: u64) -> (usize, usize) {
        let end = now();
        for service in &mut self.services {
            let all = std::mem::take(&mut service.needs);
            service.needed.extend(all.into_iter().map(|(other, since)| (other, (since, end))));
        }
        let notes: Vec<Notes> = self
            .services
            .iter()
            .enumerate()
            .map(|(number, service)| Notes::read(&self.scratch.text(format!("sv/{}/notes", name(number))), service))
            .collect();
        let (mut looked, mut waited, mut wrong) = (0, 0, Vec::new());
        for (number, service) in self.services.iter().enumerate() {
            for (other, needed) in service.needed.iter().filter(|(other, _)| *other < CIRCLES) {
                for &(from, to) in notes[number].births.iter().filter(|(from, to)| needed.0 <= *from && *to <= needed.1)
                {
                    looked += 1;
                    let unready = &notes[*other].unready;
                    waited += usize::from(unready.iter().any(|span| span.1 > from && span.1 < to));
                    if let Some(span) = unready.iter().find(|span| span.0 <= from && to < span.1) {
                        wrong.push(format!(
                            "{} at {to} after {from}, {} not ready {span:?}",
                            name(number),
                            name(*other)
                        ));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "started before what it needs, seed {seed}: {wrong:#?}");
        (looked, waited)
    }
}

fn number_from(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn fifty_services_start_as_soon_as_what_they_need_is_ready_and_no_sooner_whatever_happens() {
    let seconds = Duration::from_secs(number_from("UPHOLD_GRAPH_SECONDS").unwrap_or(6));
    let seed = number_from("UPHOLD_GRAPH_SEED").unwrap_or(1);
    let mut graph = Graph::new(seed);
    let err = fs::File::create(graph.scratch.path("err")).expect("a file");
    let _svscan = start(graph.scratch.command("svscan", &["scan"]).stderr(err));
    graph.wait_all("all are up at first", |number, states| graph.is_ready(number, states));
    let begin = Instant::now();
    let (mut things, mut rests) = (0, 0);
    while begin.elapsed() < seconds {
        let round = Instant::now();
        while round.elapsed() < ROUND && begin.elapsed() < seconds {
            graph.happen();
            things += 1;
            // Some at once, others when there is time for what follows.
            let time = [0, 0, 5, 40][graph.below(4)];
            std::thread::sleep(Duration::from_millis(time));
        }
        graph.rest();
        rests += 1;
    }
    let (looked, waited) = graph.verify(seed);
    assert!(looked > 0 && waited > 0, "nothing was looked at, seed {seed}");
    let told = graph.scratch.text("err");
    assert!(!told.contains("every 5 seconds"), "seed {seed}: {told}");
    if env::var_os("UPHOLD_GRAPH_SECONDS").is_some() {
        let line = format!("seed {seed}: {things} things, {rests} rests, {looked} starts, {waited} of which waited\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}
