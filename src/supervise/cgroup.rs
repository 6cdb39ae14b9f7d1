//! The cgroup of a service that has `cgroup/`: it carries the limits, and in it there is one for each life of the service, so that the end of an old copy is not
//! that of a new one.
//!
//! A service whose `kill-mode` is `tree` has one too, without limits, if that can be had: whatever a life has started stays in it, also when supervise is killed
//! meanwhile and cannot tell any more what descends from what.
//!
//! Each file in `cgroup/` has the name of a file of the kernel's, and what is to be written there. They are read at each start. If the cgroup cannot be had, or
//! the kernel refuses a limit, the service is not started: without its limits it might take the machine down.
//!
//! The cgroup of the service is made anew at a start if nothing lives there, so that no limit stays whose file was removed. It lies in the cgroup of supervise, or
//! beside that if `svscan --cgroup` has made it: the kernel passes no controllers on to cgroups that lie in one with processes.
//!
//! Nothing of this is held open. A successor finds the cgroup by the path that was noted in `supervise/`, and the life of a copy by its number in the record.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cli::{Text, Warnings, text};
use machine::Pid;
use machine::supervise::Machine;
use svdir::names;
use svdir::record::Observed;
use sys::cgroup::{Cgroup, Entrance};

use super::name::name;
use crate::service::cgroup as noted;

/// The controllers that are passed on if they can be, for what `svstat` shows and for the name of an end.
const COUNTED: [&[u8]; 2] = [b"memory", b"pids"];

/// The cgroup for a life of the service that begins.
pub struct Life {
    /// Its number among those of the service, from 1 on.
    pub number: u32,
    /// The way in, for the new process.
    pub entrance: Entrance,
}

/// Why there is no cgroup: the file that it is about, and the reason.
struct Refusal(OsString, io::Error);

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        Refusal(names::CGROUP.into(), error)
    }
}

/// Makes the cgroup of the service in the current directory, which messages call `dir`, sets its limits, and makes the cgroup for the life that begins. `alive`
/// are the lives of the copies that run; 0 counts for none.
///
/// # Errors
/// The reason why that cannot be had, after a warning.
#[inline(never)]
pub fn prepare(alive: [u32; 2], dir: &OsStr, said: &mut Warnings) -> Result<Life, Text> {
    match try_to_prepare(alive, dir, said) {
        Ok(life) => {
            said.retain(names::CGROUP.as_bytes(), |_| false);
            Ok(life)
        }
        Err(Refusal(file, error)) => {
            if alive == [0; 2] {
                leave();
            }
            let rest = |file: &OsStr| file.as_bytes().get(names::CGROUP.len()..).unwrap_or_default().to_vec();
            said.retain(names::CGROUP.as_bytes(), |other| other == rest(&file));
            let why = text!(file, ": ", cli::reason(&error).as_ref());
            let text = if file == names::CGROUP {
                text!("unable to make a cgroup for ", dir)
            } else {
                text!("unable to set ", dir, "/", file)
            };
            said.warning(file.as_bytes(), text, &error);
            Err(why)
        }
    }
}

fn try_to_prepare(alive: [u32; 2], dir: &OsStr, said: &mut Warnings) -> Result<Life, Refusal> {
    let limits = limits()?;
    let (parent, kept) = find(alive)?;
    for Limit { file, name, .. } in &limits {
        let controller = controller_of(name).map_or(Ok(()), |controller| enable(&parent, controller));
        controller.map_err(|error| Refusal(file.clone(), error))?;
    }
    for controller in COUNTED {
        let _ = enable(&parent, controller);
    }
    let cgroup = match kept {
        Some(kept) => kept,
        None => make(&parent, dir, said)?,
    };
    // Its lives count their memory, if they can. They have no limits of their own.
    let _ = cgroup.enable(b"memory");
    for Limit { file, name, value } in limits {
        let lines = value.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        lines.into_iter().try_for_each(|line| cgroup.write(&name, line)).map_err(|error| Refusal(file, error))?;
    }
    Ok(begin(&cgroup, alive)?)
}

/// Makes a cgroup without limits for the life that begins, as [`prepare`] does, for a service without `cgroup/`. `None` if there can be none: nobody has asked for it,
/// so nothing is said.
#[inline(never)]
pub fn prepare_bare(alive: [u32; 2], dir: &OsStr, said: &mut Warnings) -> Option<Life> {
    let made = find(alive).and_then(|(parent, kept)| {
        let cgroup = kept.map_or_else(|| make(&parent, dir, said), Ok)?;
        begin(&cgroup, alive)
    });
    made.inspect_err(|error| log::info!("{}: no cgroup: {error}", dir.display())).ok()
}

/// Makes a cgroup for the life that begins in that of the service.
fn begin(cgroup: &Cgroup, alive: [u32; 2]) -> io::Result<Life> {
    let numbers = cgroup.names()?.into_iter().filter_map(|name| number(&name));
    let number = numbers.chain(alive).max().unwrap_or(0).saturating_add(1);
    let entrance = cgroup.make(&life_name(number))?.entrance()?;
    Ok(Life { number, entrance })
}

/// Returns the cgroup in which that of the service lies, or is to lie; and that of the service, if it cannot be made anew. Removes the lives in which nothing
/// lives any more.
fn find(alive: [u32; 2]) -> io::Result<(Cgroup, Option<Cgroup>)> {
    if let Some((parent, old)) = recorded() {
        for name in old.names()?.iter().filter(|name| number(name).is_none_or(|number| !alive.contains(&number))) {
            // Whoever lives there keeps it.
            let _ = old.remove(name);
        }
        if alive != [0; 2] || remove(&parent, &old).is_err() {
            return Ok((parent, Some(old)));
        }
    }
    let own = Cgroup::own()?;
    let is_leaf = own.path().file_name() == Some(OsStr::new(noted::LEAF));
    Ok((if is_leaf { own.parent()? } else { own }, None))
}

