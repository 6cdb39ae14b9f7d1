//! `svscanboot [dir]`: what init or rc starts at boot. Ends what an earlier run left behind, then runs
//! `svscan dir 2>&1 | readproctitle service errors: ...` with nothing in the environment but PATH.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::path::{Path, PathBuf};

use anyhow::Context;
use cli::{Call, Program, text};
use svdir::names;
use sys::exec::c_string;
use sys::process::{self, Change, Pid};
use sys::{environ, fd};

use super::peer::Peers;

const PROGRAM: Program = Program {
    name: "svscanboot",
    synopsis: "[dir]",
    usage: "svscanboot: usage: svscanboot [dir]",
    usage_exit: cli::USAGE,
    about: "Starts svscan at boot, with the errors of everything below it in the process title.",
    options: &[("dir", "the scan directory; else $SVSCAN_DIR, else /etc/service if there is one, else /service")],
};

/// Where programs are looked for, as the original sets it.
const PATH: &str = "/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin";
/// Debian's scan directory, and the one of daemontools as released.
const SCAN_DIRECTORIES: [&str; 2] = ["/etc/service", "/service"];
/// So many bytes of errors stay visible.
const TITLE: usize = 400;

/// The program.
pub fn main(call: Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &Call) -> anyhow::Result<u8> {
    let (dir, peers) = (scan_directory(call), Peers::of(call));
    // The messages of this program itself are lost from here on, as in the original: there is nobody to read them yet.
    let null =
        File::options().read(true).write(true).open("/dev/null").with_context(|| text!("unable to open /dev/null"))?;
    for standard in 0..=2 {
        fd::place(null.as_fd(), standard).with_context(|| text!("unable to set up descriptors"))?;
    }
    environ::set("PATH", OsStr::new(PATH));
    end_leftovers(&peers, &dir).with_context(|| text!("unable to fork"))?;

    let (reader, writer) = fd::pipe().with_context(|| text!("unable to create pipe"))?;
    let scan = spawn(&peers, "svscan", &[dir.as_os_str()], &[(writer.as_fd(), 1), (writer.as_fd(), 2)])
        .with_context(|| text!("unable to fork"))?;
    let dots = OsString::from(".".repeat(TITLE));
    let title: [&OsStr; 3] = ["service".as_ref(), "errors:".as_ref(), &dots];
    let title =
        spawn(&peers, "readproctitle", &title, &[(reader.as_fd(), 0)]).with_context(|| text!("unable to fork"))?;
    drop((reader, writer));
    let _ = process::wait(scan);
    Ok(exit_code(process::wait(title)))
}

fn scan_directory(call: &Call) -> PathBuf {
    if let Some(dir) = call.words().first() {
        return dir.into();
    }
    if let Some(dir) = std::env::var_os("SVSCAN_DIR").filter(|dir| !dir.is_empty()) {
        return dir.into();
    }
    let [debian, released] = SCAN_DIRECTORIES.map(PathBuf::from);
    if debian.is_dir() { debian } else { released }
}

/// `svc -dx DIR/* DIR/*/log`, as the shell expands it.
fn end_leftovers(peers: &Peers, dir: &Path) -> io::Result<()> {
    let mut services: Vec<PathBuf> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| !is_hidden(path))
        .collect();
    services.sort();
    let logs: Vec<PathBuf> =
        services.iter().map(|service| service.join(names::LOG)).filter(|log| log.exists()).collect();
    let mut words: Vec<&OsStr> = vec!["-dx".as_ref()];
    words.extend(services.iter().chain(&logs).map(|path| path.as_os_str()));
    let svc = spawn_with(peers, "svc", &words, &[], None)?;
    process::wait(svc).map(drop)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Starts a program of the suite with nothing in its environment but PATH.
fn spawn(peers: &Peers, name: &str, words: &[&OsStr], fds: &[(BorrowedFd<'_>, RawFd)]) -> io::Result<Pid> {
    let environment = [c_string(OsStr::new(&format!("PATH={PATH}")))];
    spawn_with(peers, name, words, fds, Some(&environment))
}

fn spawn_with(
    peers: &Peers,
    name: &str,
    words: &[&OsStr],
    fds: &[(BorrowedFd<'_>, RawFd)],
    environment: Option<&[CString]>,
) -> io::Result<Pid> {
    let program = peers.program(name, words);
    let mut exec = program.prepare(environment);
    let become_program =
        || fds.iter().try_for_each(|&(from, to)| fd::place(from, to)).map_or_else(drop, |()| drop(exec()));
    process::spawn(become_program, drop)
}

fn exit_code(end: io::Result<Change>) -> u8 {
    match end {
        Ok(Change::Exited(code)) => code,
        Ok(Change::Killed(signal)) => 128_u8.wrapping_add(signal as u8),
        Ok(Change::Stopped | Change::Continued) | Err(_) => cli::TEMPORARY,
    }
}
