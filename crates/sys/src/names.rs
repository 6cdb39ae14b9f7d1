//! The names in a directory, which can be read again and again into the same memory: without an allocation for each name, and as many at once as
//! there is room for. (musl's `readdir` asks the kernel for 2 kB at a time, and both C libraries take new memory for each look.)

use std::ffi::CStr;
use std::io;
#[cfg(target_os = "linux")]
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;

/// Memory for the entries of a directory.
pub struct Names {
    #[cfg(target_os = "linux")]
    entries: Vec<u8>,
}

impl Names {
    /// Allocates the memory without touching it: the part that a small directory does not fill costs no page.
    pub fn new() -> Names {
        Names {
            #[cfg(target_os = "linux")]
            entries: Vec::with_capacity(32_768),
        }
    }

    /// Calls `take` for each name in the open `directory`, from its beginning, with `.` and `..` among them.
    pub fn each(&mut self, directory: BorrowedFd<'_>, mut take: impl FnMut(Name<'_>)) -> io::Result<()> {
        self.each_while(directory, |name| {
            take(name);
            true
        })
    }

    /// Calls `take` for each name as [`each`](Names::each) does, until it returns false.
    #[cfg(target_os = "linux")]
    pub fn each_while(&mut self, directory: BorrowedFd<'_>, take: impl FnMut(Name<'_>) -> bool) -> io::Result<()> {
        each_in(directory, self.entries.spare_capacity_mut(), take)
    }

    /// Calls `take` for each name as [`each`](Names::each) does, until it returns false.
    #[cfg(not(target_os = "linux"))]
    pub fn each_while(&mut self, directory: BorrowedFd<'_>, mut take: impl FnMut(Name<'_>) -> bool) -> io::Result<()> {
        use nix::dir::{Dir, Type};
        use nix::fcntl::OFlag;
        let mut opened =
            Dir::openat(directory, c".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty())?;
        for entry in opened.iter() {
            let entry = entry?;
            let is_directory = entry.file_type().map(|kind| kind == Type::Directory);
            if !take(Name { directory, name: entry.file_name(), is_directory }) {
                break;
            }
        }
        Ok(())
    }
}

/// How many bytes of entries are read to learn which names a directory has: some fifty names.
#[cfg(target_os = "linux")]
const FEW: usize = 2_048;

/// Which of `names` there are in an open directory: one look at it in place of one for each name. The kernel lets nothing be renamed while it tells, so a file that is
/// replaced meanwhile is there. `None` if it has more names than are read, or cannot be read: then each is to be looked for.
#[cfg(target_os = "linux")]
pub fn among<const N: usize>(directory: BorrowedFd<'_>, names: [&str; N]) -> Option<[bool; N]> {
    nix::unistd::lseek(directory, 0, nix::unistd::Whence::SeekSet).ok()?;
    let mut room = [MaybeUninit::uninit(); FEW];
    let mut found = [false; N];
    let mut left = entries(directory, &mut room).ok()?;
    while let Some((entry, rest)) = split_entry(left) {
        let name = CStr::from_bytes_until_nul(entry.get(NAME..)?).ok()?;
        if let Some(at) = names.iter().position(|known| known.as_bytes() == name.to_bytes()) {
            found[at] = true;
        }
        left = rest;
    }
    entries(directory, &mut room).ok()?.is_empty().then_some(found)
}

/// Which of `names` there are in an open directory. `None`: each is to be looked for.
#[cfg(not(target_os = "linux"))]
pub fn among<const N: usize>(_: BorrowedFd<'_>, _: [&str; N]) -> Option<[bool; N]> {
    None
}

/// Calls `take` for each name in a directory until it returns false, with so much room for the entries that are read at once.
#[cfg(target_os = "linux")]
fn each_in(
    directory: BorrowedFd<'_>,
    room: &mut [MaybeUninit<u8>],
    mut take: impl FnMut(Name<'_>) -> bool,
) -> io::Result<()> {
    nix::unistd::lseek(directory, 0, nix::unistd::Whence::SeekSet)?;
    loop {
        let mut left = entries(directory, room)?;
        if left.is_empty() {
            return Ok(());
        }
        while let Some((entry, rest)) = split_entry(left) {
            let Ok(name) = CStr::from_bytes_until_nul(entry.get(NAME..).unwrap_or_default()) else {
                break;
            };
            let kind = entry.get(KIND).copied().unwrap_or(libc::DT_UNKNOWN);
            let is_directory = (kind != libc::DT_UNKNOWN).then_some(kind == libc::DT_DIR);
            if !take(Name { directory, name, is_directory }) {
                return Ok(());
            }
            left = rest;
        }
    }
}

/// The next entries of a directory; none at its end.
#[cfg(target_os = "linux")]
fn entries<'a>(directory: BorrowedFd<'_>, room: &'a mut [MaybeUninit<u8>]) -> io::Result<&'a [u8]> {
    use std::os::fd::AsRawFd;
    // SAFETY: the kernel writes at most as many bytes as there is room for.
    let count = unsafe {
        libc::syscall(libc::SYS_getdents64, directory.as_raw_fd(), room.as_mut_ptr().cast::<u8>(), room.len())
    };
    let count = nix::errno::Errno::result(count)? as usize;
    // SAFETY: it has just written these bytes.
    Ok(unsafe { std::slice::from_raw_parts(room.as_ptr().cast(), count.min(room.len())) })
}

/// The names in an open directory that do not begin with a dot, in the order of their bytes, and whether there are more than `most`: then some are left out.
///
/// # Errors
/// Those of reading the directory.
pub fn sorted(directory: BorrowedFd<'_>, most: usize) -> io::Result<(Vec<Vec<u8>>, bool)> {
    let (mut all, mut more) = (Vec::new(), false);
    let take = |name: Name<'_>| {
        let is_hidden = name.bytes().starts_with(b".");
        more |= !is_hidden && all.len() == most;
        if !is_hidden && all.len() < most {
            all.push(name.bytes().to_vec());
        }
        true
    };
    // Few names, and often: new memory would cost more than the look.
    #[cfg(target_os = "linux")]
    each_in(directory, &mut [MaybeUninit::uninit(); FEW], take)?;
    #[cfg(not(target_os = "linux"))]
    Names::new().each_while(directory, take)?;
    all.sort_unstable();
    Ok((all, more))
}

