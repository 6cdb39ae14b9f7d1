//! In which order services are told: what a service needs comes before it when it starts, and what needs it when it stops.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cli::reason;
use svdir::names;
use sys::fd;

use crate::service::needs;

use super::super::scan::{Meant, Scan};
use super::super::shown;

/// A service that is to be told.
pub struct Job {
    /// What it is called, as it is shown.
    pub name: String,
    /// Its service directory.
    pub dir: PathBuf,
    /// The places of those that it needs, or that need it: they come before it.
    pub first: Vec<usize>,
    /// It is told because of this one; `None` if it was named.
    pub because_of: Option<String>,
}

/// The services that were named alone.
pub fn alone(meant: &[Meant]) -> Vec<Job> {
    let job = |meant: &Meant| Job {
        name: shown::name(&meant.name),
        dir: meant.dir.clone(),
        first: Vec::new(),
        because_of: None,
    };
    let mut seen = BTreeSet::new();
    meant.iter().filter(|meant| seen.insert(&meant.dir)).map(job).collect()
}

/// The services that were named, and before each those that `first` tells of it, and those that it tells of these: each once. A cycle ends where it comes back.
pub fn with(meant: &[Meant], first: impl FnMut(&Meant) -> Vec<Meant>) -> Vec<Job> {
    let named = meant.iter().map(|meant| meant.dir.as_path()).collect();
    let mut walk = Walk { named, first, places: BTreeMap::new(), jobs: Vec::new() };
    for meant in meant {
        walk.visit(meant, None);
    }
    walk.jobs
}

struct Walk<'a, F> {
    named: BTreeSet<&'a Path>,
    first: F,
    /// The place of each that was visited; `None` for one whose visit is not over.
    places: BTreeMap<PathBuf, Option<usize>>,
    jobs: Vec<Job>,
}

impl<F> Walk<'_, F>
where
    F: FnMut(&Meant) -> Vec<Meant>,
{
    fn visit(&mut self, meant: &Meant, because_of: Option<&Meant>) -> Option<usize> {
        if let Some(place) = self.places.get(&meant.dir) {
            return *place;
        }
        self.places.insert(meant.dir.clone(), None);
        let others = (self.first)(meant);
        let first = others.iter().filter_map(|other| self.visit(other, Some(meant))).collect();
        let because_of = because_of.filter(|_| !self.named.contains(meant.dir.as_path()));
        let place = self.jobs.len();
        self.jobs.push(Job {
            name: shown::name(&meant.name),
            dir: meant.dir.clone(),
            first,
            because_of: because_of.map(|meant| shown::name(&meant.name)),
        });
        self.places.insert(meant.dir.clone(), Some(place));
        Some(place)
    }
}

/// What a service needs: the entries of its scan directory that its `dependencies.d` names.
///
/// # Errors
/// A text for the user, if that cannot be read.
pub fn needed(scan: &Scan, meant: &Meant) -> Result<Vec<Meant>, String> {
    if meant.dir.file_name() == Some(OsStr::new(names::LOG)) {
        // supervise knows nobody whom a logger could need.
        return Ok(Vec::new());
    }
    let above = match (meant.dir.file_name(), meant.dir.parent()) {
        (Some(_), Some(above)) => above.to_path_buf(),
        // It ends with a dot, or two.
        _ => meant.dir.join(".."),
    };
    let other = |name: OsString| {
        let dir = above.join(&name);
        Meant { name: if above == scan.dir { name } else { dir.clone().into_os_string() }, dir }
    };
    Ok(named_by(&meant.dir)?.into_iter().map(other).collect())
}

/// The names in `dependencies.d` of a service directory.
fn named_by(dir: &Path) -> Result<Vec<OsString>, String> {
    let names = needs::named(fd::CURRENT_DIRECTORY, &dir.join(names::DEPENDENCIES));
    let (names, _) = names.map_err(|error| format!("unable to read {}: {}", names::DEPENDENCIES, reason(&error)))?;
    Ok(names.iter().map(|name| OsStr::from_bytes(name).to_owned()).collect())
}

/// Who needs whom in a scan directory, as far as that can be read.
pub struct Dependents(BTreeMap<PathBuf, Vec<Meant>>);

impl Dependents {
    /// Reads what each service of the scan directory needs.
    pub fn of(scan: &Scan) -> Dependents {
        let mut all: BTreeMap<PathBuf, Vec<Meant>> = BTreeMap::new();
        for meant in scan.all(false) {
            for name in named_by(&meant.dir).unwrap_or_default() {
                all.entry(scan.dir.join(name)).or_default().push(meant.clone());
            }
        }
        Dependents(all)
    }

    /// The services that need this one.
    pub fn of_one(&self, meant: &Meant) -> Vec<Meant> {
        self.0.get(&meant.dir).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(name: &str) -> Meant {
        Meant { name: name.into(), dir: Path::new("s").join(name) }
    }

    /// Each letter of the second word comes before the first.
    fn order(named: &[&str], needs: &[(&str, &str)]) -> Vec<(String, Vec<usize>, Option<String>)> {
        let named: Vec<Meant> = named.iter().map(|name| meant(name)).collect();
        let first = |of: &Meant| {
            let needed = needs.iter().filter(|(name, _)| of.name == *name).flat_map(|(_, needed)| needed.chars());
            needed.map(|name| meant(&name.to_string())).collect()
        };
        with(&named, first).into_iter().map(|job| (job.name, job.first, job.because_of)).collect()
    }

    #[test]
    fn what_comes_first_is_told_once_and_a_cycle_ends() {
        let job = |name: &str, first: &[usize], of: Option<&str>| (name.to_owned(), first.to_vec(), of.map(Into::into));
        let diamond = [("a", "bc"), ("b", "d"), ("c", "d")];
        let expected =
            [job("d", &[], Some("b")), job("b", &[0], Some("a")), job("c", &[0], Some("a")), job("a", &[1, 2], None)];
        assert_eq!(order(&["a"], &diamond), expected);
        let expected =
            [job("d", &[], None), job("b", &[0], Some("a")), job("c", &[0], Some("a")), job("a", &[1, 2], None)];
        assert_eq!(order(&["a", "d", "a"], &diamond), expected);
        let cycle = [("a", "b"), ("b", "a"), ("c", "c")];
        assert_eq!(order(&["a"], &cycle), [job("b", &[], Some("a")), job("a", &[0], None)]);
        assert_eq!(order(&["c"], &cycle), [job("c", &[], None)]);
    }
}
