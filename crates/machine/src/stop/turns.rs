//! Whose turn it is in the orderly stop: a service is told to end when none of those that need it is there any more.
//!
//! A service is over when it has ended and all that need it are over. So what is down itself holds nobody up, and still stands between the two that it connects: if
//! `web` needs a job that is done, and the job needs `db`, then `db` is told behind `web`.
//!
//! Cycles are broken by the names of the services ([`crate::order`]).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::rc::Rc;

use crate::order::waves;
use crate::scan::Id;

/// What a service needs, as its directory says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Its name in the scan directory; empty if it has none any more, so that nobody can need it.
    pub name: Rc<OsStr>,
    /// The services that it needs. Those that have no part in the stop are nothing, and so is the service itself.
    pub needed: BTreeSet<Id>,
    /// Whether it is down and is not started again by itself: it counts as ended.
    pub is_down: bool,
}

/// A service that needs another one, or is needed.
#[derive(Debug, Default)]
struct Node {
    /// The services that it needs, until it is over.
    needed: Vec<Id>,
    /// How many services that need it are not over.
    needers: usize,
    has_ended: bool,
}

/// The services that need each other. It is always the turn of the others.
#[derive(Debug, Default)]
pub struct Turns(BTreeMap<Id, Node>);

impl Turns {
    /// Begins with these services, each with whether it has ended, and with what is known of their needs.
    pub fn new(services: &BTreeMap<Id, bool>, needs: &BTreeMap<Id, Needs>) -> Turns {
        let mut turns = Turns::default();
        for (service, needed) in edges(services, needs) {
            turns.0.entry(needed).or_default().needers += 1;
            turns.0.entry(service).or_default().needed.push(needed);
        }
        let has_ended = |id: &Id| services.get(id) == Some(&true) || needs.get(id).is_some_and(|needs| needs.is_down);
        let ended: Vec<Id> = turns.0.keys().copied().filter(has_ended).collect();
        for id in ended {
            turns.ended(id);
        }
        turns
    }

    /// Returns whether a service may be told to end.
    pub fn has_come(&self, id: Id) -> bool {
        self.0.get(&id).is_none_or(|node| node.needers == 0)
    }

    /// Takes note that a service has ended. Returns those whose turn has come with that.
    pub fn ended(&mut self, id: Id) -> Vec<Id> {
        if let Some(node) = self.0.get_mut(&id) {
            node.has_ended = true;
        }
        let (mut come, mut open) = (Vec::new(), vec![id]);
        while let Some(id) = open.pop() {
            let over = self.0.get_mut(&id).filter(|node| node.has_ended && node.needers == 0);
            for needed in over.map(|node| std::mem::take(&mut node.needed)).into_iter().flatten() {
                let Some(node) = self.0.get_mut(&needed) else {
                    continue;
                };
                node.needers = node.needers.saturating_sub(1);
                if node.needers == 0 {
                    come.push(needed);
                    open.push(needed);
                }
            }
        }
        come.sort_unstable();
        come
    }
}

/// Returns who needs whom, without cycles.
fn edges(services: &BTreeMap<Id, bool>, needs: &BTreeMap<Id, Needs>) -> Vec<(Id, Id)> {
    let ids = by_name(services, needs);
    let places: BTreeMap<Id, usize> = ids.iter().copied().zip(0..).collect();
    let needed_by = |id: &Id| {
        let needed = needs.get(id).into_iter().flat_map(|needs| &needs.needed);
        needed.filter(|&needed| needed != id).filter_map(|needed| places.get(needed).copied()).collect()
    };
    let graph: BTreeMap<usize, BTreeSet<usize>> = places.iter().map(|(id, &place)| (place, needed_by(id))).collect();
    let numbered = (0_usize..).zip(waves(&graph));
    let wave_of: BTreeMap<Id, usize> = numbered
        .flat_map(|(number, wave)| wave.into_iter().map(move |place| (place, number)))
        .filter_map(|(place, number)| Some((*ids.get(place)?, number)))
        .collect();
    // Whatever leads from one wave to a later one is in no cycle.
    let is_edge = |&(service, needed): &(Id, Id)| {
        wave_of.get(&service).zip(wave_of.get(&needed)).is_some_and(|(service, needed)| service < needed)
    };
    let all = needs.iter().flat_map(|(&id, needs)| needs.needed.iter().map(move |&needed| (id, needed)));
    all.filter(is_edge).collect()
}

/// Returns the services that need another one, or are needed, in the order of their names.
fn by_name(services: &BTreeMap<Id, bool>, needs: &BTreeMap<Id, Needs>) -> Vec<Id> {
    let known = || needs.iter().filter(|&(id, needs)| services.contains_key(id) && !needs.needed.is_empty());
    let mut names: BTreeMap<Id, &OsStr> = known().map(|(&id, needs)| (id, &*needs.name)).collect();
    for &needed in known().flat_map(|(_, needs)| &needs.needed).filter(|&id| services.contains_key(id)) {
        // What needs nothing is in no cycle, so its name does not matter.
        names.entry(needed).or_default();
    }
    let sorted: BTreeSet<(&OsStr, Id)> = names.into_iter().map(|(id, name)| (name, id)).collect();
    sorted.into_iter().map(|(_, id)| id).collect()
}