impl Default for Names {
    fn default() -> Names {
        Names::new()
    }
}

/// An entry of a directory.
pub struct Name<'a> {
    directory: BorrowedFd<'a>,
    name: &'a CStr,
    /// Whether it is a directory; `None` if the file system does not say.
    is_directory: Option<bool>,
}

impl Name<'_> {
    /// The bytes of the name.
    pub fn bytes(&self) -> &[u8] {
        self.name.to_bytes()
    }

    /// Returns whether it is a directory; a link to a directory is not.
    pub fn is_directory(&self) -> bool {
        self.is_directory.unwrap_or_else(|| {
            fstatat(self.directory, self.name, AtFlags::AT_SYMLINK_NOFOLLOW)
                .is_ok_and(|found| found.st_mode & libc::S_IFMT == libc::S_IFDIR)
        })
    }
}

/// The offsets of the length, the type and the name in an entry of the kernel, in bytes; two numbers of eight bytes
/// come first.
#[cfg(target_os = "linux")]
const LENGTH: usize = 16;
#[cfg(target_os = "linux")]
const KIND: usize = 18;
#[cfg(target_os = "linux")]
const NAME: usize = 19;

/// Splits off the first entry.
#[cfg(target_os = "linux")]
fn split_entry(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    let &[low, high] = entries.get(LENGTH..KIND)? else {
        return None;
    };
    entries.split_at_checked(usize::from(u16::from_ne_bytes([low, high]))).filter(|(entry, _)| !entry.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn the_names_that_count_are_sorted_and_no_more_than_asked_for() {
        let scratch = tempfile::tempdir().expect("a directory");
        for name in ["b", ".hidden", "a", "c"] {
            fs::write(scratch.path().join(name), "").expect("writes");
        }
        let directory = fs::File::open(scratch.path()).expect("opens");
        let names = |most| sorted(directory.as_fd(), most).expect("reads");
        assert_eq!(names(3), ([b"a", b"b", b"c"].map(|name| name.to_vec()).to_vec(), false));
        assert_eq!((names(2).0.len(), names(2).1), (2, true));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn some_names_are_found_among_others_unless_there_are_too_many() {
        let scratch = tempfile::tempdir().expect("a directory");
        let directory = fs::File::open(scratch.path()).expect("opens");
        let found = || among(directory.as_fd(), ["run", "ru", "finish", ".", ""]);
        for _ in 0..2 {
            assert_eq!(found(), Some([false, false, false, true, false]));
        }
        fs::write(scratch.path().join("run"), "").expect("writes");
        std::os::unix::fs::symlink("nowhere", scratch.path().join("finish")).expect("links");
        assert_eq!(found(), Some([true, false, true, true, false]));
        for number in 0..FEW / 24 {
            fs::write(scratch.path().join(number.to_string()), "").expect("writes");
        }
        assert_eq!(found(), None);
    }

    #[test]
    fn every_look_tells_of_all_names() {
        let scratch = tempfile::tempdir().expect("a directory");
        let directory = fs::File::open(scratch.path()).expect("opens");
        let mut names = Names::new();
        let mut expected = BTreeSet::from([b".".to_vec(), b"..".to_vec()]);
        fs::create_dir(scratch.path().join("directory")).expect("makes one");
        expected.insert(b"directory".to_vec());
        // More than are read at once, and names of all lengths.
        for number in 0..2_000 {
            let name = format!("{number}{}", "x".repeat(number % 250));
            fs::write(scratch.path().join(&name), "").expect("writes");
            expected.insert(name.into_bytes());
        }
        for _ in 0..2 {
            let (mut seen, mut directories) = (Vec::new(), BTreeSet::new());
            let look = names.each(directory.as_fd(), |name| {
                seen.push(name.bytes().to_vec());
                if name.is_directory() {
                    directories.insert(name.bytes().to_vec());
                }
            });
            look.expect("looks");
            assert_eq!(seen.len(), expected.len());
            assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected);
            assert_eq!(directories, [&b"."[..], b"..", b"directory"].map(<[u8]>::to_vec).into());
        }
        let mut count = 0;
        let look = names.each_while(directory.as_fd(), |_| {
            count += 1;
            count < 1_500
        });
        look.expect("looks");
        assert_eq!(count, 1_500, "it ends where it is told to");
    }
}
