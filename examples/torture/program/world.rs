//! The scratch directory with its services, whoever scans it, and what was done so far.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sys::process::Signal;
use sys::signals::Signals;
use testkit::Scratch;

use super::crowd;
use super::line::{Micros, now};
use super::lines::Totals;
use super::options::Options;
use super::report::{Counts, Kind, Violations};
use super::rules::Rules;
use super::site;
use super::suite;
use super::unit::{Expect, Unit};

/// The one that scans the directory.
pub struct Scanner {
    /// Its pid.
    pub pid: Option<u32>,
    /// When it was last started, killed or upgraded.
    pub disturbed: Instant,
    /// What was done to it, and when.
    pub history: Vec<(Micros, String)>,
    /// It shall end.
    pub doomed: bool,
    /// The file that it ran when it was told to become its new program.
    pub upgrade: Option<(u64, u64)>,
}

/// All of it.
pub struct World {
    /// Where everything is, without symbolic links.
    pub root: PathBuf,
    /// Where the programs are.
    pub bin: PathBuf,
    /// Whose they are.
    pub kind: suite::Kind,
    /// Service, its logger, the next service, its logger, ...
    pub units: Vec<Unit>,
    /// Who scans.
    pub scanner: Scanner,
    /// What was done.
    pub counts: Counts,
    /// What was lost.
    pub totals: Totals,
    /// What must not be.
    pub violations: Violations,
    /// How long something may be wrong after the last kill.
    pub grace: Duration,
    /// Whether who scans is an init, which ends with an essential service.
    pub init: bool,
    /// Whether the programs can be upgraded in place.
    pub upgrades: bool,
    /// When all was up. What was wrong before does not count.
    pub begin: Option<Instant>,
    pub(super) checked: Instant,
    pub(super) confessions: usize,
    interrupts: Signals,
    /// Held: when it is dropped, whoever is left there is killed.
    _scratch: Scratch,
}

