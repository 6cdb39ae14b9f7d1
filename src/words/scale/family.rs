//! The instances of one name, below `.NAME@` in the scan directory.
//!
//! | there | is |
//! |---|---|
//! | `NAME@3` | a link to `.NAME@/NAME@3`: the instance is served |
//! | `.NAME@/NAME@3` | the service directory of an instance, of links through `template` |
//! | `.NAME@/NAME@3.away` | the instance is being taken away |
//! | `.NAME@/template` | a link to the template |
//!
//! The link in the scan directory is the last thing that is made of an instance and the first that is taken away. So whoever is killed in between leaves a directory without one, which
//! the next call fills or clears. A directory gets its name when it has its owner and mode; until then it has `.new` behind it. `.NAME@` itself is the lock, which one call has at a time; it cannot
//! be opened by strangers, who could hold the lock for ever.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context;
use cli::{Voice, text};
use svdir::knob;

/// The most instances that a name can have.
pub const MOST: u16 = 1000;
/// The name of the link to the template.
pub const TEMPLATE: &str = "template";
/// Everybody may pass, and only the owner may open it.
const MODE: u32 = 0o711;

/// The instances of one name.
pub struct Family {
    /// The scan directory.
    scan_dir: PathBuf,
    /// The name, with the sign behind it.
    stem: OsString,
    /// `.NAME@`, open for its lock; `None` if there is none.
    lock: Option<File>,
}

impl Family {
    /// Locks the instances of `name`; waits for whoever has the lock, and says so. Where there never were any, nothing is locked until [`make`](Family::make).
    ///
    /// # Errors
    /// If `.NAME@` is there and cannot be locked.
    pub fn lock(scan_dir: &Path, name: &OsStr, voice: Voice) -> anyhow::Result<Family> {
        let stem = OsString::from_vec([name.as_bytes(), b"@"].concat());
        let mut family = Family { scan_dir: scan_dir.to_path_buf(), stem, lock: None };
        let home = family.home();
        while family.lock.is_none() {
            let opened = match sys::fd::open_directory(&*home) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                opened => opened.with_context(|| text!("unable to open ", home))?,
            };
            if sys::fd::try_lock(&opened).is_err() {
                voice.say(&[&"waiting for another uphold scale of ", &name]);
                sys::fd::lock(&opened).with_context(|| text!("unable to lock ", home))?;
            }
            // The one before may have removed it.
            let is_it = |there: Metadata| opened.metadata().is_ok_and(|own| own.ino() == there.ino());
            if fs::symlink_metadata(&home).is_ok_and(is_it) {
                family.lock = Some(opened);
            }
        }
        Ok(family)
    }

    /// Makes `.NAME@`, if there is none, and locks it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn make(self, name: &OsStr, voice: Voice) -> anyhow::Result<Family> {
        let home = self.home();
        let mut family = self;
        while family.lock.is_none() {
            match fs::create_dir(&home) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(error).with_context(|| text!("unable to make ", home));
                }
                _ => family = Family::lock(&family.scan_dir, name, voice)?,
            }
        }
        // It was made with the bits that the umask left.
        let mode = fs::symlink_metadata(&home).map(|home| home.mode() & 0o777);
        if mode.is_ok_and(|mode| mode != MODE) {
            let set = fs::set_permissions(&home, fs::Permissions::from_mode(MODE));
            set.with_context(|| text!("unable to set the mode of ", home))?;
        }
        Ok(family)
    }

    /// The directory of all instances.
    pub fn home(&self) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(&self.stem);
        self.scan_dir.join(name)
    }

    /// The name of an instance.
    pub fn name(&self, number: u16) -> OsString {
        let mut name = self.stem.clone();
        name.push(number.to_string());
        name
    }

    /// The service directory of an instance.
    pub fn dir(&self, number: u16) -> PathBuf {
        self.home().join(self.name(number))
    }

    /// The link of an instance in the scan directory.
    pub fn link(&self, number: u16) -> PathBuf {
        self.scan_dir.join(self.name(number))
    }

    /// Where the link of an instance leads.
    pub fn target(&self, number: u16) -> PathBuf {
        let mut home = OsString::from(".");
        home.push(&self.stem);
        Path::new(&home).join(self.name(number))
    }

    /// Returns whether an instance has a link in the scan directory.
    pub fn is_linked(&self, number: u16) -> bool {
        let Ok(leads) = fs::read_link(self.link(number)) else {
            return false;
        };
        // Somebody may have made it anew, with another path.
        let is_same = || {
            let there = |path| fs::metadata(path).map(|there| (there.dev(), there.ino()));
            there(self.link(number)).is_ok_and(|one| there(self.dir(number)).is_ok_and(|other| one == other))
        };
        leads == self.target(number) || is_same()
    }

    /// Which of these names in the scan directory are instances.
    pub fn linked(&self, names: &[OsString]) -> BTreeSet<u16> {
        let numbers = names.iter().filter_map(|name| self.number(name.as_bytes()));
        numbers.filter(|&number| self.is_linked(number)).collect()
    }

    /// The numbers of all instances of which there is something below `.NAME@`, served or not.
    ///
    /// # Errors
    /// If that cannot be read.
    pub fn numbers(&self) -> anyhow::Result<BTreeSet<u16>> {
        let mut numbers = BTreeSet::new();
        if self.lock.is_some() {
            let home = self.home();
            let unable = || text!("unable to read ", home);
            for entry in fs::read_dir(&home).with_context(unable)? {
                let name = entry.with_context(unable)?.file_name();
                let name = name.as_bytes();
                let behind = [NEW, AWAY].into_iter().find_map(|behind| name.strip_suffix(behind.as_bytes()));
                numbers.extend(self.number(behind.unwrap_or(name)));
            }
        }
        Ok(numbers)
    }

    /// The number of the instance with this name; `None` if it is none.
    fn number(&self, name: &[u8]) -> Option<u16> {
        name.strip_prefix(self.stem.as_bytes()).and_then(number)
    }

    /// Notes that an instance is being taken away: it may be told to be down from now on, by nobody who wants it so.
    ///
    /// # Errors
    /// Those of the system.
    pub fn mark(&self, number: u16) -> anyhow::Result<()> {
        let mark = with(&self.dir(number), AWAY);
        match fs::write(&mark, "") {
            // Only its link is left.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            written => written.with_context(|| text!("unable to make ", mark)),
        }
    }

    /// Returns whether it was noted that an instance is being taken away.
    pub fn is_marked(&self, number: u16) -> bool {
        fs::symlink_metadata(with(&self.dir(number), AWAY)).is_ok()
    }

    /// Notes that an instance is not being taken away, or that it is gone.
    ///
    /// # Errors
    /// Those of the system.
    pub fn unmark(&self, number: u16) -> anyhow::Result<()> {
        let mark = with(&self.dir(number), AWAY);
        match fs::remove_file(&mark) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| text!("unable to remove ", mark))
            }
            _ => Ok(()),
        }
    }

    /// The template of the instances; `None` if they have none.
    pub fn template(&self) -> Option<PathBuf> {
        self.lock.as_ref().and_then(|_| fs::read_link(self.home().join(TEMPLATE)).ok())
    }

    /// Makes `dir` the template of all instances, at once.
    ///
    /// # Errors
    /// Those of the system.
    pub fn set_template(&self, dir: &Path) -> anyhow::Result<()> {
        if self.template().is_some_and(|template| template == dir) {
            return Ok(());
        }
        let link = self.home().join(TEMPLATE);
        let new = with_new(&link);
        let unable = || text!("unable to make ", link);
        remove_link(&new).with_context(unable)?;
        symlink(dir, &new).and_then(|()| fs::rename(&new, &link)).with_context(unable)
    }

    /// Removes what belongs to no instance, if none is left: all of it, unless an instance has left its logs there.
    ///
    /// # Errors
    /// Those of the system.
    pub fn end(self) -> anyhow::Result<()> {
        let link = self.home().join(TEMPLATE);
        for link in [&link, &with_new(&link)] {
            remove_link(link).with_context(|| text!("unable to remove ", *link))?;
        }
        remove_if_empty(&self.home()).with_context(|| text!("unable to remove ", self.home()))
    }
}

