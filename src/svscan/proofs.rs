//! Whether svscan may look at a name: one that leads into another file system could lead into a dead one, where every look lasts for ever.
//!
//! So a child looks first. When it has come back svscan may look too, for a moment; while it has not, the name stays what it is.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use cli::{Warnings, text};
use machine::scan::{Id, Role};
use machine::{Pid, SECOND, Tick};

use super::said::subject;
use super::system::System;

/// So long a look that came back is believed.
const BELIEVED: u64 = SECOND;
/// After this a look that has not come back is said.
const PATIENCE: u64 = 5 * SECOND;

/// The looks of children.
#[derive(Default)]
pub struct Proofs {
    /// Those that have not come back, and since when.
    running: BTreeMap<Pid, (OsString, Tick)>,
    /// Those that have.
    proved: BTreeMap<OsString, Tick>,
    /// Starts that wait for one.
    starts: Vec<(Id, Role)>,
}

impl Proofs {
    /// Whether svscan may look at the name now. If not, a child does, and [`ended`](Proofs::ended) tells when it may.
    pub fn may_look(&mut self, system: &mut impl System, name: &OsStr, said: &mut Warnings) -> bool {
        if !system.leads_elsewhere(name) {
            return true;
        }
        let now = system.now();
        self.proved.retain(|_, proved| proved.after(BELIEVED) > now);
        if self.proved.contains_key(name) {
            return true;
        }
        if !self.is_looked_at(name) {
            match system.look_by_child(name) {
                Ok(pid) => drop(self.running.insert(pid, (name.to_os_string(), now))),
                Err(error) => said.warning(subject(b"proof", name), text!("unable to fork for ", name), &error),
            }
        }
        false
    }

    /// Whether a child looks at the name.
    pub fn is_looked_at(&self, name: &OsStr) -> bool {
        self.running.values().any(|(known, _)| known == name)
    }

    /// A process ended. If it looked at a name, returns that, and whether it has come back: then svscan may look too. One that was killed may have been killed because it had
    /// not.
    pub fn ended(&mut self, now: Tick, pid: Pid, came_back: bool, said: &mut Warnings) -> Option<(OsString, bool)> {
        let (name, _) = self.running.remove(&pid)?;
        if came_back {
            said.over(subject(b"proof", &name));
            self.proved.insert(name.clone(), now);
        }
        Some((name, came_back))
    }

    /// That start waits until svscan may look.
    pub fn postpone(&mut self, id: Id, role: Role) {
        if !self.starts.contains(&(id, role)) {
            self.starts.push((id, role));
        }
    }

    /// The starts that wait: each is made now, or postponed again.
    pub fn postponed(&mut self) -> Vec<(Id, Role)> {
        std::mem::take(&mut self.starts)
    }

    /// When a look that has not come back is to be said.
    pub fn deadline(&self, now: Tick) -> Option<Tick> {
        self.running.values().map(|(_, since)| since.after(PATIENCE)).filter(|&deadline| deadline > now).min()
    }

    /// Says which looks have not come back for long.
    pub fn say_late(&self, now: Tick, said: &mut Warnings) {
        for (name, _) in self.running.values().filter(|(_, since)| since.after(PATIENCE) <= now) {
            let error = std::io::ErrorKind::TimedOut.into();
            said.warning(subject(b"proof", name), text!("unable to stat ", name, ", going on without"), &error);
        }
    }
}