impl World {
    /// Makes the directories.
    pub fn new(options: &Options) -> anyhow::Result<World> {
        // As init would be, their killed supervises' services come to us where no svscan takes them.
        sys::process::adopt_orphans(true);
        let scratch = Scratch::new();
        let root = fs::canonicalize(scratch.root())?;
        site::clean_up_on_panic(root.clone());
        let bin = site::programs(&root, options)?;
        let mut units = Vec::new();
        for number in 0..options.services {
            let name = site::service_name(number);
            let rules = if options.suite.kind == suite::Kind::Ours { Rules::of(number) } else { Rules::default() };
            let dir = site::make_service(&root, number, rules, &options.suite)?;
            units.push(Unit::new(name.clone(), dir.clone(), false, rules));
            units.push(Unit::new(format!("{name}/log"), dir.join("log"), true, Rules::default()));
        }
        let mut world = World {
            root,
            bin,
            kind: options.suite.kind,
            units,
            scanner: Scanner {
                pid: None,
                disturbed: Instant::now(),
                history: Vec::new(),
                doomed: false,
                upgrade: None,
            },
            counts: Counts::default(),
            totals: Totals::default(),
            violations: Violations::default(),
            grace: options.grace,
            init: options.suite.kind == suite::Kind::Ours && !options.seed.is_multiple_of(2),
            upgrades: false,
            begin: None,
            checked: Instant::now(),
            confessions: 0,
            interrupts: Signals::catch(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])?,
            _scratch: scratch,
        };
        world.upgrades = world.kind == suite::Kind::Ours && world.knows_reexec()?;
        Ok(world)
    }

    pub(super) fn suite(&self) -> suite::Suite {
        suite::Suite { kind: self.kind, bin: self.bin.clone() }
    }

    fn knows_reexec(&self) -> io::Result<bool> {
        let help = self.program("svc").arg("--help").stdin(Stdio::null()).output()?;
        Ok(String::from_utf8_lossy(&help.stdout).contains("--reexec"))
    }

    /// A command of the suite, in the scratch directory. It does not get the terminal's interrupts.
    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", self.bin.display());
        command.current_dir(&self.root).env("PATH", path).env_remove("UPHOLD_LOG").process_group(0);
        command
    }

    /// Starts the scanner.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let messages = || fs::OpenOptions::new().create(true).append(true).open(self.root.join("messages"));
        let mut scanner = self.program(self.suite().scanner());
        scanner
            .args(self.init.then_some("--init"))
            .arg("scan")
            .stdin(Stdio::null())
            .stdout(messages()?)
            .stderr(messages()?);
        let child = scanner.spawn().context("unable to start the scanner")?;
        self.scanner.pid = Some(child.id());
        self.scanner.doomed = false;
        self.note_scanner("start");
        Ok(())
    }

    /// From now on violations count.
    pub fn begin(&mut self) {
        self.begin = Some(Instant::now());
    }

    /// Does what init does, and looks whether all is well when it is time for that.
    pub fn turn(&mut self) -> anyhow::Result<()> {
        if self.interrupts.arrived(Signal::SIGINT)
            || self.interrupts.arrived(Signal::SIGTERM)
            || self.interrupts.arrived(Signal::SIGHUP)
        {
            bail!("interrupted");
        }
        self.reap();
        if self.scanner.pid.is_none() {
            self.start()?;
        }
        if self.checked.elapsed() >= super::CHECK {
            self.checked = Instant::now();
            self.check()?;
        }
        Ok(())
    }

    /// Collects dead children: the scanner, and orphans.
    pub fn reap(&mut self) {
        while let Some((pid, change)) = sys::process::reap() {
            if Some(pid.as_raw().cast_unsigned()) == self.scanner.pid {
                self.scanner.pid = None;
                self.scanner.upgrade = None;
                if !self.scanner.doomed {
                    self.violate(Kind::ScannerEnded, format!("the scanner, pid {pid}, {change}"));
                    // Not faster than init would.
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }

    /// Notes a violation.
    pub fn violate(&mut self, kind: Kind, evidence: String) {
        if let Some(begin) = self.begin {
            self.violations.add(kind, format!("{:.3} s: {evidence}", begin.elapsed().as_secs_f64()));
        }
    }

    /// Notes what is done to a unit.
    pub fn note(&mut self, unit: usize, what: &str) {
        let what = self.dated(what);
        self.units[unit].note(what);
    }

    /// Notes what is done to the scanner.
    pub fn note_scanner(&mut self, what: &str) {
        self.scanner.disturbed = Instant::now();
        self.scanner.history.push((now(), self.dated(what)));
    }

    fn dated(&self, what: &str) -> String {
        format!("{:.3} {what}", self.begin.map_or(0.0, |begin| begin.elapsed().as_secs_f64()))
    }

    /// Whether all are up, as known from the last check.
    pub fn all_up(&self) -> bool {
        self.units.iter().all(|unit| unit.process.is_some() && unit.supervise.is_some() && unit.faults.is_empty())
    }

    /// Whether nothing is wrong with anybody, nor waited for.
    pub fn is_settled(&self) -> bool {
        let sick = |unit: &Unit| unit.sick.is_some() && unit.expect == Expect::Up;
        let settled = |unit: &Unit| {
            unit.faults.is_empty() && unit.pending.is_none() && unit.expect != Expect::Unknown && !sick(unit)
        };
        self.scanner.pid.is_some() && self.units.iter().all(settled)
    }

    /// The other of service and logger.
    pub fn partner(unit: usize) -> usize {
        unit ^ 1
    }

    /// Which unit each name belongs to.
    pub fn names(&self) -> BTreeMap<&str, usize> {
        self.units
            .iter()
            .enumerate()
            .filter(|(_, unit)| !unit.logger)
            .map(|(at, unit)| (unit.name.as_str(), at))
            .collect()
    }

    /// Kills a process of ours.
    pub fn kill(&self, pid: u32) -> bool {
        crowd::signal(&self.root, pid, Signal::SIGKILL)
    }
}