/// What stands behind the name of what is not complete.
const NEW: &str = ".new";
/// What stands behind the name of an instance that is being taken away.
const AWAY: &str = ".away";

/// The path under which something is made.
pub fn with_new(path: &Path) -> PathBuf {
    with(path, NEW)
}

fn with(path: &Path, behind: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(behind);
    path.into()
}

/// The number of an instance, as it is written; `None` if it is none.
pub fn number(digits: &[u8]) -> Option<u16> {
    let number = knob::digits(digits).and_then(|number| u16::try_from(number).ok())?;
    ((1..=MOST).contains(&number) && digits[0] != b'0').then_some(number)
}

/// Makes a directory with the mode of `like`, and with its owner if that can be. A directory that is there stays as it is.
///
/// # Errors
/// Those of the system; or if something else is there.
pub fn make_directory(path: &Path, like: &Metadata) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => return Ok(()),
        Ok(_) => return Err(io::Error::from_raw_os_error(sys::ENOTDIR)),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let new = with_new(path);
    match fs::create_dir(&new) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // By its descriptor: whoever owns the directory around it could put a link in its place.
    let made = sys::fd::open_directory(&*new)?;
    if sys::identity::is_root() {
        fchown(&made, Some(like.uid()), Some(like.gid()))?;
    }
    made.set_permissions(fs::Permissions::from_mode(like.mode() & 0o7777))?;
    fs::rename(&new, path)
}

/// Removes a link. What is not there, or is none, stays as it is.
///
/// # Errors
/// Those of the system.
pub fn remove_link(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|there| there.is_symlink()) { fs::remove_file(path) } else { Ok(()) }
}

/// Removes a directory, if it is there and empty.
///
/// # Errors
/// Those of the system.
pub fn remove_if_empty(path: &Path) -> io::Result<()> {
    match fs::remove_dir(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => Ok(()),
        removed => removed,
    }
}
