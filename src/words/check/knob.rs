//! Knobs that cannot be used, and files that look like one by another name.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use svdir::names;

use super::found::Found;
use super::program;
use crate::service::{cgroup, knobs};
use crate::words::{scan, shown};

/// Looks at the knobs of the current directory. `limit` is that of supervise on open files.
pub fn look(limit: u64, found: &mut Found) {
    let is_odd = |file: Metadata| !file.is_file() && !file.is_dir();
    let odd: Vec<&str> =
        names::FILES.into_iter().filter(|name| !is_program(name) && fs::metadata(name).is_ok_and(is_odd)).collect();
    for name in &odd {
        found.about(name, "it is not a regular file");
    }
    // To read one that is a FIFO would take from somebody what is in it.
    if odd.is_empty() {
        for wrong in knobs::wrong(limit) {
            if wrong.is_hidden {
                found.unseen.push(wrong.name.to_owned());
                continue;
            }
            let is_carriage = |text: Vec<u8>| text.strip_suffix(b"\n").unwrap_or(&text).ends_with(b"\r");
            let carriage = program::head(Path::new(wrong.name)).is_ok_and(is_carriage);
            let carriage = if carriage { ", with a carriage return at its end" } else { "" };
            found.wrong.push(wrong.shown() + carriage);
        }
    }
    limits(found);
    misspelt(found);
}

fn is_program(name: &str) -> bool {
    [names::RUN, names::CHECK, names::START, names::NOTIFY_SCRIPT, names::STOP, names::FINISH, names::HEALTH]
        .contains(&name)
}

/// Looks at the files in `cgroup/`.
fn limits(found: &mut Found) {
    if fs::symlink_metadata(names::CGROUP).is_err() {
        return;
    }
    let names = match cgroup::limits() {
        Ok(names) => names,
        Err(error) => return found.failed(names::CGROUP, &error),
    };
    for name in names {
        let file = format!("{}/{}", names::CGROUP, shown::name(&name));
        if is_odd_in(names::CGROUP, &name) {
            found.about(&file, "it is not a regular file");
        } else if let Err(error) = cgroup::limit(&name) {
            found.failed(&file, &error);
        }
    }
}

/// Returns whether a file in a directory is one that must not be opened to be looked at.
pub fn is_odd_in(directory: &str, name: &OsStr) -> bool {
    fs::metadata(Path::new(directory).join(name)).is_ok_and(|file| !file.is_file() && !file.is_dir())
}

/// Looks for names that are like one that is known.
fn misspelt(found: &mut Found) {
    let Ok(entries) = fs::read_dir(".") else {
        found.unseen.push(".".to_owned());
        return;
    };
    let mut like = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Ok(file) = fs::metadata(entry.path()) else {
            continue;
        };
        let is_program = file.is_file() && file.permissions().mode() & 0o111 != 0;
        let known = if file.is_dir() { &names::DIRECTORIES[..] } else { &names::FILES };
        if let Some(meant) = (file.is_dir() || file.is_file() && !is_program).then(|| meant(&name, known)).flatten() {
            like.push(format!("{}: not known; {meant}?", shown::name(&name)));
        }
    }
    like.sort_unstable();
    found.wrong.append(&mut like);
}

/// The known name that somebody may have meant by one that is not.
fn meant(name: &OsStr, known: &[&'static str]) -> Option<&'static str> {
    let all = || names::FILES.iter().chain(&names::DIRECTORIES);
    let name = name.as_bytes();
    if name.starts_with(b".") || all().any(|known| name == known.as_bytes()) {
        return None;
    }
    // What is kept beside the file in use, such as run~ or run.old.
    let is_kept = |known: &&str| {
        let rest = name.strip_prefix(known.as_bytes());
        rest.and_then(<[u8]>::first).is_some_and(|&byte| !byte.is_ascii_alphanumeric() && !b"-_".contains(&byte))
    };
    if all().any(is_kept) {
        return None;
    }
    let plain: Vec<u8> = name.iter().map(|&byte| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }).collect();
    let near = known.iter().filter_map(|known| {
        let bytes = known.as_bytes();
        if bytes.strip_suffix(b".d") == Some(&plain) {
            return Some((0, *known));
        }
        // Short names are like each other by chance.
        let most = if bytes.len() < 4 { 0 } else { (bytes.len() / 4).max(1) };
        let distance = scan::distance(&plain, bytes);
        (distance <= most).then_some((distance, *known))
    });
    near.min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_like_a_known_one_means_that() {
        let file = |name: &str| meant(OsStr::new(name), &names::FILES);
        for (name, known) in [
            ("timeout_kill", "timeout-kill"),
            ("final-exit", "final-exits"),
            ("Down", "down"),
            ("dwon", "down"),
            ("max-restart", "max-restarts"),
            ("notifcation-fd", "notification-fd"),
            ("RUN", "run"),
        ] {
            assert_eq!(file(name), Some(known), "{name}");
        }
        for name in [
            "run",
            "run~",
            "run.old",
            "finish.disabled",
            "down,old",
            ".down",
            "env",
            "data",
            "conf",
            "server.pl",
            "lock",
        ] {
            assert_eq!(file(name), None, "{name}");
        }
        let directory = |name: &str| meant(OsStr::new(name), &names::DIRECTORIES);
        for (name, known) in [
            ("dependency.d", "dependencies.d"),
            ("dependencies", "dependencies.d"),
            ("wants", "wants.d"),
            ("socket", "sockets"),
            ("Log", "log"),
        ] {
            assert_eq!(directory(name), Some(known), "{name}");
        }
        for name in ["logs", "main", "env", "event", "data", "supervise", "log.old"] {
            assert_eq!(directory(name), None, "{name}");
        }
    }
}
