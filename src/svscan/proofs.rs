//! Whether svscan may look at a name. A name that leads into another file system may lead into a dead one, where a look never returns.
//!
//! So a child looks first. When its look has returned, svscan may look too, for a second. Until then svscan goes on with what it knew about the name.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;

use cli::{Warnings, text};
use machine::scan::{Id, Role};
use machine::{Pid, SECOND, Tick};

use super::subjects::subject;
use super::system::{Spawned, System};

/// How long svscan may look itself after a child's look has returned, in nanoseconds.
const BELIEVED: u64 = SECOND;
/// The time in nanoseconds after which a look that has not returned gets a warning, and after which a look that failed is tried again.
const PATIENCE: u64 = machine::scan::PATIENCE;

/// The looks of children, and the starts that wait for them.
#[derive(Default)]
pub struct Proofs {
    /// The children whose look has not returned, each with its name and the time of its start.
    running: BTreeMap<Pid, (OsString, Tick)>,
    /// The names from which a child's look has returned, and when it did.
    proved: BTreeMap<OsString, Tick>,
    /// The names at which no child could look, and when that was found out.
    failed: BTreeMap<OsString, Tick>,
    /// Starts that wait for a look.
    starts: Vec<(Id, Role)>,
}

impl Proofs {
    /// Returns whether svscan may look at the name now. If not, starts a child that looks, unless one looks already or has failed in the last five
    /// seconds; [`ended`](Proofs::ended) tells when svscan may look.
    pub fn may_look(&mut self, system: &mut impl System, name: &OsStr, said: &mut Warnings) -> bool {
        if !system.leads_elsewhere(name) {
            return true;
        }
        let now = system.now();
        self.proved.retain(|_, proved| proved.after(BELIEVED) > now);
        if self.proved.contains_key(name) {
            return true;
        }
        self.failed.retain(|_, failed| failed.after(PATIENCE) > now);
        if self.is_looked_at(name) || self.failed.contains_key(name) {
            return false;
        }
        let (text, error) = match system.look_by_child(name) {
            Ok(Spawned { unable: None, pid, .. }) => {
                self.running.insert(pid, (name.to_os_string(), now));
                return false;
            }
            // Its end says nothing about the name.
            Ok(Spawned { unable: Some(unable), .. }) => unable,
            Err(error) => (text!("unable to fork for ", name), error),
        };
        said.warning(subject(b"proof", name), text, &error);
        self.failed.insert(name.to_os_string(), now);
        false
    }

    /// Returns whether a child looks at the name.
    pub fn is_looked_at(&self, name: &OsStr) -> bool {
        self.running.values().any(|(known, _)| known == name)
    }

    /// Takes note that a process has ended, with this exit code or by a signal. If it looked at a name, returns the name, and whether its look has
    /// returned. Then svscan may look too. The look of a child that was killed may never have returned; nor may one have begun that has another
    /// exit code than svok has, as from the dynamic loader.
    pub fn ended(&mut self, now: Tick, pid: Pid, code: Option<u8>, said: &mut Warnings) -> Option<(OsString, bool)> {
        let (name, _) = self.running.remove(&pid)?;
        let came_back = matches!(code, Some(0 | cli::USAGE | cli::TEMPORARY));
        if came_back {
            said.over(subject(b"proof", &name));
            self.proved.insert(name.clone(), now);
        } else {
            let text = text!("unable to stat ", &*name, ", trying again in 5 seconds");
            let why = code.map_or("svok was killed".to_owned(), |code| format!("svok exited {code}"));
            said.warning(subject(b"proof", &name), text, &io::Error::other(why));
            self.failed.insert(name.clone(), now);
        }
        Some((name, came_back))
    }

    /// Keeps a start until svscan may look.
    pub fn postpone(&mut self, id: Id, role: Role) {
        if !self.starts.contains(&(id, role)) {
            self.starts.push((id, role));
        }
    }

    /// Takes the starts that wait. The caller makes each of them now, or postpones it again.
    pub fn postponed(&mut self) -> Vec<(Id, Role)> {
        std::mem::take(&mut self.starts)
    }

    /// Returns the next time at which a look that has not returned gets a warning, or one that failed may be tried again.
    pub fn deadline(&self, now: Tick) -> Option<Tick> {
        let since = self.running.values().map(|(_, since)| since).chain(self.failed.values());
        since.map(|since| since.after(PATIENCE)).filter(|&deadline| deadline > now).min()
    }

    /// Warns about each look that has not returned for five seconds.
    pub fn say_late(&self, now: Tick, said: &mut Warnings) {
        for (name, _) in self.running.values().filter(|(_, since)| since.after(PATIENCE) <= now) {
            let error = io::ErrorKind::TimedOut.into();
            said.warning(subject(b"proof", name), text!("unable to stat ", name, ", going on without"), &error);
        }
    }
}
