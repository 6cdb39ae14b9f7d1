//! A look at one service: what its supervise tells, and what its process uses.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use machine::SECOND;
use svdir::names;
use sys::process::Pid;
use sys::{clock, proc};

use crate::service::client::{self, Unreachable};
use crate::service::details::Details;
use crate::service::facts::Facts;
use crate::service::home::Home;
use crate::service::summary::{State, Summary};
use crate::service::{cgroup, tick, trouble};

use super::changed;
use super::scan::Meant;
use super::shown;

/// What was found out about a service.
pub struct Row {
    /// What it is called, as it is shown.
    pub name: String,
    /// What its supervise tells.
    pub summary: Summary,
    /// All that its supervise tells; `None` where nothing can be read.
    pub facts: Option<Facts>,
    /// The same for programs; `None` if it is broken.
    pub details: Option<Details>,
    /// What it uses; `None` where that is not known, and where it has no process.
    pub used: Option<Used>,
}

/// What a service uses.
#[derive(Clone, Copy)]
pub struct Used {
    process: Pid,
    /// When it was born, and the processor time that it has used, both in ticks.
    born: u64,
    ticks: u64,
    /// When that was found out, in nanoseconds since the boot.
    at: u64,
    /// The processor time, in thousandths of one processor.
    pub share: u64,
    /// The memory of the process, or of the whole cgroup of the service, in bytes.
    pub memory: u64,
    /// The processor time of the process, or of the whole cgroup of the service, in microseconds.
    pub processor: u64,
    /// How many processes its cgroup has; `None` if it has none.
    pub processes: Option<usize>,
}

/// Looks at a service. `served` says whether a svscan serves the scan directory, if that is known.
///
/// # Errors
/// If the way back from its directory fails.
pub fn look(home: &Home, meant: &Meant, served: Option<bool>) -> anyhow::Result<Row> {
    look_and(home, meant, || here(served, client::find))
}

/// Looks at a service as [`look`] does, in the way of `here`, which is called in its directory.
///
/// # Errors
/// If the way back from its directory fails.
pub fn look_and(home: &Home, meant: &Meant, here: impl FnOnce() -> Seen) -> anyhow::Result<Row> {
    let name = shown::name(&meant.name);
    let seen = home.visit(&meant.dir, here)?.unwrap_or_else(|error| Seen::broken(no_way(&meant.dir, &error)));
    let Seen { summary, facts, details, used } = seen;
    Ok(Row { name, summary, facts, details, used })
}

impl Row {
    /// What there is to say about its state, or what has changed where it is otherwise as wanted; empty if nothing.
    pub fn why(&self) -> Cow<'_, str> {
        let Summary { state, why, changed, .. } = &self.summary;
        let may_be_said = why.is_empty() && matches!(state, State::Up | State::Ready);
        match changed::said(changed).filter(|_| may_be_said) {
            Some(said) => Cow::Owned(said),
            None => Cow::Borrowed(why),
        }
    }
}

/// What was seen of a service in its directory.
pub struct Seen {
    summary: Summary,
    facts: Option<Facts>,
    details: Option<Details>,
    used: Option<Used>,
}

impl Seen {
    fn broken(why: String) -> Seen {
        Seen { summary: Summary::broken(why), facts: None, details: None, used: None }
    }
}

/// Why a directory cannot be entered.
pub fn no_way(dir: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound if std::fs::symlink_metadata(dir).is_ok() => DANGLING.to_owned(),
        io::ErrorKind::NotFound => "there is no such service".to_owned(),
        io::ErrorKind::NotADirectory => "it is not a directory".to_owned(),
        io::ErrorKind::PermissionDenied => NO_PERMISSION.to_owned(),
        _ => cli::reason(error).into_owned(),
    }
}

/// Reasons for which a service is broken, and where something helps.
pub const NO_PERMISSION: &str = "no permission to look";
pub const DANGLING: &str = "it is a link to a directory that does not exist";
pub const NOT_STARTED: &str = "svscan has started no supervise";
pub const NO_SUPERVISE: &str = "no supervise runs";
pub use crate::service::trouble::NOT_EXECUTABLE;

