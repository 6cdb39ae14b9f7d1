//! The cgroup of a service: what it is called, where supervise has noted its path, and which limits its directory asks for.
//!
//! Its name ends with the numbers of the file system and of the service directory, so that services with one name in two scan directories have two of them,
//! and the copy of a service directory, with all its files, does not take the cgroup of the first for its own.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use svdir::names;
use sys::cgroup::Cgroup;
use sys::fd;

use super::files;

/// The cgroup to which `svscan --cgroup` moves: the services have theirs beside it.
pub const LEAF: &str = "uphold-svscan";

/// The first letters of the cgroups of services. No file of the kernel begins so.
const FIRST: &str = "uphold-";

/// How many files `cgroup/` may have. The kernel has less than a hundred.
const MOST: usize = 1_000;

/// How long a file may be, in bytes: the kernel reads no more at once.
const LONGEST: usize = 4_096;

/// The names of the kernel's files that are not limits begin so: they would move, kill or freeze processes.
const NO_LIMIT: &[u8] = b"cgroup.";

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

/// Lists the files in `cgroup/` of the current directory, sorted by name, without those whose names begin with a dot.
///
/// # Errors
/// If it cannot be read, or there are too many.
pub fn limits() -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(names::CGROUP)? {
        let name = entry?.file_name();
        if name.as_bytes().starts_with(b".") {
            continue;
        }
        if names.len() == MOST {
            return Err(io::Error::other("it has more than 1000 files"));
        }
        names.push(name);
    }
    names.sort();
    Ok(names)
}

/// Reads what is to be written to the file `name` of the kernel.
///
/// # Errors
/// Those of the system, or a text: why it sets no limit.
pub fn limit(name: &OsStr) -> io::Result<Vec<u8>> {
    if name.as_bytes().starts_with(NO_LIMIT) {
        return Err(io::Error::other("it is no limit"));
    }
    let file = fd::open_read(&*Path::new(names::CGROUP).join(name))?;
    let mut value = vec![0; LONGEST + 1];
    let length = fd::read(file.as_fd(), &mut value)?;
    if length > LONGEST {
        return Err(io::Error::other("it is too long"));
    }
    value.truncate(value[..length].trim_ascii_end().len());
    if value.is_empty() {
        return Err(io::Error::other("it is empty"));
    }
    // The kernel takes a value up to its first NUL for the whole of it, and would set another limit than the file says.
    if value.contains(&0) { Err(io::Error::other("it has a NUL byte")) } else { Ok(value) }
}
