//! What a service directory says that its service needs: the names in `dependencies.d/` and `wants.d/`, each of them that of an entry of the scan directory. For the
//! stop, which is all that svscan reads them for, both count alike.
//!
//! They are read by descriptor, and only where they lie in the file system of the service directory, or in one of this machine: a look at another one may never return.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use machine::scan::Id;
use svdir::names;
use sys::fd;
use sys::names::Names;

/// The directories with the names.
const DIRECTORIES: [&str; 2] = [names::DEPENDENCIES, names::WANTS];
/// How many names of each directory are read at most.
const MOST: usize = 1000;

/// What a service needs.
#[derive(Debug, Default)]
pub struct Needed {
    /// The names, which need not be those of anything.
    pub names: BTreeSet<OsString>,
    /// The directories that could not be read, or not to their end, and why.
    pub unread: Vec<(&'static str, io::Error)>,
}

/// Reads what the service directory `id` says, if `dir` leads to that. `is_local` is asked whether a link leads into a file system of this machine.
pub fn read(dir: &Path, id: Id, mut is_local: impl FnMut(&Path) -> bool) -> Needed {
    let mut needed = Needed::default();
    let directory = match open(dir, id) {
        Ok(Some(directory)) => directory,
        Ok(None) => return needed,
        Err(error) => {
            needed.unread.push((DIRECTORIES[0], error));
            return needed;
        }
    };
    for name in DIRECTORIES {
        let opened = open_in(directory.as_fd(), name, || is_local(&dir.join(name)));
        match opened.and_then(|opened| read_names(opened.as_fd(), &mut needed.names)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => needed.unread.push((name, error)),
            _ => {}
        }
    }
    needed
}

/// Opens a service directory, if it is there and is this one.
fn open(dir: &Path, id: Id) -> io::Result<Option<File>> {
    use io::ErrorKind::{NotADirectory, NotFound};
    let directory = match fd::open_anchor_at(fd::CURRENT_DIRECTORY, dir) {
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return Ok(None),
        opened => opened?,
    };
    let found = directory.metadata()?;
    Ok(((found.dev(), found.ino()) == (id.device, id.inode)).then_some(directory))
}

fn open_in(directory: BorrowedFd<'_>, name: &str, is_local: impl FnOnce() -> bool) -> io::Result<File> {
    match fd::open_directory_near(directory, Path::new(name)) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices && is_local() => {
            fd::open_directory_at(directory, Path::new(name))
        }
        opened => opened,
    }
}

fn read_names(directory: BorrowedFd<'_>, names: &mut BTreeSet<OsString>) -> io::Result<()> {
    let mut count = 0;
    Names::new().each_while(directory, |name| {
        let name = name.bytes();
        count += usize::from(!matches!(name, b"." | b".."));
        if count <= MOST && !name.starts_with(b".") {
            names.insert(OsStr::from_bytes(name).into());
        }
        count <= MOST
    })?;
    if count > MOST { Err(io::Error::other(format!("more than {MOST} names"))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn service(files: &[&str]) -> TempDir {
        let scratch = tempfile::tempdir().expect("a directory");
        for directory in DIRECTORIES.into_iter().filter(|name| files.iter().any(|file| file.starts_with(name))) {
            fs::create_dir(scratch.path().join(directory)).expect("a directory");
        }
        files.iter().for_each(|file| fs::write(scratch.path().join(file), "").expect("a file"));
        scratch
    }

    fn read_in(scratch: &TempDir, is_local: bool) -> (Vec<String>, Vec<String>) {
        let found = fs::metadata(scratch.path()).expect("it is there");
        let needed = read(scratch.path(), Id { device: found.dev(), inode: found.ino() }, |_| is_local);
        let names = needed.names.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        (names, needed.unread.iter().map(|(name, error)| format!("{name}: {}", cli::reason(error))).collect())
    }

    #[test]
    fn both_directories_count_and_hidden_names_do_not() {
        assert_eq!(read_in(&service(&[]), false), Default::default(), "most services have none");
        let files = ["dependencies.d/db", "dependencies.d/.hidden", "wants.d/cache", "wants.d/db"];
        assert_eq!(read_in(&service(&files), false), (vec!["cache".into(), "db".into()], Vec::new()));
    }

    #[test]
    fn what_is_no_directory_or_another_one_is_not_read() {
        let scratch = service(&["wants.d/db"]);
        fs::write(scratch.path().join("dependencies.d"), "db\n").expect("a file");
        assert_eq!(read_in(&scratch, false), (vec!["db".into()], vec!["dependencies.d: not a directory".into()]));
        let other = read(scratch.path(), Id { device: 0, inode: 0 }, |_| true);
        assert!(other.names.is_empty() && other.unread.is_empty());
        let scratch = service(&[]);
        symlink("nowhere", scratch.path().join("wants.d")).expect("a link");
        assert_eq!(read_in(&scratch, false), Default::default());
    }

    #[test]
    fn no_more_names_are_read_than_are_good() {
        let files: Vec<String> = (0..MOST).map(|number| format!("dependencies.d/{number}")).collect();
        let mut files: Vec<&str> = files.iter().map(String::as_str).collect();
        let (names, unread) = read_in(&service(&files), false);
        assert_eq!((names.len(), unread), (MOST, Vec::new()));
        files.extend(["dependencies.d/more", "wants.d/wanted"]);
        let (names, unread) = read_in(&service(&files), false);
        assert_eq!(unread, ["dependencies.d: more than 1000 names"]);
        assert!(names.contains(&"wanted".to_owned()) && names.len() == MOST + 1, "{}", names.len());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn another_file_system_is_entered_only_where_it_is_local() {
        let scratch = service(&[]);
        symlink("/proc/self/fdinfo", scratch.path().join("wants.d")).expect("a link");
        let (names, unread) = read_in(&scratch, false);
        assert_eq!((names.is_empty(), unread), (true, vec!["wants.d: cross-device link".into()]));
        let (names, unread) = read_in(&scratch, true);
        assert_eq!((names.is_empty(), unread), (false, Vec::new()));
    }
}
