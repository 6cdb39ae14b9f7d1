//! What has changed in a service directory since the process of the service was started, where that holds from the next start on only.
//!
//! The time of change (ctime) tells, of each file and of every link on the way to it: it is new when a file was written, renamed or linked anew, or replaced by one
//! that was given an old time of modification, as `mv`, `git checkout` and `rsync -t` do. It is new after a change of mode or owner too. A file that was removed is not seen.
//!
//! What supervise reads when it needs it, such as `timeout-kill` or `finish`, holds already, and is not named. Nor is `start`, which a restart does not run again.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use machine::SECOND;
use svdir::names;
use sys::process::Pid;
use sys::{clock, proc};
use tai::Label;

use crate::service::facts::Facts;

/// What is read at a start alone: a process of the service is as these were then.
const AT_START: [&str; 9] = [
    names::RUN,
    names::CONTROL_UP,
    names::NOTIFICATION_FD,
    names::SD_NOTIFY,
    names::WATCHDOG,
    names::FD_STORE,
    names::KILL_MODE,
    names::FLAG_TIMEOUT_KILLPG,
    names::FLAG_NEWPIDNS,
];

/// The directories of which that is true.
const DIRECTORIES: [&str; 2] = [names::SOCKETS, names::CGROUP];

/// How many links are followed, as by Linux.
const LINKS: usize = 40;
/// How many entries of a directory are looked at.
const ENTRIES: usize = 1000;

/// A moment, in nanoseconds since 1970.
type Moment = i128;

/// What has changed in the current directory since its service was started, of which these are the facts. Nothing for one that is not up.
pub fn since_start(facts: &Facts) -> Vec<&'static str> {
    let Some(pid) = facts.pid() else {
        return Vec::new();
    };
    let start = start(Pid::from_raw(pid.get().cast_signed()), facts.since());
    let is_newer = |path: &Path| latest(path).is_some_and(|changed| changed > start);
    let files = AT_START.into_iter().filter(|name| is_newer(Path::new(name)));
    let directories = DIRECTORIES.into_iter().filter(|&name| {
        let entries = fs::read_dir(name).into_iter().flatten().flatten().take(ENTRIES);
        is_newer(Path::new(name)) || entries.into_iter().any(|entry| is_newer(&entry.path()))
    });
    files.chain(directories).collect()
}

/// Says what has changed; `None` if that is nothing.
pub fn said(changed: &[&str]) -> Option<String> {
    let have = if changed.len() == 1 { "has" } else { "have" };
    (!changed.is_empty()).then(|| format!("{} {have} changed since it started", changed.join(", ")))
}

/// When a process was started whose supervise says that this was `since`. If the wall clock was set since, as it is after the boot of a machine whose clock does not run without
/// power, the kernel knows better: by that clock as it is now.
fn start(process: Pid, since: Label) -> Moment {
    let told = moment(since.unix_seconds(), i64::from(since.nanos));
    let Ok(stat) = proc::stat(process) else {
        return told;
    };
    let (seconds, nanos) = clock::wall();
    let age = clock::since_boot().saturating_sub(stat.start.saturating_mul(proc::TICK));
    let born = moment(seconds, i64::from(nanos)) - Moment::from(age);
    if born.abs_diff(told) < u128::from(SECOND) { told } else { born }
}

fn moment(seconds: i64, nanos: i64) -> Moment {
    Moment::from(seconds) * Moment::from(SECOND) + Moment::from(nanos)
}

fn changed(found: &Metadata) -> Moment {
    moment(found.ctime(), found.ctime_nsec())
}

/// When a file, or a link that leads to it, was changed last. `None` if there is neither. Nothing is opened.
fn latest(path: &Path) -> Option<Moment> {
    let mut left = pieces(path);
    let (mut at, mut latest, mut links) = (PathBuf::new(), None, 0);
    while let Some(piece) = left.pop() {
        let is_name = matches!(Path::new(&piece).components().next(), Some(Component::Normal(_)));
        at.push(piece);
        if !is_name {
            continue;
        }
        let Ok(found) = fs::symlink_metadata(&at) else {
            break;
        };
        if found.is_symlink() {
            latest = latest.max(Some(changed(&found)));
            links += 1;
            match fs::read_link(&at) {
                Ok(target) if links <= LINKS => left.extend(pieces(&target)),
                _ => break,
            }
            at.pop();
        } else if left.is_empty() {
            latest = latest.max(Some(changed(&found)));
        }
    }
    latest
}

/// The parts of a path, the last one first. The root is one.
fn pieces(path: &Path) -> Vec<OsString> {
    path.components().rev().map(|part| part.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_time_of_a_file_is_that_of_the_last_link_on_the_way() {
        let scratch = tempfile::tempdir().expect("a directory");
        let path = |name: &str| scratch.path().join(name);
        let own = |name: &str| changed(&fs::symlink_metadata(path(name)).expect("it is there"));
        fs::create_dir_all(path("releases/1")).expect("made");
        fs::write(path("releases/1/run"), "").expect("written");
        symlink("releases/1", path("current")).expect("a link");
        symlink("./releases/../current/run", path("run")).expect("a link");
        let expected = [own("releases/1/run"), own("current"), own("run")].into_iter().max();
        assert_eq!(latest(&path("run")), expected);
        assert_eq!(latest(&path("releases/1/run")), Some(own("releases/1/run")));
        symlink("missing", path("dangling")).expect("a link");
        assert_eq!(latest(&path("dangling")), Some(own("dangling")));
        symlink("circle", path("circle")).expect("a link");
        assert_eq!(latest(&path("circle")), Some(own("circle")));
        assert_eq!(latest(&path("nothing")), None);
    }

    #[test]
    fn what_has_changed_is_said() {
        assert_eq!(said(&[]), None);
        assert_eq!(said(&["run"]).as_deref(), Some("run has changed since it started"));
        assert_eq!(said(&["run", "sockets"]).as_deref(), Some("run, sockets have changed since it started"));
    }

    #[test]
    fn a_clock_that_was_set_since_does_not_matter() {
        let own = sys::process::own_pid();
        let told = crate::service::now();
        let near = |a: Moment, b: Moment| a.abs_diff(b) < 3600 * u128::from(SECOND);
        let as_told = moment(told.unix_seconds(), i64::from(told.nanos));
        // Unless this test takes longer than a second to begin, what was told is believed; after 1970 it is not.
        assert!(near(start(own, told), as_told));
        assert!(near(start(own, Label::from_unix(0, 0)), as_told));
    }
}