/// Looks at the service of the current directory, whose supervise is found by `find`.
pub fn here<T>(served: Option<bool>, find: impl FnOnce() -> Result<T, Unreachable>) -> Seen {
    if let Err(why) = find() {
        return Seen::broken(unsupervised(&why, served));
    }
    let facts = match client::read() {
        Ok(facts) => facts,
        Err(unreadable) => return Seen::broken(unreadable.text().to_string()),
    };
    let normally_up = std::fs::metadata(names::DOWN).is_err();
    let mut summary = facts.summary(normally_up, tick());
    // A supervise may have found that out, or not yet.
    if summary.state == State::Refused
        && let Some(wrong) = trouble::with_run()
    {
        return Seen { facts: Some(facts), ..Seen::broken(wrong) };
    }
    summary.changed = changed::since_start(&facts);
    let mut used = summary.pid.and_then(|pid| measure(Pid::from_raw(pid.get().cast_signed())));
    if let Some(used) = &mut used
        && facts.has_cgroup()
        && let Some(cgroup) = cgroup::recorded()
    {
        used.memory = cgroup.memory().unwrap_or(used.memory);
        used.processor = cgroup.processor_time().unwrap_or(used.processor);
        used.processes = cgroup.processes().ok().map(|processes| processes.len());
    }
    Seen { summary, facts: Some(facts), details: Some(facts.details(normally_up)), used }
}

/// Why a service cannot be told anything, and what would help.
pub fn unreachable(why: &Unreachable, served: Option<bool>) -> String {
    match why {
        Unreachable::System(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            "no permission: its supervise belongs to another user; ask as that user, or as root".to_owned()
        }
        why => unsupervised(why, served),
    }
}

/// Why no supervise can be asked.
pub fn unsupervised(why: &Unreachable, served: Option<bool>) -> String {
    match why {
        Unreachable::System(error) if error.kind() == io::ErrorKind::PermissionDenied => NO_PERMISSION.to_owned(),
        Unreachable::System(error) if error.kind() != io::ErrorKind::NotFound => why.reason().into_owned(),
        Unreachable::NotFifo | Unreachable::OfAnother(_) => why.reason().into_owned(),
        Unreachable::System(_) | Unreachable::NotRunning => trouble::with_run()
            .unwrap_or_else(|| if served == Some(true) { NOT_STARTED.to_owned() } else { NO_SUPERVISE.to_owned() }),
    }
}

/// Measures a process over its life.
fn measure(process: Pid) -> Option<Used> {
    let stat = proc::stat(process).ok().filter(proc::Stat::lives)?;
    let at = clock::since_boot();
    let life = at.saturating_sub(stat.start.saturating_mul(proc::TICK));
    let memory = stat.resident.saturating_mul(proc::page());
    let processor = stat.cpu.saturating_mul(proc::TICK / 1000);
    let share = share(stat.cpu, life);
    Some(Used { process, born: stat.start, ticks: stat.cpu, at, share, memory, processor, processes: None })
}

impl Used {
    /// Measures the processor time once more, since the first time. It stays what it is if the process has ended.
    pub fn again(&mut self) {
        if let Some(now) = measure(self.process).filter(|now| now.born == self.born) {
            self.share = share(now.ticks.saturating_sub(self.ticks), now.at.saturating_sub(self.at));
        }
    }
}

/// Ticks in so many nanoseconds, in thousandths of one processor.
fn share(ticks: u64, nanoseconds: u64) -> u64 {
    let used = u128::from(ticks) * u128::from(proc::TICK) * 1000;
    // Of less than a hundredth of a second a tick says nothing.
    u64::try_from(used / u128::from(nanoseconds.max(SECOND / 100))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_one_processor() {
        assert_eq!(share(100, SECOND), 1000);
        assert_eq!(share(3, 10 * SECOND), 3);
        assert_eq!(share(1, 0), 1000);
        assert_eq!(share(u64::MAX, 1), u64::MAX);
    }
}
