//! Where the lines of a service go that has no logger.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use cli::{Text, text};
use sys::process::Pid;

use crate::service::facts::Facts;
use crate::service::holder::{self, Servers};
use crate::service::record;

/// The line about a service without a logger. `scan_dir` is the directory of the svscan that may serve it.
pub fn line(name: &str, dir: &Path, scan_dir: &Path) -> Text {
    let mut line = text!(name, " has no logger");
    let supervise = holder::supervise_of(dir).map(|holder| holder.pid);
    let service = supervise.and_then(|_| record::read(dir).ok().map(Facts::of)?.pid());
    let service = service.map(|pid| Pid::from_raw(pid.get().cast_signed()));
    let svscan = Servers::of(scan_dir).ok().and_then(|servers| servers.scans.first().map(|&(pid, _)| pid));
    match service.or(supervise).and_then(stdout) {
        Some(place) if is_pipe(&place) => match svscan.and_then(stdout) {
            // svscan --prefix copies the lines of its services.
            Some(own) if own != place || is_pipe(&own) => {
                line.add(&[&": its lines go to the stdout of svscan, which is ", &told(&own)]);
            }
            _ => line.add(&[&": its lines go to a pipe, as the stdout of svscan"]),
        },
        Some(place) => line.add(&[&": its lines go to ", &told(&place)]),
        None if supervise.is_none() => line.add(&[&", and no supervise runs it"]),
        None => line.add(&[&": its lines go to the stdout of svscan"]),
    }
    line
}

fn stdout(pid: Pid) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/fd/1")).ok()
}

fn is_pipe(place: &Path) -> bool {
    place.as_os_str().as_encoded_bytes().starts_with(b"pipe:")
}

fn told(place: &Path) -> OsString {
    let bytes = place.as_os_str().as_encoded_bytes();
    if is_pipe(place) {
        "a pipe".into()
    } else if bytes.starts_with(b"socket:") {
        "a socket".into()
    } else if bytes.starts_with(b"/dev/pts/") || bytes.starts_with(b"/dev/tty") || bytes == b"/dev/console" {
        OsString::from_iter([OsStr::new("the terminal "), place.as_os_str()])
    } else {
        place.into()
    }
}
