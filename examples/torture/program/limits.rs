//! The cgroup of a service, where there can be one: each of its lives is in it, and it has the limits that its directory says.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::OnceLock;

use sys::cgroup::Cgroup;

use super::line::Incarnation;
use super::report::Kind;
use super::service::tell;
use super::world::World;

/// The report of a service that is not in its cgroup, or has not its limits.
pub const UNLIMITED: &str = "outside of its cgroup, or without its limits";
/// The directory that asks for a cgroup, and holds the limits.
const CGROUP: &str = "cgroup";
/// A limit: the name of the kernel's file, and its contents. No service here comes near it.
const MEMORY: (&str, &str) = ("memory.max", "67108864");

/// Which limits there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limits {
    /// None, but a cgroup.
    None,
    /// That of memory.
    Memory,
}

/// What is possible below the cgroup of this process; `None` if there can be no cgroup.
pub fn possible() -> Option<Limits> {
    static POSSIBLE: OnceLock<Option<Limits>> = OnceLock::new();
    *POSSIBLE.get_or_init(|| {
        let name = format!("uphold-torture-{}", std::process::id());
        let name = OsStr::new(&name);
        let own = Cgroup::own().ok()?;
        // Where processes live here, it may be that none is passed on. That is no harm.
        let _ = own.enable(b"memory");
        let made = own.make(name).ok()?;
        let has_memory = made.write(OsStr::new(MEMORY.0), MEMORY.1.as_bytes()).is_ok();
        own.remove(name).ok()?;
        Some(if has_memory { Limits::Memory } else { Limits::None })
    })
}

/// What cannot be had, in one line.
pub fn missing() -> Option<&'static str> {
    match possible() {
        None => Some("torture: no cgroup can be made here, so no service has one\n"),
        Some(Limits::None) => Some("torture: no limit of memory can be had here, so no cgroup has one\n"),
        Some(Limits::Memory) => None,
    }
}

impl Limits {
    /// Writes them into a service directory.
    pub fn write(self, dir: &Path) -> io::Result<()> {
        fs::create_dir(dir.join(CGROUP))?;
        match self {
            Limits::None => Ok(()),
            Limits::Memory => fs::write(dir.join(CGROUP).join(MEMORY.0), format!("{}\n", MEMORY.1)),
        }
    }
}

/// Removes the cgroups that are left when all has ended. There should be none.
pub fn leave(world: &mut World) {
    let Ok(own) = Cgroup::own() else { return };
    let with: Vec<_> =
        world.units.iter().filter(|unit| unit.rules.limits.is_some()).map(|unit| unit.dir.clone()).collect();
    for (dir, here) in with.iter().filter_map(|dir| Some((dir, fs::metadata(dir).ok()?))) {
        let called = dir.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("uphold-{called}-{:x}.{:x}", here.dev(), here.ino());
        let Ok(left) = own.below(OsStr::new(&name)) else {
            continue;
        };
        for life in left.names().unwrap_or_default() {
            let _ = left.remove(&life);
        }
        let _ = own.remove(OsStr::new(&name));
        world.violate(Kind::LeftBehind, format!("the cgroup {name}"));
    }
}

/// Reports this process if it is a service with a cgroup, and is elsewhere or has not the limits.
pub fn look(name: &str, by: Incarnation) -> io::Result<()> {
    if Path::new(CGROUP).exists() && !has_limits(name).unwrap_or(false) {
        tell(name, by, UNLIMITED)?;
    }
    Ok(())
}

fn has_limits(name: &str) -> io::Result<bool> {
    let service = Cgroup::own()?.parent()?;
    let called = service.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let limit = CGROUP.to_owned() + "/" + MEMORY.0;
    let has_memory = match fs::read(limit) {
        Ok(limit) => service.read(MEMORY.0)?.trim_ascii() == limit.trim_ascii(),
        Err(_) => true,
    };
    Ok(called.starts_with(&format!("uphold-{name}-")) && has_memory)
}
