//! What starts svscan after the old one has ended: systemd by our unit, another init by its table, or nothing.

use std::fs;
use std::path::Path;

use anyhow::Context;
use cli::text;

use super::commands::run;
use super::foreign::Scanner;
use super::inittab;
use super::mark::Marked;
use super::rivals::MASK;
use super::tree::Tree;
use super::voice::refuse;

const UNITS: &str = "/etc/systemd/system";
const UNIT: &str = "svscan.service";

/// What starts svscan.
#[derive(Debug, PartialEq, Eq)]
pub enum Starter {
    /// systemd, by the unit that `uphold boot install` writes. The old svscan belongs to another unit.
    Systemd,
    /// systemd, by the unit that `uphold boot install` writes. The old svscan belongs to a unit of the same name: when it
    /// ends, systemd starts svscan as the new file says.
    SameUnit,
    /// Whatever started the old svscan. With `inittab`, init has to read its table again first.
    Other { inittab: bool },
}

impl Starter {
    /// Finds out what will start svscan, from how the old one was started.
    ///
    /// # Errors
    /// If the old svscan would be started again.
    pub fn of(scanner: Option<&Scanner>, tree: &Tree, dir: &Path) -> anyhow::Result<Starter> {
        let unable = |why: &[&dyn cli::Piece]| {
            let mut text = text!("unable to take over ", dir, ": ");
            text.add(why);
            refuse(&[&text.0.as_slice(), &"; uphold boot install --force changes that"])
        };
        let booted = tree.holds(Path::new("/run/systemd/system"));
        if let Some(old) = scanner.and_then(Scanner::unit).filter(|_| booted) {
            if !has_our_unit(tree) {
                return Err(unable(&[&"systemd has no svscan.service of this suite"]));
            }
            if old == UNIT {
                return Ok(Starter::SameUnit);
            }
            if !is_masked(tree, &old) {
                return Err(unable(&[&"systemd would start ", &old.as_str(), &" again"]));
            }
            return Ok(Starter::Systemd);
        }
        let inittab = tree.resolve(Path::new("/etc/inittab")).and_then(fs::read);
        let inittab = inittab.is_ok_and(|bytes| inittab::find(&bytes).is_some());
        // Without a line of ours, init starts the same file as before.
        if let Some(file) = scanner.filter(|_| !inittab).and_then(Scanner::started_again) {
            return Err(unable(&[&"init would start ", &file, &" again"]));
        }
        Ok(Starter::Other { inittab })
    }

    /// Returns whether the new svscan is started before the old one ends.
    pub fn comes_first(&self) -> bool {
        *self == Starter::Systemd
    }

    /// Does what is necessary before the old svscan ends.
    pub fn prepare(&self) -> anyhow::Result<()> {
        match self {
            Starter::Systemd | Starter::SameUnit => systemctl(&["daemon-reload"]),
            Starter::Other { inittab: true } => {
                // If this fails, another init runs, which does not read that file.
                let _ = run(&["telinit", "q"]);
                Ok(())
            }
            Starter::Other { inittab: false } => Ok(()),
        }
    }

    /// Does what is necessary to start the new svscan.
    pub fn start(&self) -> anyhow::Result<()> {
        match self {
            Starter::Systemd => systemctl(&["start", UNIT]),
            Starter::SameUnit | Starter::Other { .. } => Ok(()),
        }
    }
}

fn systemctl(words: &[&str]) -> anyhow::Result<()> {
    let words: Vec<&str> = ["systemctl"].into_iter().chain(words.iter().copied()).collect();
    let line = words.join(" ");
    match run(&words).with_context(|| text!("unable to run systemctl"))? {
        true => Ok(()),
        false => Err(refuse(&[&"unable to go on: ", &line.as_str(), &" failed"])),
    }
}

fn has_our_unit(tree: &Tree) -> bool {
    let text = tree.place(&Path::new(UNITS).join(UNIT)).and_then(fs::read_to_string);
    text.is_ok_and(|text| Marked::read(&text).is_some())
}

fn is_masked(tree: &Tree, unit: &str) -> bool {
    tree.link_target(&Path::new(UNITS).join(unit)).is_some_and(|target| target == Path::new(MASK))
}
