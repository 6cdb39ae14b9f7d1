//! Descriptors that are passed to a child under certain numbers, and the variables that describe them: systemd's `LISTEN_FDS`,
//! `LISTEN_PID` and `LISTEN_FDNAMES`.
//!
//! A descriptor may ask for a number. The others get the numbers from 3 on without a gap, in their order, and only these are in the
//! variables.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::{fmt, io};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use crate::fd;

/// The first descriptor that `LISTEN_FDS` counts.
pub const FIRST: RawFd = 3;
/// The variable that holds the pid of the process for which the other variables are meant. It is written at the exec:
/// [`telling_pid`](crate::exec::Prepared::telling_pid).
pub const LISTEN_PID: &std::ffi::CStr = c"LISTEN_PID";

/// The descriptors to pass to a child, with their numbers.
pub struct PassedFds<'a> {
    moves: Vec<Move<'a>>,
    names: Vec<&'a [u8]>,
}

/// One descriptor that a child gets.
#[derive(Clone, Copy)]
pub struct PassedFd<'a> {
    /// The descriptor in this process.
    pub fd: BorrowedFd<'a>,
    /// Its name in `LISTEN_FDNAMES`, unless it has a number of its own.
    pub name: &'a [u8],
    /// The number that it asks for; `None` for the next one from 3 on.
    pub number: Option<RawFd>,
}

struct Move<'a> {
    from: BorrowedFd<'a>,
    to: RawFd,
    /// Whether its present number is the number of one of the descriptors in the child.
    in_the_way: bool,
    /// The number to which the child has copied it first.
    parked: RawFd,
}

/// Two passed descriptors with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clash {
    /// The number.
    pub number: RawFd,
    /// The index of the passed descriptor that has it.
    pub first: usize,
    /// The index of the other passed descriptor.
    pub second: usize,
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "descriptor {} is given twice", self.number)
    }
}

impl std::error::Error for Clash {}

