//! What is mounted where, so that a program can tell whether a link leads into a file system that answers at once.

#![cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux has this table"))]

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The types of file systems that lie in memory or on a disk of this machine, as proc(5) and filesystems(5) name them. Others ask another machine or another process,
/// which may never answer.
const LOCAL: [&str; 20] = [
    "bcachefs", "btrfs", "devtmpfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660", "jfs", "ntfs3",
    "overlay", "ramfs", "rootfs", "squashfs", "tmpfs", "vfat", "xfs", "zfs",
];

/// What is mounted.
#[derive(Debug)]
pub struct Mounts(Vec<Mount>);

#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// Where, from the root of this process.
    point: PathBuf,
    is_local: bool,
}

impl Mounts {
    /// Reads what this process sees mounted. Fails where there is no `/proc` of Linux.
    pub fn read() -> io::Result<Mounts> {
        Ok(Mounts::parse(&fs::read("/proc/self/mountinfo")?))
    }

    fn parse(table: &[u8]) -> Mounts {
        Mounts(table.split(|&byte| byte == b'\n').filter_map(Mount::parse).collect())
    }

    /// Returns the mount in which `path`, which is absolute, lies by its name: the innermost, if it and all around it are local.
    fn local_mount_of(&self, path: &Path) -> Option<&Path> {
        let around = || self.0.iter().filter(|mount| lies_below(path, &mount.point));
        let innermost = around().map(|mount| mount.point.as_path()).max_by_key(|point| point.as_os_str().len())?;
        around().all(|mount| mount.is_local).then_some(innermost)
    }

    /// Returns whether `path` is a link in the file system of the current directory whose target lies in a local file system, and nowhere on the way
    /// there is another one. It touches no file system that is not local.
    #[cfg(target_os = "linux")]
    pub fn hold_target_of(&self, path: &Path) -> bool {
        use nix::errno::Errno;
        use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
        let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC);
        let Ok(target) = crate::fd::read_link_at(AT_FDCWD, path).map(PathBuf::from) else {
            return false;
        };
        let Some(point) = self.local_mount_of(&target) else {
            return false;
        };
        let Ok(root) = openat2(AT_FDCWD, point, how.resolve(ResolveFlag::RESOLVE_NO_SYMLINKS)) else {
            return false;
        };
        let Ok(rest) = target.strip_prefix(point) else {
            return false;
        };
        if rest.as_os_str().is_empty() {
            return true;
        }
        let opened = openat2(&root, rest, how.resolve(ResolveFlag::RESOLVE_NO_XDEV)).map(drop);
        !matches!(opened, Err(Errno::EXDEV | Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM))
    }

    /// Returns whether `path` is a link whose target lies in a local file system. That is not known here.
    #[cfg(not(target_os = "linux"))]
    pub fn hold_target_of(&self, _path: &Path) -> bool {
        false
    }
}

/// Returns whether `path` is `point`, or lies below it, by its name. Both are absolute.
fn lies_below(path: &Path, point: &Path) -> bool {
    let [path, point] = [path, point].map(|path| path.as_os_str().as_bytes());
    let rest = path.strip_prefix(point.strip_suffix(b"/").unwrap_or(point));
    rest.is_some_and(|rest| rest.first().is_none_or(|&first| first == b'/'))
}

impl Mount {
    /// Parses a line of mountinfo: six fields of which the fifth is the mount point, some more, `-`, the type of the file system, and more (proc_pid_mountinfo(5)).
    fn parse(line: &[u8]) -> Option<Mount> {
        let mut fields = line.split(|&byte| byte == b' ');
        let point = PathBuf::from(unescaped(fields.nth(4)?));
        let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
        Some(Mount { point, is_local: LOCAL.iter().any(|local| local.as_bytes() == kind) })
    }
}

/// Undoes the escapes of mountinfo: a blank, a tab, a newline and a backslash stand there as a backslash and three octal digits.
pub(crate) fn unescaped(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, behind)) = rest.split_first() {
        let escaped = (first == b'\\').then(|| behind.split_at_checked(3)).flatten();
        let number = escaped.and_then(|(digits, _)| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match (number, escaped) {
            (Some(number), Some((_, after))) => {
                bytes.push(number);
                rest = after;
            }
            _ => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    const TABLE: &[u8] = b"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
        23 22 0:5 / /dev rw - devtmpfs udev rw\n\
        24 23 0:6 / /dev/shm rw,nosuid shared:2 master:1 - tmpfs tmpfs rw\n\
        25 22 0:7 / /far rw - nfs4 host:/ rw\n\
        26 25 0:8 / /far/near rw - tmpfs tmpfs rw\n\
        27 22 0:9 / /a\\040b\\134c rw - xfs /dev/sdb rw\n\
        torn\n";

    fn mount_of(path: &str) -> Option<PathBuf> {
        Mounts::parse(TABLE).local_mount_of(Path::new(path)).map(Path::to_owned)
    }

    #[test]
    fn a_path_lies_in_the_innermost_mount_if_all_around_it_are_local() {
        assert_eq!(mount_of("/etc/sv/web"), Some("/".into()));
        assert_eq!(mount_of("/dev/shm/sv/web"), Some("/dev/shm".into()));
        assert_eq!(mount_of("/dev/shmoo"), Some("/dev".into()));
        assert_eq!(mount_of("/a b\\c/web"), Some("/a b\\c".into()));
        for far in ["/far", "/far/web", "/far/near/web"] {
            assert_eq!(mount_of(far), None, "{far}");
        }
        assert_eq!(mount_of("relative"), None);
    }

    #[test]
    fn what_is_no_escape_stays() {
        for (field, path) in [("\\04", "\\04"), ("\\999", "\\999"), ("\\", "\\"), ("\\0401", " 1")] {
            assert_eq!(unescaped(field.as_bytes()), OsStr::new(path), "{field}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_link_to_where_memory_is_mounted_is_local_and_one_to_proc_is_not() {
        let scratch = std::env::temp_dir().join(format!("uphold-mounts-{}", std::process::id()));
        fs::create_dir(&scratch).expect("a directory of ours");
        let mounts = Mounts::read().expect("a table");
        let link = |name: &str, target: &str| {
            let link = scratch.join(name);
            std::os::unix::fs::symlink(target, &link).expect("a link");
            mounts.hold_target_of(&link)
        };
        let near = link("near", scratch.to_str().expect("text"));
        let proc = link("proc", "/proc/self");
        let through = link("through", &format!("{}/proc/fd", scratch.display()));
        let relative = link("relative", "near");
        let is_no_link = mounts.hold_target_of(&scratch);
        fs::remove_dir_all(&scratch).expect("it is ours");
        assert_eq!((near, proc, through, relative, is_no_link), (true, false, false, false, false));
    }
}
