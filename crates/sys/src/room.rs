//! How much room is left in a file system.

use std::io;
use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};

/// What a file system has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// In bytes, for everybody.
    pub bytes: u64,
    /// In bytes, for root, for whom some is kept.
    pub bytes_for_root: u64,
    /// How many files more there may be; `None` if the file system does not count them.
    pub files: Option<u64>,
    /// It is mounted so that nobody may write.
    pub is_read_only: bool,
}

/// Asks the file system in which `path` lies.
///
/// # Errors
/// If there is no such path.
pub fn left(path: &Path) -> io::Result<Room> {
    let found = statvfs(path)?;
    // These types are shorter on some systems.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    let (unit, free, available, files, files_free) = (
        found.fragment_size() as u64,
        u64::from(found.blocks_free()),
        u64::from(found.blocks_available()),
        u64::from(found.files()),
        u64::from(found.files_available()),
    );
    Ok(Room {
        bytes: available.saturating_mul(unit),
        bytes_for_root: free.saturating_mul(unit),
        files: (files > 0).then_some(files_free),
        is_read_only: found.flags().contains(FsFlags::ST_RDONLY),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_directory_has_room() {
        let directory = tempfile::tempdir().expect("a directory");
        let room = left(directory.path()).expect("it is there");
        assert!(room.bytes > 0 && room.bytes_for_root >= room.bytes && !room.is_read_only, "{room:?}");
        let missing = left(&directory.path().join("missing")).err().and_then(|error| error.raw_os_error());
        assert_eq!(missing, Some(crate::ENOENT));
    }
}
