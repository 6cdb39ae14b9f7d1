//! What `dependencies.d/` and `wants.d/` name: services that are not there, and cycles.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use machine::order;
use svdir::names;
use sys::fd;

use super::found::Found;
use crate::service::needs::{self, MOST, named};
use crate::words::{scan, shown};

/// The directories with names: those that are needed, and those that are only wanted.
const DIRECTORIES: [&str; 2] = [names::DEPENDENCIES, names::WANTS];

type Name = Vec<u8>;

/// The services of one scan directory, as far as they were looked at.
pub struct Order {
    scan: PathBuf,
    /// What each of them needs, and what it wants.
    named: BTreeMap<Name, [Vec<Name>; 2]>,
    /// They were followed to the end.
    followed: BTreeSet<Name>,
    /// They are in no cycle.
    free: BTreeSet<Name>,
    /// The cycles, each as its names in their order round.
    cycles: Vec<Vec<Name>>,
    /// Who names whom in them: each is told in one cycle.
    told: BTreeSet<(Name, Name)>,
}

impl Order {
    /// Of the scan directory `scan`.
    pub fn of(scan: &Path) -> Order {
        Order {
            scan: scan.to_owned(),
            named: BTreeMap::new(),
            followed: BTreeSet::new(),
            free: BTreeSet::new(),
            cycles: Vec::new(),
            told: BTreeSet::new(),
        }
    }

    /// Looks at what the service `own`, whose directory is `dir`, names. `all` are the names of the services in the scan directory.
    pub fn look(&mut self, own: &OsStr, dir: &Path, all: &[OsString], found: &mut Found) {
        let own = own.as_bytes();
        let mut all_named = [Vec::new(), Vec::new()];
        for (directory, all_named) in DIRECTORIES.into_iter().zip(&mut all_named) {
            let (names, more) = match named(fd::CURRENT_DIRECTORY, &dir.join(directory)) {
                Ok(named) => named,
                Err(error) => {
                    found.failed(directory, &error);
                    continue;
                }
            };
            if more {
                found.about(directory, &format!("there are more than {MOST} names"));
            }
            all_named.clone_from(&names);
            for name in names {
                let file = format!("{directory}/{}", shown::bytes(&name));
                if let Some(why) = needs::unfit(&name, own) {
                    found.about(&file, why);
                    continue;
                }
                let name = OsStr::from_bytes(&name);
                if self.scan.join(name).is_dir() {
                    continue;
                }
                let near = scan::nearest(name, all).into_iter().map(|near| shown::name(near)).collect::<Vec<_>>();
                let near = if near.is_empty() { String::new() } else { format!("; {}?", near.join(" or ")) };
                found.about(&file, &format!("no such service in {}{near}", shown::name(self.scan.as_os_str())));
            }
        }
        // It may not be in the scan directory yet.
        self.named.insert(own.to_vec(), all_named);
        self.follow(own.to_vec());
        self.cycles.retain(|cycle| {
            let Some(at) = cycle.iter().position(|name| name == own) else {
                return true;
            };
            let round = cycle.iter().cycle().skip(at + 1).take(cycle.len());
            let names: Vec<String> = round.map(|name| shown::bytes(name)).collect();
            found.wrong.push(format!("in a cycle: it waits for {}", names.join(", which waits for ")));
            false
        });
    }

    /// Finds the cycles in what can be reached from `first`, the last services on each way first, so that each is followed once.
    fn follow(&mut self, first: Name) {
        let mut open = vec![(first, false)];
        while let Some((name, is_last)) = open.pop() {
            if is_last {
                self.find(&name);
            } else if self.followed.insert(name.clone()) {
                let next: Vec<Name> = self.named_by(&name, true);
                open.push((name, true));
                open.extend(next.into_iter().map(|name| (name, false)));
            }
        }
    }

    /// Finds the cycles that begin with what this service names, as its supervise does: what is only wanted closes no cycle of one that is needed.
    fn find(&mut self, own: &Name) {
        let [needed, wanted] = self.named.get(own).cloned().unwrap_or_default();
        let all = needed.iter().map(|name| (name, false)).chain(wanted.iter().map(|name| (name, true)));
        let mut is_free = true;
        for (name, wants) in all.filter(|(name, _)| needs::unfit(name, own).is_none()) {
            if self.told.contains(&(own.clone(), name.clone())) {
                is_free = false;
                continue;
            }
            let Some(mut way) = self.back(own, name, true) else {
                continue;
            };
            is_free = false;
            if !wants {
                match self.back(own, name, false) {
                    Some(needs) => way = needs,
                    None => continue,
                }
            }
            let cycle: Vec<Name> = [own.clone()].into_iter().chain(way).collect();
            let next = cycle.iter().cycle().skip(1);
            self.told.extend(cycle.iter().cloned().zip(next.cloned()));
            self.cycles.push(cycle);
        }
        if is_free {
            self.free.insert(own.clone());
        }
    }

    /// The way back from `name` to `own`.
    fn back(&mut self, own: &Name, name: &Name, wants: bool) -> Option<Vec<Name>> {
        // Nothing that is in no cycle is on such a way.
        let next = |name: &Name| if self.free.contains(name) { Vec::new() } else { self.named_by(name, wants) };
        order::back(own, name, next, MOST)
    }

    /// What a service needs, and what it wants if `wants`, as far as that can be read.
    fn named_by(&mut self, name: &Name, wants: bool) -> Vec<Name> {
        let scan = &self.scan;
        let read = |directory| {
            let path = scan.join(OsStr::from_bytes(name)).join(directory);
            named(fd::CURRENT_DIRECTORY, &path).map(|(names, _)| names).unwrap_or_default()
        };
        let [needed, wanted] = self.named.entry(name.clone()).or_insert_with(|| DIRECTORIES.map(read));
        let wanted = if wants { wanted.as_slice() } else { &[] };
        needed.iter().chain(wanted).cloned().collect()
    }
}
