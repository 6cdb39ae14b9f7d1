//! What the services need, found out when the stop begins: what is needed is told later than those that need it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::rc::Rc;

use cli::text;
use machine::scan::{Id, Role};
use machine::stop::Needs;

use super::dependencies::Needed;
use super::proofs::Proofs;
use super::services::Services;
use super::subjects::subject;
use super::system::System;

/// What is known by now.
pub struct Asked {
    known: BTreeMap<Id, Needs>,
    /// The services whose directories a child looks at first, since that may last for ever.
    open: Vec<Id>,
}

impl Asked {
    /// Reads the directories of the services in `looked`, at which svscan may look now. The others of `ids` are left open.
    pub fn new<S: System>(system: &mut S, services: &mut Services<S>, ids: &[Id], looked: &BTreeSet<Id>) -> Asked {
        let (near, open) = ids.iter().copied().partition::<Vec<Id>, _>(|id| looked.contains(id));
        let mut asked = Asked { known: BTreeMap::new(), open };
        near.into_iter().for_each(|id| asked.read(system, services, id));
        asked
    }

    /// Reads the directories of the services that were left open, as far as svscan may look at them now. Returns whether it is no use to wait for more.
    pub fn is_answered<S: System>(&mut self, system: &mut S, services: &mut Services<S>, proofs: &mut Proofs) -> bool {
        for id in std::mem::take(&mut self.open) {
            if services.may_look(system, proofs, id) {
                self.read(system, services, id);
            } else if services.scan.name(id).is_some_and(|name| proofs.is_looked_at(&name)) {
                self.open.push(id);
            }
        }
        self.open.is_empty()
    }

    /// Returns what is known. A service that is not among it needs nothing, or nobody knows what.
    pub fn known(&self) -> &BTreeMap<Id, Needs> {
        &self.known
    }

    fn read<S: System>(&mut self, system: &mut S, services: &mut Services<S>, id: Id) {
        let Some(dir) = services.directory_of(system, id, Role::Main) else {
            return;
        };
        let Needed { names, unread } = system.needs(&dir, id);
        for (name, error) in unread {
            let path = dir.join(name);
            let subject = subject(b"needs", path.as_os_str());
            services.said.warning(subject, text!("unable to read ", path, ", going on without"), &error);
        }
        let needed: BTreeSet<Id> = names.iter().filter_map(|name| services.scan.named(name)).collect();
        if !needed.is_empty() {
            let is_down = system.record(&dir).is_some_and(|record| record.is_at_rest());
            let name = services.scan.name(id).unwrap_or_else(|| Rc::from(OsStr::new("")));
            self.known.insert(id, Needs { name, needed, is_down });
        }
    }
}
