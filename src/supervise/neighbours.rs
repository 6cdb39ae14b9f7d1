//! The other services of the scan directory, as far as the start of this one may wait for them.
//!
//! The scan directory is the one from which supervise was started: `.` for `supervise web`. It is held open, so it may be renamed, and this service may be linked from
//! elsewhere. What stands there is found relative to that descriptor, and is only read: nobody is told that somebody waits.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use machine::supervise::gate::Found;
use machine::wait::{self, Before, Verdict, Wanted};
use svdir::knob::{self, Unit};
use svdir::{Run, Status, Want, names};
use sys::fd;
use sys::inode::{self, Identity};
use sys::watch::Told;

use super::name::name;
use crate::service::needs::named;
use crate::service::{files, record};

/// The most services that are watched because they might come to wait for this one.
const MOST_SEEN: usize = 64;
/// The most links that are followed from one to the next.
const HOPS: u32 = 8;
/// The longest file with a time, in bytes.
const LONGEST: usize = 65;

/// The scan directory, if it is known.
#[derive(Default)]
pub struct Neighbours(Option<File>);

/// What a look at another service has found.
pub struct Look {
    pub found: Found,
    /// No supervise runs it, and it was ready when one did: a supervise takes it over, or makes its files anew, and will not write the record once more.
    pub settles: bool,
}

/// Names of services.
type Names = Vec<Vec<u8>>;

/// What other services need and want. Each is read once.
#[derive(Default)]
pub struct Others {
    named: BTreeMap<Vec<u8>, [Option<Names>; 2]>,
    /// Who was asked for.
    pub seen: Names,
}

/// What tells of the changes of another service.
#[derive(Default)]
pub struct Signs {
    told: Vec<Told>,
    /// Changes of these were told before they were looked at.
    earlier: Vec<Told>,
    /// Something is told only from now on.
    pub is_new: bool,
    /// Why some changes are not told; `None` if all are.
    pub untold: Option<io::Error>,
}

impl Neighbours {
    /// Finds the scan directory of the service directory `dir`, which supervise has not entered yet. A logger has none.
    pub fn of(dir: &OsStr) -> Neighbours {
        let path = Path::new(dir);
        let mut parts = path.components().filter(|part| *part != Component::CurDir);
        let scan = match (parts.next_back(), parts.next_back(), parts.next()) {
            (Some(Component::Normal(log)), Some(Component::Normal(_)), None) if log == names::LOG => {
                return Neighbours(None);
            }
            (Some(Component::Normal(_)), ..) => {
                path.parent().filter(|parent| !parent.as_os_str().is_empty()).map(Path::to_path_buf)
            }
            _ => Some(path.join("..")),
        };
        let scan = scan.unwrap_or_else(|| PathBuf::from("."));
        Neighbours(fd::open_anchor_at(fd::CURRENT_DIRECTORY, &scan).ok())
    }

    /// Goes on with what was open before an upgrade.
    pub fn inherit(scan: Option<OwnedFd>) -> Neighbours {
        Neighbours(scan.map(File::from))
    }

    /// The scan directory, to be handed over in an upgrade.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }

    /// The scan directory. Where it is not known, since an older release has not handed it over, it is the directory above or that of svscan, if the current directory
    /// has its name there.
    ///
    /// # Errors
    /// If it is neither.
    pub fn scan(&mut self, dir: &OsStr) -> io::Result<BorrowedFd<'_>> {
        if self.0.is_none() {
            self.0 = find_again(dir);
        }
        self.descriptor().ok_or_else(|| io::Error::other("it is not known in which scan directory these are"))
    }
}

#[inline(never)]
fn find_again(dir: &OsStr) -> Option<File> {
    let own = name(dir);
    if own.contains(&b'/') {
        return None;
    }
    let identity = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    let of_parent = format!("/proc/{}/cwd", std::os::unix::process::parent_id());
    let here = identity(Path::new("."));
    let mut places = ["..", of_parent.as_str()].map(PathBuf::from).into_iter();
    let place = places.find(|place| here.is_some() && identity(&place.join(OsStr::from_bytes(&own))) == here)?;
    fd::open_anchor_at(fd::CURRENT_DIRECTORY, &place).ok()
}

/// The path of the service directory `name` for [`files::of`], relative to the scan directory. Below a `SUPERVISEDIR` the files have their place by the whole path.
fn place(scan: BorrowedFd<'_>, name: &[u8]) -> PathBuf {
    let name = Path::new(OsStr::from_bytes(name));
    if files::are_named_by_path() {
        return Path::new("/proc/self/fd").join(scan.as_raw_fd().to_string()).join(name);
    }
    name.to_path_buf()
}

