//! The cgroup of a service: what it is called, and where supervise has noted its path.
//!
//! Its name ends with the numbers of the file system and of the service directory, so that services with one name in two scan directories have two of them,
//! and the copy of a service directory, with all its files, does not take the cgroup of the first for its own.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use svdir::names;
use sys::cgroup::Cgroup;
use sys::fd;

use super::files;

/// The cgroup to which `svscan --cgroup` moves: the services have theirs beside it.
pub const LEAF: &str = "uphold-svscan";

/// The first letters of the cgroups of services. No file of the kernel begins so.
const FIRST: &str = "uphold-";

/// The length of the longest path, with its newline, in bytes: that of the kernel.
const LONGEST_PATH: usize = 4096;

/// How much of the name of a service its cgroup has, in bytes.
const LONGEST_NAME: usize = 128;

/// The name of the cgroup of the service `name`, whose directory is the current one.
///
/// # Errors
/// If the directory cannot be looked at.
pub fn name(name: &[u8]) -> io::Result<OsString> {
    let letter = |&byte: &u8| if byte.is_ascii_alphanumeric() || b"-_.@+".contains(&byte) { byte } else { b'_' };
    let name: Vec<u8> = name.iter().take(LONGEST_NAME).map(letter).collect();
    Ok(OsString::from_vec([FIRST.as_bytes(), &name, suffix()?.as_bytes()].concat()))
}

fn suffix() -> io::Result<String> {
    let here = std::fs::metadata(".")?;
    Ok(format!("-{:x}.{:x}", here.dev(), here.ino()))
}

/// Notes the path of the cgroup of the service, for [`recorded`].
///
/// # Errors
/// The error of the system; then what was noted before is still there.
pub fn record(cgroup: &Cgroup) -> io::Result<()> {
    let [new, path] = [names::CGROUP_PATH_NEW, names::CGROUP_PATH].map(files::here);
    let line = [cgroup.path().as_os_str().as_bytes(), b"\n"].concat();
    let file = fd::open_own_truncate(&*new)?;
    fd::write_all(file.as_fd(), &line)?;
    fd::rename(&*new, &*path)
}

/// Notes that the service has no cgroup any more.
pub fn forget() {
    let _ = std::fs::remove_file(files::here(names::CGROUP_PATH));
}

/// The cgroup that was noted for the service whose directory is the current one. `None` if none was, or it is gone, or it is that of another directory.
pub fn recorded() -> Option<Cgroup> {
    let mut bytes = vec![0; LONGEST_PATH];
    let file = fd::open_no_link(&*files::here(names::CGROUP_PATH)).ok()?;
    let length = fd::read(file.as_fd(), &mut bytes).ok()?;
    let path = PathBuf::from(OsStr::from_bytes(bytes.get(..length)?.strip_suffix(b"\n")?));
    let name = path.file_name()?.as_bytes();
    let is_ours = name.starts_with(FIRST.as_bytes()) && name.ends_with(suffix().ok()?.as_bytes());
    if is_ours { Cgroup::open(&path).ok() } else { None }
}
