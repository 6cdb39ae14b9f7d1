//! `uphold scale`: instances of one service, made from a template.

mod asked;
mod family;
mod instance;
mod rest;
mod template;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cli::{Call, Program, Voice, text};
use machine::wait::{Verdict, Wanted};
use svdir::names;
use sys::process::Signal;
use sys::signals;

use super::line::Line;
use super::linked::{self, Changes, End, Patience, What};
use super::scan::{Meant, Scan};
use super::{patience, shown};
use crate::service::facts::Facts;
use crate::service::home::Home;
use crate::service::summary::State;
use crate::service::{client, tick};
use asked::Asked;
use family::Family;
use template::Template;

const PROGRAM: Program = Program {
    name: "uphold scale",
    synopsis: "[--template DIR] [--no-wait] [--timeout TIME] NAME [N]",
    usage: "uphold scale: usage: uphold [-C DIR] scale [--template DIR] [--no-wait] [--timeout TIME] NAME [N]",
    usage_exit: cli::USAGE,
    about: "Makes instances of a service from a template until there are as many as wanted, or takes the last ones away.",
    options: &[
        ("--template DIR", "the template; default: that of the instances that there are, else /etc/sv/NAME@"),
        ("--no-wait", "return as soon as the instances are made, and those that are too many are told to end"),
        ("--timeout TIME", "how long to wait for each instance: seconds, or a number with ms, s, m or h; default: 60s"),
        ("NAME", "what stands before the @ in the names of the instances"),
        (
            "N",
            "how many instances there are to be, 0 to 1000; without it, those that there are get what the template has",
        ),
    ],
};

/// Where a template is if nothing else is said.
const TEMPLATES: &str = "/etc/sv";
/// The exit code if something is not as it was wanted.
const NOT_THERE: u8 = 1;

const AWAY: What = What { away: true, done: "gone", not: "not gone" };
const COMES: What = What { away: false, done: "made", not: "not up" };

/// The word.
pub fn main(call: &Call, scan_dir: Option<PathBuf>) -> i32 {
    PROGRAM.run(call, |call| run(call, scan_dir))
}

fn run(call: &Call, scan_dir: Option<PathBuf>) -> anyhow::Result<u8> {
    // If a supervise exits before it has read the letters, or nobody reads what is told, that is not the end.
    signals::ignore(Signal::SIGPIPE)?;
    let asked = Asked::read(call.words())?;
    let voice = PROGRAM.voice();
    let home = Home::open()?;
    // Whoever had the lock may have changed what there is.
    let family = Family::lock(&Scan::open(scan_dir.clone())?.dir, asked.name, voice)?;
    let scan = Scan::open(scan_dir)?;
    let linked = family.linked(&scan.names);
    let wanted = match asked.count {
        Some(count) => (1..=count).collect(),
        None if linked.is_empty() => {
            let name = shown::name(asked.name);
            voice.say(&[&name.as_str(), &" has no instances: uphold scale ", &name.as_str(), &" N makes N of them"]);
            return Ok(NOT_THERE);
        }
        None => linked.clone(),
    };
    let template = if wanted.is_empty() {
        None
    } else {
        let Some(template) = find_template(&asked, &family, &home, &wanted, voice)? else {
            return Ok(NOT_THERE);
        };
        Some(template)
    };
    let mut all = family.numbers()?;
    all.extend(&linked);
    let mut scaling =
        Scaling { voice, home, scan, timeout: asked.timeout, stuck: BTreeSet::new(), left: false, failed: false };
    scaling.end_rests(&family, &all, &wanted)?;
    let interrupt = if asked.timeout.is_some() { patience::begin()? } else { None };
    let patience = Patience { timeout: asked.timeout, interrupt: interrupt.as_ref() };
    let is_surplus = |&number: &u16| !wanted.contains(&number) || rest::is_lost(&family, number);
    let surplus = all.iter().rev().copied().filter(is_surplus).collect();
    let mut end = scaling.take_away(&family, surplus, &patience)?;
    if end == End::Over {
        match template {
            Some(template) => {
                let family = family.make(asked.name, voice)?;
                let made = scaling.make(&family, &template, &wanted)?;
                // Others need not wait while these come up.
                drop(family);
                end = scaling.wait(made, &patience)?;
            }
            None if scaling.left => {}
            None => family.end()?,
        }
    }
    if let End::Interrupted(so_far) = end {
        return Ok(patience::interrupted(voice, &so_far));
    }
    Ok(if scaling.failed { NOT_THERE } else { 0 })
}