impl<'a> PassedFds<'a> {
    /// Finds a number for each passed descriptor.
    ///
    /// # Errors
    /// [`Clash`] if two would have the same number.
    pub fn new(passed: &[PassedFd<'a>]) -> Result<PassedFds<'a>, Clash> {
        let wanted: Vec<_> = passed.iter().map(|passed_fd| passed_fd.number).collect();
        let numbers = numbers(&wanted)?;
        let place = |(passed_fd, &to): (&PassedFd<'a>, &RawFd)| Move {
            from: passed_fd.fd,
            to,
            in_the_way: numbers.contains(&passed_fd.fd.as_raw_fd()),
            parked: passed_fd.fd.as_raw_fd(),
        };
        let moves = passed.iter().zip(&numbers).map(place).collect();
        let names =
            passed.iter().filter(|passed_fd| passed_fd.number.is_none()).map(|passed_fd| passed_fd.name).collect();
        Ok(PassedFds { moves, names })
    }

    /// Returns whether the variables are needed, since there is a passed descriptor without a number of its own.
    pub fn is_counted(&self) -> bool {
        !self.names.is_empty()
    }

    /// How many descriptors there are.
    pub fn count(&self) -> usize {
        self.moves.len()
    }

    /// The changes of the environment: variables with their values, or `None` to remove them. `LISTEN_PID` is removed,
    /// since only the child knows its pid.
    pub fn variables(&self) -> [(&'static str, Option<Vec<u8>>); 3] {
        let counted = |value: Vec<u8>| self.is_counted().then_some(value);
        [
            ("LISTEN_PID", None),
            ("LISTEN_FDS", counted(self.names.len().to_string().into_bytes())),
            ("LISTEN_FDNAMES", counted(self.names.join(&b':'))),
        ]
    }

    /// Moves each descriptor to its number. Runs in the child, and allocates no memory.
    ///
    /// # Errors
    /// EBADF for a number that is larger than the limit of the process, EMFILE if it has none free.
    pub fn place(&mut self) -> io::Result<()> {
        let numbers = |moves: &[Move<'_>], number| moves.iter().any(|other| other.to == number);
        for at in 0..self.moves.len() {
            if self.moves[at].in_the_way {
                self.moves[at].parked = park(self.moves[at].from, |number| numbers(&self.moves, number))?;
            }
        }
        for Move { to, parked, .. } in &self.moves {
            // SAFETY: it is the borrowed descriptor, or its copy, which nobody closes before the exec does.
            fd::place(unsafe { BorrowedFd::borrow_raw(*parked) }, *to)?;
        }
        Ok(())
    }
}

/// The numbers under which a child gets all passed descriptors; `wanted` has the numbers that are asked for.
///
/// # Errors
/// [`Clash`] if two would have the same number.
pub fn numbers(wanted: &[Option<RawFd>]) -> Result<Vec<RawFd>, Clash> {
    let mut next = FIRST;
    let mut numbers: Vec<RawFd> = Vec::with_capacity(wanted.len());
    for &number in wanted {
        numbers.push(number.unwrap_or_else(|| {
            next += 1;
            next - 1
        }));
    }
    for (second, &number) in numbers.iter().enumerate() {
        if let Some(first) = numbers[..second].iter().position(|&other| other == number) {
            return Err(Clash { number, first, second });
        }
    }
    Ok(numbers)
}

/// Copies `fd` to a free number that is not the number of any passed descriptor. The copies that are made on the way are closed by the exec, or
/// replaced.
fn park(fd: BorrowedFd<'_>, is_taken: impl Fn(RawFd) -> bool) -> io::Result<RawFd> {
    let mut lowest = FIRST;
    loop {
        let copy = match fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(lowest)) {
            // The kernel returns EINVAL if `lowest` is beyond the limit.
            Err(Errno::EINVAL) => return Err(Errno::EMFILE.into()),
            copied => copied?,
        };
        if !is_taken(copy) {
            return Ok(copy);
        }
        lowest = copy + 1;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::ffi::CString;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::{AsFd, OwnedFd};

    use super::*;
    use crate::exec::Prepared;
    use crate::process::{self, Change};

    #[test]
    fn numbers_begin_at_three_and_leave_no_gap() {
        assert_eq!(numbers(&[]), Ok(vec![]));
        assert_eq!(numbers(&[None, Some(0), None, Some(7)]), Ok(vec![3, 0, 4, 7]));
        assert_eq!(numbers(&[None, Some(3)]), Err(Clash { number: 3, first: 0, second: 1 }));
        assert_eq!(numbers(&[Some(4), None, None]), Err(Clash { number: 4, first: 0, second: 2 }));
        assert_eq!(numbers(&[Some(9), Some(9)]), Err(Clash { number: 9, first: 0, second: 1 }));
    }

    fn passed_fd<'a>(fd: &'a OwnedFd, name: &'a str, number: Option<RawFd>) -> PassedFd<'a> {
        PassedFd { fd: fd.as_fd(), name: name.as_bytes(), number }
    }

    #[test]
    fn what_has_a_number_of_its_own_is_not_told_of() {
        let (a, b) = fd::pipe().expect("a pipe");
        let told =
            |passed: &[PassedFd<'_>]| PassedFds::new(passed).expect("no clash").variables().map(|(_, value)| value);
        assert_eq!(told(&[passed_fd(&a, "a", Some(0))]), [None, None, None]);
        let both = [passed_fd(&a, "a", None), passed_fd(&b, "b", Some(0)), passed_fd(&b, "c", None)];
        assert_eq!(told(&both), [None, Some(b"2".to_vec()), Some(b"a:c".to_vec())]);
    }

    /// A file with `text` in it, to tell descriptors apart by.
    fn marked(directory: &tempfile::TempDir, text: &str) -> OwnedFd {
        let path = directory.path().join(text);
        std::fs::write(&path, text).expect("a file");
        File::open(path).expect("it is there").into()
    }

    /// What a shell says that gets `passed descriptors`.
    fn heard(passed: &[PassedFd<'_>], settings: &[(&str, Option<Vec<u8>>)], script: &str) -> String {
        let mut handed = PassedFds::new(passed).expect("no clash");
        let changes: Vec<_> = handed.variables().into_iter().chain(settings.iter().cloned()).collect();
        let environment = crate::environ::changed(&changes);
        let argv = ["/bin/sh", "-c", script].map(|word| CString::new(word).expect("no NUL"));
        let program = Prepared::new(&argv, Some(&environment)).telling_pid(LISTEN_PID);
        let (reader, low) = fd::pipe().expect("a pipe");
        // By a number that no passed descriptor stands on.
        let writer: OwnedFd = fcntl(&low, FcntlArg::F_DUPFD_CLOEXEC(100)).map(owned).expect("a copy");
        drop(low);
        let become_shell = || match fd::place(writer.as_fd(), 1).and_then(|()| handed.place()) {
            Ok(()) => program.exec(c"/bin/sh"),
            Err(error) => error,
        };
        let failed = Cell::new(None);
        let child = process::spawn(become_shell, |error| failed.set(Some(error))).expect("a child");
        drop(writer);
        let mut heard = String::new();
        File::from(reader).read_to_string(&mut heard).expect("text");
        assert_eq!(process::wait(child).expect("a child"), Change::Exited(0), "{:?}", failed.take());
        heard.replace(&child.to_string(), "PID")
    }

    fn owned(number: RawFd) -> OwnedFd {
        use std::os::fd::FromRawFd;
        // SAFETY: the kernel has just given it to us.
        unsafe { OwnedFd::from_raw_fd(number) }
    }

    /// One test, since the numbers of descriptors are the whole process's: three files are put on the numbers of each other.
    #[test]
    fn sources_that_stand_in_each_others_way_arrive() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = ["a", "b", "c"].map(|text| marked(&directory, text));
        let numbers = files.each_ref().map(AsRawFd::as_raw_fd);
        // The first goes from 3 on, wherever that is; the others change places in a ring.
        for (second, third) in [(numbers[2], numbers[1]), (numbers[1], numbers[2]), (numbers[0], 90), (0, numbers[0])] {
            if second == FIRST || third == FIRST {
                continue;
            }
            let passed = [
                passed_fd(&files[0], "x", None),
                passed_fd(&files[1], "y", Some(second)),
                passed_fd(&files[2], "z", Some(third)),
            ];
            let cat = |number: RawFd| format!("cat /dev/fd/{number} | head -c 1;");
            let script =
                format!("{}{}{}echo \" $LISTEN_FDS $LISTEN_FDNAMES $LISTEN_PID\"", cat(3), cat(second), cat(third));
            // Each run reads from the start: /dev/fd opens the file anew.
            assert_eq!(heard(&passed, &[], &script), "abc 1 x PID\n", "{numbers:?} {second} {third}");
        }
    }

    #[test]
    fn variables_that_were_there_are_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = marked(&directory, "f");
        let script = "echo \"$LISTEN_FDS-$LISTEN_FDNAMES-$MORE-${HOME+home}\"; env | grep -c ^LISTEN_PID=";
        let more = [("MORE", Some(b"more".to_vec())), ("HOME", None)];
        assert_eq!(heard(&[passed_fd(&file, "web", None)], &more, script), "1-web-more-\n1\n");
    }

    #[test]
    fn a_number_beyond_the_limit_is_an_error() {
        let (a, _b) = fd::pipe().expect("a pipe");
        let passed = [passed_fd(&a, "a", Some(i32::MAX))];
        let mut handed = PassedFds::new(&passed).expect("no clash");
        assert_eq!(handed.place().expect_err("an error").raw_os_error(), Some(libc::EBADF));
    }
}