/// Looks how far the service `name` is.
///
/// # Errors
/// If that cannot be found out, for another reason than that something is not there.
#[inline(never)]
pub fn look(scan: BorrowedFd<'_>, name: &[u8]) -> io::Result<Look> {
    let place = place(scan, name);
    let judged = || {
        let open = |file| fd::open_read_at(scan, &files::of(&place, file));
        match record::find(open(names::STATUS), || open(names::RECORD)) {
            Ok(record::Found { record: Some(record), .. }) => {
                wait::judge(Wanted::Ready, Some(Before::default()), &record)
            }
            Ok(record::Found { status, record: None }) => of_another_suite(&status),
            // It will be written next.
            Err(_) => Verdict::NotYet,
        }
    };
    let found = match fd::open_write_at(scan, &files::of(&place, names::OK)) {
        Ok(ok) if fd::is_fifo(&ok)? => return Ok(Look { found: Found::Served(judged()), settles: false }),
        Ok(_) => Found::Unserved,
        Err(error) if error.raw_os_error() == Some(fd::NO_READER) => {
            return Ok(Look { found: Found::Unserved, settles: judged() == Verdict::There });
        }
        Err(error) if is_absent(&error) => match fd::open_anchor_at(scan, OsStr::from_bytes(name)) {
            Ok(_) => Found::Unserved,
            Err(error) if is_absent(&error) => Found::Absent,
            Err(error) => return Err(error),
        },
        Err(error) => return Err(error),
    };
    Ok(Look { found, settles: false })
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(sys::ENOENT | sys::ENOTDIR))
}

/// Of a service whose supervise is of another suite only this is known.
fn of_another_suite(status: &Status) -> Verdict {
    match (status.pid, status.run, status.want) {
        (Some(_), Run::Run, _) => Verdict::There,
        (_, _, Want::Up) => Verdict::NotYet,
        (_, _, Want::Down | Want::Once) => Verdict::Never,
    }
}

/// How long the service `name` may take to get ready, as its directory says, in nanoseconds.
#[inline(never)]
pub fn patience(scan: BorrowedFd<'_>, name: &[u8]) -> Option<u64> {
    let path = Path::new(OsStr::from_bytes(name)).join(names::TIMEOUT_READY);
    let mut bytes = [0; LONGEST];
    let length = fd::read(fd::open_read_at(scan, &path).ok()?.as_fd(), &mut bytes).ok()?;
    knob::duration(bytes.get(..length)?, Unit::Milliseconds).ok().filter(|&limit| limit > 0)
}

impl Others {
    /// What the service `name` needs, and what it wants if `wants_count`, as far as that can be read.
    pub fn named_by(&mut self, scan: BorrowedFd<'_>, name: &[u8], wants_count: bool) -> Names {
        self.seen.push(name.to_vec());
        let read = |directory: &str| {
            let path = Path::new(OsStr::from_bytes(name)).join(directory);
            named(scan, &path).map(|(names, _)| names).unwrap_or_default()
        };
        let [needs, wants] = self.named.entry(name.to_vec()).or_default();
        let mut names = needs.get_or_insert_with(|| read(names::DEPENDENCIES)).clone();
        if wants_count {
            names.extend_from_slice(wants.get_or_insert_with(|| read(names::WANTS)));
        }
        names
    }
}

impl Signs {
    /// Asks to be told of every change after which the service `name` may be ready, or another one, or it may not be waited for any more: the services `seen` do not wait
    /// for this one, as far as is known. What the signs `before` have told of goes on.
    #[inline(never)]
    pub fn of(scan: BorrowedFd<'_>, name: &[u8], seen: &[Vec<u8>], before: Signs) -> Signs {
        let (mut signs, name) =
            (Signs { earlier: before.told, ..Signs::default() }, Path::new(OsStr::from_bytes(name)));
        signs.add(scan, Path::new("."), false);
        signs.add(scan, name, false);
        signs.add_nearest(scan, files::of(&place(scan, name.as_os_str().as_bytes()), names::SUPERVISE), true);
        // What a link leads to may be made, or replaced by another one.
        let mut link = name.to_path_buf();
        for _ in 0..HOPS {
            let Ok(target) = fd::read_link_at(scan, &link) else {
                break;
            };
            let above = |path: &Path| path.parent().unwrap_or(Path::new("")).to_path_buf();
            link = above(&link).join(target);
            signs.add_nearest(scan, above(&link), false);
        }
        for other in seen.iter().take(MOST_SEEN) {
            signs.add_nearest(scan, Path::new(OsStr::from_bytes(other)).join(names::DEPENDENCIES), false);
        }
        for own in [names::DEPENDENCIES, names::WANTS] {
            signs.add(fd::CURRENT_DIRECTORY, Path::new(own), false);
        }
        signs.earlier = Vec::new();
        signs
    }

    /// Adds this directory, if it is there. Returns whether it is.
    fn add(&mut self, from: BorrowedFd<'_>, path: &Path, contents: bool) -> bool {
        if inode::at(from, path).is_ok_and(|identity| self.has(identity, contents)) {
            return true;
        }
        match fd::open_directory_at(from, path).and_then(|directory| Told::of(directory, contents)) {
            Ok(told) => self.told.push(told),
            Err(error) if is_absent(&error) => return false,
            Err(error) => self.untold = Some(error),
        }
        self.is_new = true;
        true
    }

    /// Returns whether changes of this directory are told already.
    fn has(&mut self, identity: Identity, contents: bool) -> bool {
        let tells = |told: &Told| told.tells_of(identity, contents);
        if let Some(at) = self.earlier.iter().position(tells) {
            self.told.push(self.earlier.swap_remove(at));
            return true;
        }
        self.told.iter().any(tells)
    }

    /// Adds this directory, or the nearest one above it that is there.
    fn add_nearest(&mut self, from: BorrowedFd<'_>, mut path: PathBuf, mut contents: bool) {
        loop {
            let directory = if path.as_os_str().is_empty() { Path::new(".") } else { &path };
            if self.add(from, directory, contents) || !path.pop() {
                return;
            }
            contents = false;
        }
    }
}