/// Finds the template, and says why there can be no instances of it; `None` then.
fn find_template(
    asked: &Asked,
    family: &Family,
    home: &Home,
    wanted: &BTreeSet<u16>,
    voice: Voice,
) -> anyhow::Result<Option<Template>> {
    let dir = match (&asked.template, family.template()) {
        (Some(dir), _) => std::path::absolute(dir).with_context(|| text!("wrong template ", *dir))?,
        (None, Some(dir)) => dir,
        (None, None) => {
            let mut name = OsString::from(asked.name);
            name.push("@");
            Path::new(TEMPLATES).join(name)
        }
    };
    let shown = shown::name(dir.as_os_str());
    if fs::metadata(&dir).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        voice.say(&[&"there is no template ", &shown.as_str(), &": name one with --template DIR"]);
        return Ok(None);
    }
    let template = Template::read(dir)?;
    let wrong = |why: &str| voice.say(&[&shown.as_str(), &": ", &why]);
    if let Some(why) = template.unfit() {
        wrong(why);
        return Ok(None);
    }
    if wanted.len() > 1
        && let Some(socket) = template.unshared(home)?
    {
        wrong(&format!("{socket}: only one instance could listen there; reuseport shares the address of tcp and udp"));
        return Ok(None);
    }
    let lost = |&&number: &&u16| !template.has_log() && instance::has_log_of_template(&family.dir(number));
    if let Some(&number) = wanted.iter().find(lost) {
        let (name, log) = (shown::name(&family.name(number)), family.dir(number).join(names::LOG));
        let log = shown::name(log.as_os_str());
        wrong(&format!("it has no log, but {name} was made with one: put it back, or scale to 0 and remove {log}"));
        return Ok(None);
    }
    Ok(Some(template))
}

/// Instances on their way.
struct Scaling {
    voice: Voice,
    home: Home,
    scan: Scan,
    /// How long each is waited for, in nanoseconds; `None` not at all.
    timeout: Option<u64>,
    /// Those that were taken away before, and have not ended.
    stuck: BTreeSet<u16>,
    /// One that is too many is there still.
    left: bool,
    failed: bool,
}

impl Scaling {
    /// Ends what runs of those of these instances that have no link any more.
    fn end_rests(&mut self, family: &Family, all: &BTreeSet<u16>, wanted: &BTreeSet<u16>) -> anyhow::Result<()> {
        for &number in all.iter().rev() {
            let dir = family.dir(number);
            if family.is_linked(number) || rest::is_lost(family, number) {
                continue;
            }
            let why = match rest::end(&self.home, &dir, self.timeout)? {
                Ok(true) => continue,
                Ok(false) => "it was taken away before, and has not ended yet".to_owned(),
                Err(why) => why,
            };
            self.stuck.insert(number);
            // Without a wait those that are too many are told, and no more.
            if self.timeout.is_some() || wanted.contains(&number) {
                self.fail(family, number, &why);
            }
        }
        Ok(())
    }