/// Makes the cgroup of the service in `parent`, and notes its path.
fn make(parent: &Cgroup, dir: &OsStr, said: &mut Warnings) -> io::Result<Cgroup> {
    let name = noted::name(&name(dir))?;
    // One that was not noted may be there, with old limits.
    let _ = parent.remove(&name);
    let cgroup = parent.make(&name)?;
    let is_noted = noted::recorded().is_some_and(|noted| noted.path() == cgroup.path());
    match if is_noted { Ok(()) } else { noted::record(&cgroup) } {
        Ok(()) => said.over(names::CGROUP_PATH),
        Err(error) => {
            let shown = crate::service::files::shown(dir, names::CGROUP_PATH);
            said.warning(names::CGROUP_PATH, text!("unable to write ", shown.0.as_slice()), &error);
        }
    }
    Ok(cgroup)
}

/// The cgroup of the service that was noted, and the one in which it lies.
fn recorded() -> Option<(Cgroup, Cgroup)> {
    // Whoever owns a cgroup can kill what lives there.
    let old = noted::recorded().filter(|old| old.is_ours().unwrap_or(false))?;
    Some((old.parent().ok()?, old))
}

fn remove(parent: &Cgroup, cgroup: &Cgroup) -> io::Result<()> {
    cgroup.path().file_name().map_or(Ok(()), |name| parent.remove(name))
}

/// The controller to which this file of the kernel's belongs: what is before the first dot.
fn controller_of(name: &OsStr) -> Option<&[u8]> {
    let name = name.as_bytes();
    name.iter().position(|&byte| byte == b'.').map(|dot| &name[..dot])
}

/// Passes on a controller to the cgroups that lie in this one.
fn enable(parent: &Cgroup, controller: &[u8]) -> io::Result<()> {
    let is_in = |controllers: Vec<Vec<u8>>| controllers.iter().any(|known| known == controller);
    if is_in(parent.enabled()?) {
        return Ok(());
    }
    if !is_in(parent.controllers()?) {
        return Err(io::Error::other("there is no such controller here"));
    }
    parent.enable(controller).map_err(|error| match error.kind() {
        io::ErrorKind::ResourceBusy => io::Error::other("device busy, see svscan --cgroup"),
        _ => error,
    })
}

fn life_name(number: u32) -> OsString {
    number.to_string().into()
}

fn number(name: &OsStr) -> Option<u32> {
    name.to_str()?.parse().ok()
}

/// The lives in the cgroup of the service, but for these. None if there is no such cgroup, or this process has been started there itself, and would be taken for one
/// of the service.
#[inline(never)]
pub fn lives_but(spared: &[u32]) -> Vec<Cgroup> {
    let Some((_, cgroup)) = recorded() else {
        return Vec::new();
    };
    if Cgroup::own().is_ok_and(|own| own.path().starts_with(cgroup.path())) {
        return Vec::new();
    }
    let names = cgroup.names().unwrap_or_default();
    let others = names.iter().filter(|name| number(name).is_some_and(|number| !spared.contains(&number)));
    others.filter_map(|name| cgroup.below(name).ok()).collect()
}

/// Returns whether the service has a cgroup, by which all that is left behind can be found.
pub fn is_there() -> bool {
    recorded().is_some()
}

/// The life that ends with the process `pid` of a copy, before the machine is told that; `None` if it has no cgroup.
pub fn life_of(pid: Pid, machine: &Machine, told: &Observed) -> Option<u32> {
    let copies = [(machine.main(), told.main.life), (machine.second(), told.second.life)];
    let life =
        copies.into_iter().find_map(|(copy, life)| copy.filter(|copy| copy.pid == pid && copy.executed).map(|_| life));
    life.filter(|&life| life != 0)
}

/// Returns whether the kernel has killed a process of this life because memory ran out. Removes its cgroup, unless somebody lives there.
#[inline(never)]
pub fn ended(life: u32) -> bool {
    let Some((_, cgroup)) = recorded() else {
        return false;
    };
    let name = life_name(life);
    let killed = cgroup.below(&name).and_then(|life| life.killed_for_memory());
    let _ = cgroup.remove(&name);
    killed.is_ok_and(|killed| killed > 0)
}

/// Removes the cgroup of the service, unless somebody lives there.
#[inline(never)]
pub fn leave() {
    if let Some((parent, cgroup)) = recorded()
        && remove(&parent, &cgroup).is_ok()
    {
        noted::forget();
    }
}

/// A file in `cgroup/`.
struct Limit {
    /// Its path in the service directory.
    file: OsString,
    /// Its name.
    name: OsString,
    /// What is to be written.
    value: Vec<u8>,
}

/// Reads the files in `cgroup/`, sorted by name, without those whose names begin with a dot.
fn limits() -> Result<Vec<Limit>, Refusal> {
    let limit = |name: OsString| {
        let file = Path::new(names::CGROUP).join(&name).into_os_string();
        match noted::limit(&name) {
            Ok(value) => Ok(Limit { file, name, value }),
            Err(error) => Err(Refusal(file, error)),
        }
    };
    noted::limits()?.into_iter().map(limit).collect()
}
