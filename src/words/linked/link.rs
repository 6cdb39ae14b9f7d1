//! The link of a service in a scan directory.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::os::unix::fs::symlink;
use std::path::Path;

use cli::reason;
use sys::adopted::Adopted;
use sys::fd::CURRENT_DIRECTORY;
use sys::inode;
use sys::process::Pid;

use super::super::scan::Scan;
use crate::service::record;

/// Puts a link to `target` into a scan directory. It is there as a whole or not at all, and takes the place of nothing.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if anything has the name; others of the system.
pub fn put(scan_dir: &Path, name: &OsStr, target: &Path) -> io::Result<()> {
    symlink(target, scan_dir.join(name))
}

/// Another name in the scan directory for the service directory to which a path leads.
pub fn other_name<'a>(scan: &'a Scan, dir: &Path) -> Option<&'a OsString> {
    let own = inode::at(CURRENT_DIRECTORY, dir).ok()?;
    let is_it = |path: &Path| path != dir && inode::at(CURRENT_DIRECTORY, path).is_ok_and(|one| one == own);
    scan.names.iter().find(|name| is_it(&scan.dir.join(name)))
}

/// Removes a link that leads to `target`, and nothing else.
pub fn remove(link: &Path, target: &Path) -> Result<(), String> {
    match fs::read_link(link) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(now) if now == target => {
            fs::remove_file(link).map_err(|error| format!("unable to remove its link: {}", reason(&error)))
        }
        _ => Err("its link was replaced meanwhile, and stays".to_owned()),
    }
}

/// Returns whether a link that cannot be followed for this reason leads to no directory.
pub fn leads_nowhere(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(sys::ENOENT | sys::ENOTDIR | sys::ELOOP))
}

/// The process of the service of the current directory, if its supervise was killed and it lives on.
pub fn left_behind() -> Option<NonZeroU32> {
    let left = record::left_behind(record::read(Path::new(".")))?;
    let pid = left.decided.main?.pid;
    let born = record::birth(left.observed.main.born);
    let lives = Adopted::find(Pid::from_raw(pid.get().cast_signed()), born);
    lives.ok().flatten().map(|_| pid)
}
