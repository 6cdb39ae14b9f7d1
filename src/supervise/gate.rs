//! What the start of a service waits for: the other services that `dependencies.d/` and `wants.d/` name.
//!
//! They are read at each start, and looked at one after the other, in the order of their names, until there is one that is to be waited for; what each look means is
//! decided in [`machine::supervise::gate`]. While the start waits, the kernel tells by CHLD that something has changed there, so each time when CHLD comes it is looked
//! again. Where the kernel cannot tell, it is looked every five seconds.

use std::ffi::OsStr;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use cli::{Warnings, text};
use machine::order;
use machine::supervise::gate::{self, Found, Kind, Wait};
use machine::supervise::{Machine, NotStarted};
use machine::{SECOND, Tick};
use svdir::names;
use svdir::record::{self as sections, NAME, Record};
use sys::fd;

use super::knobs::Present;
use super::name::name;
use super::neighbours::{self, Look, Neighbours, Others, Signs};
use crate::service::needs::{self, MOST};
use crate::service::tick;

/// The interval between two looks where nothing tells of changes, in nanoseconds.
const LOOK: u64 = 5 * SECOND;
/// The interval before the first look again at a service that a supervise is about to take over, in nanoseconds. It doubles with each look.
const SETTLES: u64 = SECOND / 1000;
/// How often it is looked so: for four seconds in all.
const TRIES: u32 = 12;

/// The start waits.
#[derive(Default)]
pub struct Waiting {
    signs: Signs,
    /// When it is looked again, whatever is told.
    pub look_at: Option<Tick>,
    /// Something may have changed since the last look.
    pub news: bool,
    tries: u32,
    /// Since when all that is needed is ready, and something is waited for that is only wanted.
    wanted_since: Option<Tick>,
}

impl Waiting {
    /// Returns whether it is to be looked again. It is asked once for each look.
    pub fn is_due(&mut self, now: Tick) -> bool {
        let is_news = std::mem::take(&mut self.news);
        self.tries = if is_news { 0 } else { self.tries };
        is_news || self.look_at.is_some_and(|at| at <= now)
    }
}

/// Why a start is not made now.
pub struct Stop {
    pub why: NotStarted,
    /// The name of what is waited for, or the reason of a refusal, for the record.
    pub text: sections::Text<64>,
    /// If it waits.
    pub waiting: Option<Box<Waiting>>,
}

/// Looks whether the start that is due may be made; `None` if it may. `before` is how it has waited until now.
pub fn look(
    present: Present,
    dir: &OsStr,
    machine: &Machine,
    now: &Record,
    before: Option<Box<Waiting>>,
    neighbours: &mut Neighbours,
    said: &mut Warnings,
) -> Option<Stop> {
    if present.names_others() {
        return Gate::read(present, dir, neighbours, said).and_then(|gate| gate.look(machine, now, before, said)).err();
    }
    for prefix in [CYCLE, WATCH, LOOK_AT, MANY, names::DEPENDENCIES, names::WANTS] {
        said.retain(prefix.as_bytes(), |_| false);
    }
    None
}

/// The beginnings of the subjects of warnings, which are followed by the name of another service, or of one of the directories.
const CYCLE: &str = "cycle ";
const WATCH: &str = "watch ";
const LOOK_AT: &str = "look ";
const MANY: &str = "many ";

/// Forgets the warnings with this beginning about what is not among these names any more.
fn forget_others<'a>(prefix: &str, said: &mut Warnings, names: impl Iterator<Item = &'a Vec<u8>> + Clone) {
    said.retain(prefix.as_bytes(), |rest| names.clone().any(|name| name == rest));
}

/// The gate before one start.
struct Gate<'a> {
    dir: &'a OsStr,
    own: Vec<u8>,
    scan: Option<BorrowedFd<'a>>,
    named: Vec<(Kind, Vec<u8>)>,
}

