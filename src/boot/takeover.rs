//! `uphold boot takeover`: replaces a running daemontools by this suite, while the services run.
//!
//! The old svscan is ended, and the new one takes over the supervises as they are, with the log pipes. Then each service in turn is ended
//! with its old supervise, and started by a new one; what it writes meanwhile waits in its pipe. When it is called again, it goes on with
//! whatever is left to be done.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cli::{Call, text};
use machine::SECOND;
use svdir::{Command, Want, names};
use sys::clock::monotonic;
use sys::process::{self, Pid, Signal};
use sys::{adopted, fd};

use super::arguments::Arguments;
use super::commands::{self, start};
use super::foreign::{self, Scanner, Service};
use super::starter::Starter;
use super::voice::{PROGRAM, refuse, tell};
use crate::service::files;
use crate::service::holder::{self, Servers};
use crate::service::programs::Peers;

/// The time in which a process that was told to end has ended, and in which its successor has come, in nanoseconds.
const SHORT: u64 = 5 * SECOND;
/// The interval between two looks whether a successor has come, in nanoseconds.
const LOOK: u64 = SECOND / 50;

pub fn run(call: &Call, arguments: &Arguments) -> anyhow::Result<u8> {
    let dir = arguments.scan_dir();
    let services = foreign::services(&dir).with_context(|| text!("unable to read ", dir))?;
    let scanner = foreign::scanner(&dir, &services);
    if !serves(&dir)? {
        if services.is_empty() {
            return Err(refuse(&[&"unable to take over ", &dir, &": nothing runs there"]));
        }
        let starter = Starter::of(scanner.as_ref(), &arguments.tree, &dir)?;
        change_scanner(&dir, scanner, &starter, &Peers::of(call))?;
    }
    let mut left = 0;
    for service in &services {
        if let Err(why) = change_supervise(service, arguments.timeout) {
            left += 1;
            let why = reason(&why);
            PROGRAM.voice().warn(&text!(
                "unable to take over ",
                service.dir,
                ", left as it is: ",
                why.to_string().as_str()
            ));
        }
    }
    if left > 0 {
        tell(&[&"some services still have their old supervise; to go on, call this again"]);
    }
    Ok(if left == 0 { 0 } else { cli::TEMPORARY })
}

fn serves(dir: &Path) -> anyhow::Result<bool> {
    let servers = Servers::of(dir).with_context(|| text!("unable to find out who serves ", dir))?;
    Ok(!servers.scans.is_empty())
}

/// Ends the old svscan, and waits until the new one serves the directory.
fn change_scanner(dir: &Path, scanner: Option<Scanner>, starter: &Starter, peers: &Peers) -> anyhow::Result<()> {
    starter.prepare()?;
    if starter.comes_first() {
        // The new svscan leaves alone what the old one runs. So if it does not come, nothing has changed. The old svscanboot and readproctitle
        // stay for as long as somebody writes to them: if svscanboot ended, systemd would end everything in its unit.
        starter.start()?;
        wait_until_served(dir)?;
    }
    if let Some(scanner) = scanner {
        let reader = scanner.reader().filter(|_| !starter.comes_first());
        if let Some(reader) = reader {
            let unable =
                || text!("unable to put another readproctitle in the place of pid ", reader.to_string().as_str());
            read_in_place_of(reader, peers).with_context(unable)?;
        }
        end(scanner.pid)?;
        tell(&[&"ended the old svscan of ", &dir]);
        // The old svscanboot waits for readproctitle, and init for svscanboot.
        reader.map_or(Ok(()), end)?;
    }
    if !appears(|| serves(dir))? {
        start(peers, "svscanboot", &[dir.as_os_str()]).with_context(|| text!("unable to start svscanboot"))?;
        wait_until_served(dir)?;
        tell(&[&"started svscanboot on ", &dir, &", since nothing else did; the next boot may not"]);
    }
    tell(&[&"svscan runs in ", &dir]);
    Ok(())
}

