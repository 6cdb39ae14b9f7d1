//! The files of a log directory, in the order of time.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sys::fd;
use sys::inode::{self, Identity};
use tai::Label;

/// The name of the file that is written.
pub const CURRENT: &str = "current";
/// The name of a file that is about to get its own.
pub const PREVIOUS: &str = "previous";
/// The name of what a processor has made of that.
pub const PROCESSED: &str = "processed";

/// A finished file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Old {
    /// When it was finished.
    pub label: Label,
    /// Its name.
    pub name: OsString,
    /// Its logger died while it wrote, so the last line may be cut.
    pub is_cut: bool,
}

/// The finished files among these names, in the order of time.
pub fn finished(names: impl IntoIterator<Item = OsString>) -> Vec<Old> {
    let mut found: Vec<Old> = names.into_iter().filter_map(old).collect();
    found.sort_unstable();
    found
}

fn old(name: OsString) -> Option<Old> {
    let bytes = name.as_bytes();
    let label = Label::from_digits(bytes.strip_prefix(b"@")?.get(..Label::TEXT - 1)?)?;
    let code = &bytes[Label::TEXT..];
    // Somebody may have compressed it.
    let code = [&b".gz"[..], b".xz", b".zst"].iter().find_map(|end| code.strip_suffix(*end)).unwrap_or(code);
    let is_cut = match code {
        b".s" => false,
        b".u" => true,
        _ => return None,
    };
    Some(Old { label, name, is_cut })
}

/// A log directory.
pub struct LogDir {
    /// Where it was found.
    pub path: PathBuf,
    handle: File,
}

impl LogDir {
    /// Opens it. The path may be a link.
    ///
    /// # Errors
    /// If it does not exist, or may not be read or entered.
    pub fn open(path: PathBuf) -> io::Result<LogDir> {
        let handle = fd::open_directory_at(fd::CURRENT_DIRECTORY, &*path)?;
        let dir = LogDir { path, handle };
        // Whether it may be entered; that it has no such file does not matter here.
        match dir.identity(OsStr::new(CURRENT)) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
            _ => Ok(dir),
        }
    }

    /// The finished files in it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn finished(&self) -> io::Result<Vec<Old>> {
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name()));
        Ok(finished(names.collect::<io::Result<Vec<_>>>()?))
    }

    /// Opens a file in it.
    ///
    /// # Errors
    /// If that is not there, may not be read, or is no file.
    pub fn file(&self, name: &OsStr) -> io::Result<File> {
        let file = fd::open_read_at(self.handle.as_fd(), Path::new(name))?;
        // A device may have no end.
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
    }

    /// Opens a file in it; `None` if it is not there.
    ///
    /// # Errors
    /// If it may not be read.
    pub fn file_if_any(&self, name: &str) -> io::Result<Option<File>> {
        match self.file(OsStr::new(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            file => file.map(Some),
        }
    }

    /// Which file this name leads to.
    ///
    /// # Errors
    /// If that is not there.
    pub fn identity(&self, name: &OsStr) -> io::Result<Identity> {
        inode::at(self.handle.as_fd(), Path::new(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_in_the_order_of_their_labels() {
        let name = |seconds, end: &str| {
            let text = Label::from_unix(seconds, 0).text();
            OsString::from(format!("{}{end}", String::from_utf8_lossy(&text)))
        };
        // 2100 has a label that no 32 bits hold.
        let names = [
            name(4_102_444_800, ".s"),
            name(2_000_000_000, ".s"),
            "current".into(),
            name(1_000_000_000, ".u"),
            "state".into(),
            name(1_500_000_000, ".t"),
            name(1_500_000_001, ".s.gz"),
            "@4000.s".into(),
            "lock".into(),
        ];
        let found: Vec<(i64, bool)> =
            finished(names).into_iter().map(|old| (old.label.unix_seconds(), old.is_cut)).collect();
        assert_eq!(
            found,
            [(1_000_000_000, true), (1_500_000_001, false), (2_000_000_000, false), (4_102_444_800, false)]
        );
    }
}