impl<'a> Gate<'a> {
    /// Reads which services are named.
    #[inline(never)]
    fn read(
        present: Present,
        dir: &'a OsStr,
        neighbours: &'a mut Neighbours,
        said: &mut Warnings,
    ) -> Result<Gate<'a>, Stop> {
        let mut gate = Gate { dir, own: name(dir), scan: None, named: Vec::new() };
        if gate.own.contains(&b'/') {
            let directory = if present.dependencies { names::DEPENDENCIES } else { names::WANTS };
            let why = io::Error::other(needs::OF_A_LOGGER);
            said.warning(names::DEPENDENCIES, text!("ignoring ", dir, "/", directory), &why);
            return Ok(gate);
        }
        let needed = gate.read_from(names::DEPENDENCIES, Kind::Needed, said);
        let wanted = if present.wants { gate.read_from(names::WANTS, Kind::Wanted, said) } else { Ok(()) };
        needed.map_err(|error| refused(&gate, &error, said))?;
        if let Err(error) = &wanted {
            said.warning(names::WANTS, text!("unable to read ", dir, "/", names::WANTS, ", going on without"), error);
        } else {
            said.over(names::WANTS);
        }
        for prefix in [CYCLE, WATCH, LOOK_AT] {
            forget_others(prefix, said, gate.named.iter().map(|(_, name)| name));
        }
        if gate.named.is_empty() {
            said.over(names::DEPENDENCIES);
            return Ok(gate);
        }
        match neighbours.scan(dir) {
            Ok(scan) => gate.scan = Some(scan),
            Err(error) if gate.named.iter().any(|(kind, _)| *kind == Kind::Needed) => {
                return Err(refused(&gate, &error, said));
            }
            Err(error) => {
                let text = text!("unable to look for what ", dir, "/", names::WANTS, " names, going on without");
                said.warning(names::WANTS, text, &error);
            }
        }
        said.over(names::DEPENDENCIES);
        Ok(gate)
    }

    /// Reads the names in one of the directories.
    fn read_from(&mut self, directory: &'static str, kind: Kind, said: &mut Warnings) -> io::Result<()> {
        let (all, more) = needs::named(fd::CURRENT_DIRECTORY, Path::new(directory))?;
        if more {
            let many = io::Error::other("there are more");
            let text = text!("taking ", MOST as u64, " names in ", self.dir, "/", directory);
            said.warning([MANY, directory].concat(), text, &many);
        } else {
            said.over([MANY, directory].concat());
        }
        forget_others(&[directory, "/"].concat(), said, all.iter());
        for name in all {
            let Some(why) = needs::unfit(&name, &self.own) else {
                self.named.push((kind, name));
                continue;
            };
            let text = text!("ignoring ", self.dir, "/", directory, "/", escaped(&name).as_str());
            said.warning([directory.as_bytes(), b"/", &name].concat(), text, &io::Error::other(why));
        }
        Ok(())
    }

    /// Looks at each of them.
    #[inline(never)]
    fn look(
        &self,
        machine: &Machine,
        now: &Record,
        before: Option<Box<Waiting>>,
        said: &mut Warnings,
    ) -> Result<(), Stop> {
        let Some(scan) = self.scan else {
            return Ok(());
        };
        let (at, tries) = (tick(), before.as_ref().map_or(0, |before| before.tries));
        // Where there is nothing from before, as in a successor, all of the time counts.
        let since = match &before {
            Some(before) => before.wanted_since.unwrap_or(at),
            None => machine.held_since().unwrap_or(at),
        };
        let mut earlier = before.map_or_else(Signs::default, |before| before.signs);
        let mut others = Others::default();
        for (kind, name) in &self.named {
            let kind = *kind;
            // Each service of a cycle says so, also if it need not wait.
            if self.is_cycle(scan, kind, name, &mut others, said) {
                continue;
            }
            let mut found = self.find(scan, kind, name, since, at, said);
            if !found.waits {
                continue;
            }
            let signs = Signs::of(scan, name, &others.seen, std::mem::take(&mut earlier));
            // What has changed where nothing was told of it is seen by a second look; later changes are told.
            if signs.is_new {
                found = self.find(scan, kind, name, since, at, said);
                if !found.waits || self.is_cycle(scan, kind, name, &mut Others::default(), said) {
                    continue;
                }
            }
            let look_at = self.look_at(&signs, &found, tries, at, name, said);
            let tries = if found.settles { tries + 1 } else { 0 };
            let text = shown(name);
            let held = gate::Held { until: found.until, news: now.observed.awaited != text };
            let wanted_since = (kind == Kind::Wanted).then_some(since);
            let waiting = Waiting { signs, look_at, news: false, tries, wanted_since };
            return Err(Stop { why: NotStarted::Held(held), text, waiting: Some(Box::new(waiting)) });
        }
        Ok(())
    }

    /// Looks at one of them.
    fn find(
        &self,
        scan: BorrowedFd<'_>,
        kind: Kind,
        name: &[u8],
        since: Tick,
        now: Tick,
        said: &mut Warnings,
    ) -> Finding {
        let subject = [LOOK_AT.as_bytes(), name].concat();
        let (look, unseen) = match neighbours::look(scan, name) {
            Ok(look) => {
                said.over(subject);
                (look, false)
            }
            Err(error) => {
                let text = text!(
                    "unable to tell for ",
                    self.dir,
                    " whether ",
                    escaped(name).as_str(),
                    " is ready, looking every 5 seconds"
                );
                said.warning(subject, text, &error);
                (Look { found: Found::Unserved, settles: false }, true)
            }
        };
        let until = match gate::wait(kind, look.found, || neighbours::patience(scan, name)) {
            Wait::No => Some(now),
            Wait::For(nanoseconds) => Some(since.after(nanoseconds)),
            Wait::Ever => None,
        };
        let waits = until.is_none_or(|until| until > now);
        Finding { waits, until, settles: look.settles, unseen }
    }

    /// When it must be looked again, whatever is told.
    fn look_at(
        &self,
        signs: &Signs,
        found: &Finding,
        tries: u32,
        now: Tick,
        name: &[u8],
        said: &mut Warnings,
    ) -> Option<Tick> {
        let subject = [WATCH.as_bytes(), name].concat();
        match &signs.untold {
            Some(error) => {
                let text = text!(
                    "unable to watch for ",
                    self.dir,
                    " what becomes of ",
                    escaped(name).as_str(),
                    ", looking every 5 seconds"
                );
                said.warning(subject, text, error);
            }
            None => said.over(subject),
        }
        let settles = (found.settles && tries < TRIES).then(|| now.after(SETTLES << tries));
        let unseen = (found.unseen || signs.untold.is_some()).then(|| now.after(LOOK));
        [settles, unseen].into_iter().flatten().min()
    }

    /// Returns whether the service `name` is taken for nothing, because it waits for this one, after a warning. One that is only wanted is also taken so if somebody on the
    /// way back is only wanted; one that is needed is not.
    #[inline(never)]
    fn is_cycle(
        &self,
        scan: BorrowedFd<'_>,
        kind: Kind,
        name: &[u8],
        others: &mut Others,
        said: &mut Warnings,
    ) -> bool {
        others.seen.clear();
        let needs = |next: &Vec<u8>| others.named_by(scan, next, kind == Kind::Wanted);
        let way = order::back(&self.own, &name.to_vec(), needs, MOST);
        let subject = [CYCLE.as_bytes(), name].concat();
        let Some(way) = way else {
            said.over(subject);
            return false;
        };
        let mut text = text!(self.dir, ": not waiting for ");
        for name in &way {
            text.add(&[&escaped(name).as_str(), &", which waits for "]);
        }
        text.add(&[&self.dir]);
        said.warn(subject, text);
        true
    }
}