/// Starts a new readproctitle that reads the same pipe as the old one: programs that write to it would die if nobody read it. It ends when the
/// last of them has ended.
fn read_in_place_of(old: Pid, peers: &Peers) -> io::Result<()> {
    let pipe = fd::open_read(Path::new(&format!("/proc/{old}/fd/0")))?;
    fd::set_blocking(pipe.as_fd())?;
    commands::read_title(peers, &pipe)
}

fn wait_until_served(dir: &Path) -> anyhow::Result<()> {
    if appears(|| serves(dir))? {
        return Ok(());
    }
    let unable = text!("unable to start svscan in ", dir, ", its services run on");
    Err(anyhow::Error::new(io::Error::from_raw_os_error(sys::ETIMEDOUT)).context(unable))
}

/// Waits for a short time until `is_so` is true. Returns whether it is.
fn appears(mut is_so: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<bool> {
    let deadline = monotonic().saturating_add(SHORT);
    while !is_so()? {
        if monotonic() >= deadline {
            return Ok(false);
        }
        sys::poll::rest_for(LOOK);
    }
    Ok(true)
}

fn end(pid: Pid) -> anyhow::Result<()> {
    let unable = || text!("unable to end pid ", pid.to_string().as_str());
    match process::kill(pid, Signal::SIGTERM) {
        Err(error) if error.raw_os_error() == Some(sys::ESRCH) => return Ok(()),
        done => done.with_context(unable)?,
    }
    if adopted::wait_for_end(pid, Some(SHORT)).with_context(unable)? {
        return Ok(());
    }
    Err(anyhow::Error::new(io::Error::from_raw_os_error(sys::ETIMEDOUT)).context(unable()))
}

/// Writes an error of [`change_supervise`] in one line.
fn reason(error: &anyhow::Error) -> String {
    match error.root_cause().downcast_ref::<io::Error>() {
        Some(reason) if error.chain().count() > 1 => format!("{error}: {}", cli::reason(reason)),
        Some(reason) => cli::reason(reason).into_owned(),
        None => error.to_string(),
    }
}

/// Ends a supervise of another suite with its service, and waits until a supervise of this suite has brought the
/// service to the same state.
fn change_supervise(service: &Service, timeout: u64) -> anyhow::Result<()> {
    let Service { dir, supervise, .. } = service;
    let status = foreign::status(dir).ok_or_else(|| text!("its status cannot be read"))?;
    let (is_up, want) = (status.pid.is_some(), status.want);
    if status.paused || is_up && want != Want::Up {
        return Err(text!("it is paused, or up and not wanted up").into());
    }
    // Without a file `down`, the next supervise would start a service that is down.
    let down = if is_up { None } else { Down::make(dir)? };
    let letters: &[u8] =
        if is_up { &[Command::Down.letter(), Command::Exit.letter()] } else { &[Command::Exit.letter()] };
    let control = fd::open_write(&files::of(dir, names::CONTROL)).context(text!("its FIFO cannot be opened"))?;
    fd::write_all(control.as_fd(), letters).context(text!("its FIFO cannot be written"))?;
    let deadline = monotonic().saturating_add(timeout);
    if !adopted::wait_for_end(*supervise, Some(timeout))? {
        return Err(text!("pid ", supervise.to_string().as_str(), " was told to end, but still runs").into());
    }
    let has_come = || {
        let new = holder::supervise_of(dir).filter(|new| new.pid != *supervise && foreign::is_ours(dir, new.pid));
        new.is_some() && foreign::status(dir).is_some_and(|status| status.pid.is_some() == is_up)
    };
    while !has_come() {
        if monotonic() >= deadline {
            return Err(text!("its new supervise has not started it").into());
        }
        sys::poll::rest_for(LOOK);
    }
    drop(down);
    tell(&[&"took over ", &dir]);
    Ok(())
}

/// A file `down` that exists until this is dropped.
struct Down(PathBuf);

impl Down {
    /// Makes the file; `None` if there is one already.
    fn make(dir: &Path) -> anyhow::Result<Option<Down>> {
        let path = dir.join(names::DOWN);
        match File::options().write(true).create_new(true).open(&path) {
            Ok(_) => Ok(Some(Down(path))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(error).context(text!("a file down cannot be made")),
        }
    }
}

impl Drop for Down {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