    /// Takes these instances away, and clears what is left of them.
    fn take_away(&mut self, family: &Family, surplus: Vec<u16>, patience: &Patience) -> anyhow::Result<End> {
        let mut services = Vec::new();
        for &number in &surplus {
            if rest::is_lost(family, number) {
                // svscan is to start a supervise, which takes it over.
                put(family, &self.scan, number)?;
            }
            if family.is_linked(number) {
                family.mark(number)?;
                services.push(meant(family, number));
            }
        }
        let mut changes = Changes::new(&AWAY, patience, &self.scan, services);
        let end = changes.run(&self.home)?;
        self.failed |= changes.has_failed();
        for number in surplus {
            let dir = family.dir(number);
            if family.is_linked(number) || rest::is_there(&dir) {
                self.left = true;
            } else {
                instance::clear(&dir).with_context(|| text!("unable to remove ", dir))?;
                family.unmark(number)?;
            }
        }
        Ok(end)
    }

    /// Makes these instances, or brings them up to date. Returns those that are to come up.
    fn make(&mut self, family: &Family, template: &Template, wanted: &BTreeSet<u16>) -> anyhow::Result<Vec<Meant>> {
        family.set_template(&template.dir)?;
        let mut made = Vec::new();
        for &number in wanted {
            let (dir, link) = (family.dir(number), family.link(number));
            let is_linked = family.is_linked(number);
            if self.stuck.contains(&number) {
                continue;
            }
            if !is_linked && link.symlink_metadata().is_ok() {
                self.fail(family, number, "another service has this name");
                continue;
            }
            instance::fill(&dir, template).with_context(|| text!("unable to make ", dir))?;
            let is_back = is_linked && family.is_marked(number);
            if is_back && let Err(why) = rest::bring_back(&self.home, &dir)? {
                self.fail(family, number, &why);
                continue;
            }
            if !is_linked {
                put(family, &self.scan, number)?;
            }
            family.unmark(number)?;
            let meant = meant(family, number);
            if !is_linked || is_back || self.is_on_its_way(&meant)? {
                made.push(meant);
            }
        }
        Ok(made)
    }

    /// Waits until these are up, unless nobody wants to.
    fn wait(&mut self, services: Vec<Meant>, patience: &Patience) -> anyhow::Result<End> {
        let is_served = services.is_empty() || self.scan.served != Some(false);
        if !is_served {
            let dir = &self.scan.dir;
            self.voice.say(&[&"no svscan serves ", dir, &", which starts what was made: svscan ", dir]);
        }
        if patience.timeout.is_none() {
            let mut line = Line::new();
            services.iter().for_each(|made| line.done(&shown::name(&made.name), COMES.done, ""));
            return Ok(End::Over);
        }
        if !is_served {
            self.failed = true;
            return Ok(End::Over);
        }
        let mut changes = Changes::new(&COMES, patience, &self.scan, services);
        let end = changes.run(&self.home)?;
        self.failed |= changes.has_failed();
        Ok(end)
    }

    /// Returns whether an instance that was there already may come up without being told to.
    fn is_on_its_way(&self, meant: &Meant) -> anyhow::Result<bool> {
        let may_come = |facts: Facts| {
            let state = facts.summary(true, tick()).state;
            let stays = matches!(state, State::Down | State::Stopping | State::Paused);
            !stays && facts.judge(Wanted::Ready, None) == Verdict::NotYet
        };
        let comes = || client::find().is_err() || client::read().is_ok_and(may_come);
        Ok(self.home.visit(&meant.dir, comes)?.unwrap_or(false))
    }

    fn fail(&mut self, family: &Family, number: u16, why: &str) {
        self.failed = true;
        self.voice.say(&[&shown::name(&family.name(number)).as_str(), &": ", &why]);
    }
}

fn meant(family: &Family, number: u16) -> Meant {
    Meant { name: family.name(number), dir: family.link(number) }
}

/// Puts the link of an instance into the scan directory.
fn put(family: &Family, scan: &Scan, number: u16) -> anyhow::Result<()> {
    linked::put(&scan.dir, &family.name(number), &family.target(number))
        .with_context(|| text!("unable to make ", family.link(number)))
}