/// What a look at another service means.
struct Finding {
    waits: bool,
    /// Until when, if there is a limit.
    until: Option<Tick>,
    settles: bool,
    unseen: bool,
}

/// The start is refused, with a warning.
fn refused(gate: &Gate<'_>, error: &io::Error, said: &mut Warnings) -> Stop {
    let why = text!(names::DEPENDENCIES, ": ", cli::reason(error).as_ref());
    let shown = io::Error::other(why.0.escape_ascii().to_string());
    said.warning(names::DEPENDENCIES, text!("unable to start ", gate.dir), &shown);
    Stop { why: NotStarted::Refused, text: sections::Text::new(&why.0), waiting: None }
}

fn escaped(name: &[u8]) -> String {
    name.escape_ascii().to_string()
}

/// The name for the record: one that is too long ends with three dots.
fn shown(name: &[u8]) -> sections::Text<64> {
    const DOTS: &[u8] = b"...";
    match name.get(..NAME - DOTS.len()).filter(|_| name.len() > NAME) {
        Some(begin) => sections::Text::new(&[begin, DOTS].concat()),
        None => sections::Text::new(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_too_long_ends_with_dots() {
        assert_eq!(shown(b"db").bytes(), b"db");
        assert_eq!(shown(&[b'x'; NAME]).bytes(), [b'x'; NAME]);
        let long = shown(&[b'x'; 255]);
        assert_eq!(long.bytes(), [&[b'x'; NAME - 3][..], b"..."].concat());
    }

    #[test]
    fn what_is_told_is_looked_at_once() {
        let mut waiting = Waiting { look_at: Some(Tick(5)), news: true, ..Waiting::default() };
        assert!(waiting.is_due(Tick(1)) && !waiting.is_due(Tick(1)) && waiting.is_due(Tick(5)));
    }
}
