//! A process that is not our child but was the child of our predecessor. It can be found again, signalled without mistaking another
//! process for it, and watched for its end.
//!
//! All of this needs a descriptor of the process (a pidfd, Linux 5.3): a pid alone may belong to another process by the time it is
//! used. So the pidfd is opened first, and then its process is compared with what is known about the process that is looked for.

use std::io;

use crate::process::{Change, Pid, Signal};

pub use crate::boot::{boot_id, same_boot_id};
pub use imp::{Adopted, lives, wait_for_end};

/// A span of time in nanoseconds since the boot, in which a process was born.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Birth {
    /// The earliest time.
    pub earliest: u64,
    /// The latest time.
    pub latest: u64,
}

impl Birth {
    /// The tick in which the process of this `stat` was born.
    pub const fn of(stat: &crate::proc::Stat) -> Birth {
        let earliest = stat.start.saturating_mul(crate::proc::TICK);
        Birth { earliest, latest: earliest.saturating_add(crate::proc::TICK) }
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

    use nix::errno::Errno;

    use super::{Birth, Change, Pid, Signal, io};
    use crate::clock::monotonic;
    use crate::proc::{self, Stat, TICK};
    use crate::process;

    /// The interval between two looks at a process whose end the kernel does not report, in nanoseconds.
    const LOOK: u64 = 50_000_000;

    /// A process that is watched through its pidfd.
    #[derive(Debug)]
    pub struct Adopted {
        fd: OwnedFd,
        pid: Pid,
        birth: Birth,
    }

    /// Returns whether there is a process `pid` that has not ended, whatever process that is. True if that is unknown.
    pub fn lives(pid: Pid) -> bool {
        match open(pid) {
            Ok(fd) => crate::poll::readable([fd.as_fd()], Some(0)).is_ok_and(|[ended]| !ended),
            Err(errno) if has_none(errno) => !is_over(pid, None),
            Err(errno) => errno != Errno::ESRCH,
        }
    }

    /// Returns whether the error means that there are no pidfds: a kernel before 5.3, or a sandbox that does not know
    /// the call.
    fn has_none(errno: Errno) -> bool {
        matches!(errno, Errno::ENOSYS | Errno::EPERM)
    }

    /// Waits until the process `pid` has ended, or `limit` nanoseconds have passed. Returns at once if there is none. Returns whether it
    /// has ended.
    ///
    /// # Errors
    /// Out of descriptors or memory.
    pub fn wait_for_end(pid: Pid, limit: Option<u64>) -> io::Result<bool> {
        let deadline = limit.map(|limit| monotonic().saturating_add(limit));
        let fd = match open(pid) {
            Ok(fd) => fd,
            Err(Errno::ESRCH) => return Ok(true),
            Err(errno) if has_none(errno) => return Ok(look_for_end(pid, deadline)),
            Err(errno) => return Err(errno.into()),
        };
        loop {
            let left = deadline.map(|deadline| deadline.saturating_sub(monotonic()));
            if crate::poll::readable([fd.as_fd()], left)? == [true] {
                return Ok(true);
            }
            if left == Some(0) {
                return Ok(false);
            }
        }
    }

    /// Looks again and again whether `pid` has ended, if the kernel does not report it.
    fn look_for_end(pid: Pid, deadline: Option<u64>) -> bool {
        let birth = proc::stat(pid).ok().map(|stat| stat.start);
        while !is_over(pid, birth) {
            if deadline.is_some_and(|deadline| deadline <= monotonic()) {
                return false;
            }
            crate::poll::rest_for(LOOK);
        }
        true
    }

    /// Returns whether the process `pid` that was born at that time has ended: there is no such process, or a zombie,
    /// or another process has the pid.
    fn is_over(pid: Pid, birth: Option<u64>) -> bool {
        // EPERM means that there is a process of another user. Without /proc nothing more is known.
        let there = nix::sys::signal::kill(pid, None) != Err(Errno::ESRCH);
        !there || proc::stat(pid).is_ok_and(|stat| stat.state == b'Z' || birth.is_some_and(|birth| birth != stat.start))
    }

    /// The result for the process `pid`, born at that time, if there are no pidfds: `None` if it has ended, otherwise the error.
    fn without_descriptor(pid: Pid, birth: Birth, errno: Errno) -> io::Result<Option<Adopted>> {
        if is_over(pid, None) {
            return Ok(None);
        }
        let stat = proc::stat(pid)?;
        if is_born(&stat, birth) { Err(errno.into()) } else { Ok(None) }
    }

    fn open(pid: Pid) -> nix::Result<OwnedFd> {
        // SAFETY: the call takes two numbers.
        let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
        // SAFETY: the kernel has just made this descriptor for us; it is close-on-exec by itself.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
    }

    /// Opens the pidfd of `pid`; `None` if there is no such process, or only a thread with this number.
    fn open_process(pid: Pid) -> nix::Result<Option<OwnedFd>> {
        match open(pid) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::ESRCH | Errno::EINVAL) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    impl Adopted {
        /// Finds the process `pid` if it is the one that was born at that time; `None` if that one has ended, even if it is a zombie that its
        /// parent has not reaped.
        ///
        /// # Errors
        /// If that cannot be found out: out of descriptors or memory, or no `/proc` (ENOENT). EPERM or ENOSYS if the process lives, but a
        /// sandbox or the kernel has no pidfds, so that its end would not be noticed.
        pub fn find(pid: Pid, birth: Birth) -> io::Result<Option<Adopted>> {
            let fd = match open_process(pid) {
                Ok(Some(fd)) => fd,
                Ok(None) => return Ok(None),
                Err(errno) if has_none(errno) => return without_descriptor(pid, birth, errno),
                Err(errno) => return Err(errno.into()),
            };
            let adopted = Adopted { fd, pid, birth };
            Ok(if adopted.is_born_then()? { Some(adopted) } else { None })
        }

        /// Opens the process `pid`, whatever process that is; `None` if none lives. If [`has_ended`](Adopted::has_ended) is still
        /// false after further questions about the pid, their answers were about this process.
        ///
        /// # Errors
        /// As [`find`](Adopted::find).
        pub fn open(pid: Pid) -> io::Result<Option<Adopted>> {
            let Some(fd) = open_process(pid)? else {
                return Ok(None);
            };
            let mut adopted = Adopted { fd, pid, birth: Birth { earliest: 0, latest: 0 } };
            match proc::stat(pid) {
                Ok(stat) => adopted.birth = Birth::of(&stat),
                Err(_) if adopted.has_ended()? => {}
                Err(error) => return Err(error),
            }
            Ok(if adopted.has_ended()? { None } else { Some(adopted) })
        }

        /// Takes over the pidfd of a process that was found before an upgrade.
        ///
        /// # Errors
        /// ENOSYS on a system without pidfds.
        pub fn inherit(fd: OwnedFd, pid: Pid, birth: Birth) -> io::Result<Adopted> {
            Ok(Adopted { fd, pid, birth })
        }

        /// Returns whether the pidfd is that of a process that was born at that time.
        fn is_born_then(&self) -> io::Result<bool> {
            match proc::stat(self.pid) {
                // As long as the pidfd does not report the end, no other process has the pid; so this is about the same
                // process.
                Ok(stat) => Ok(is_born(&stat, self.birth) && !self.has_ended()?),
                Err(_) if self.has_ended()? => Ok(false),
                Err(error) => Err(error),
            }
        }

        /// Its pid.
        pub fn pid(&self) -> Pid {
            self.pid
        }

        /// When it was born.
        pub fn birth(&self) -> Birth {
            self.birth
        }

        /// The pidfd, which becomes readable when the process has ended.
        pub fn fd(&self) -> BorrowedFd<'_> {
            self.fd.as_fd()
        }

        /// Returns whether the process has ended.
        pub fn has_ended(&self) -> io::Result<bool> {
            Ok(crate::poll::readable([self.fd()], Some(0))? == [true])
        }

        /// How the process ended, if the kernel still knows: until its parent has reaped it, or from Linux 6.15 on.
        pub fn exit(&self) -> Option<Change> {
            // It may be reaped between the first question and the second; then the third is answered.
            let status = self.info().or_else(|| self.zombie()).or_else(|| self.info())?;
            Some(process::change(status))
        }

        fn info(&self) -> Option<i32> {
            let mut info = Info { mask: Info::EXIT, ..Info::default() };
            // SAFETY: the number says that the kernel reads and writes as many bytes as Info has, which is ours.
            let done = unsafe { libc::ioctl(self.fd.as_raw_fd(), Info::GET as _, &raw mut info) };
            (done == 0 && info.mask & Info::EXIT != 0).then_some(info.exit_code)
        }

        fn zombie(&self) -> Option<i32> {
            // Ask this first: the check below then shows that the answer was about this process.
            let may_look = proc::may_look(self.pid);
            let stat = proc::stat(self.pid).ok()?;
            // A reader that may not look gets 0 too.
            let is_told = stat.exit_code != 0 || may_look;
            (stat.state == b'Z' && is_born(&stat, self.birth) && is_told).then_some(stat.exit_code)
        }

        /// The numbers of the descriptors that it has open.
        pub fn descriptors(&self) -> io::Result<Vec<RawFd>> {
            proc::descriptors(self.pid)
        }

        /// Copies the descriptor `number` of the process. The copy is close-on-exec.
        ///
        /// # Errors
        /// ENOSYS before Linux 5.6; EPERM if this process may not trace it.
        pub fn copy(&self, number: RawFd) -> io::Result<OwnedFd> {
            // SAFETY: the call takes numbers.
            let copy = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_getfd, self.fd.as_raw_fd(), number, 0) })?;
            // SAFETY: the kernel has just made it for us.
            Ok(unsafe { OwnedFd::from_raw_fd(copy as RawFd) })
        }

        /// Sends it a signal.
        pub fn kill(&self, signal: Signal) -> io::Result<()> {
            self.signal(signal as u8)
        }

        /// Sends it the signal with this number.
        pub fn signal(&self, number: u8) -> io::Result<()> {
            // SAFETY: the call takes two numbers, a null for no more, and no flags.
            let done = unsafe {
                libc::syscall(
                    libc::SYS_pidfd_send_signal,
                    self.fd.as_raw_fd(),
                    i32::from(number),
                    std::ptr::null::<libc::siginfo_t>(),
                    0,
                )
            };
            Errno::result(done)?;
            Ok(())
        }
    }

    /// `struct pidfd_info` of linux/pidfd.h, in its first version that has the exit code.
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        mask: u64,
        cgroup: u64,
        pids: [u32; 3],
        ids: [u32; 8],
        exit_code: i32,
    }

    impl Info {
        /// PIDFD_GET_INFO: `_IOWR(0xFF, 11, struct pidfd_info)`.
        const GET: u32 = 3 << 30 | (size_of::<Info>() as u32) << 16 | 0xff << 8 | 11;
        /// PIDFD_INFO_EXIT.
        const EXIT: u64 = 1 << 3;
    }

    /// Returns whether the tick in which a process was born touches the span, give or take one tick, since the clocks may be read on
    /// two processors.
    fn is_born(stat: &Stat, birth: Birth) -> bool {
        let begin = stat.start.saturating_mul(TICK);
        begin <= birth.latest.saturating_add(TICK) && begin.saturating_add(2 * TICK) >= birth.earliest
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_birth_is_within_a_tick_of_its_span() {
            let stat = Stat { start: 100, ..proc::stat(process::own_pid()).expect("it lives") };
            let born = |earliest, latest| is_born(&stat, Birth { earliest, latest });
            assert!(born(1_003_000_000, 1_004_000_000) && born(1_009_999_999, 1_010_000_001));
            assert!(!born(0, 980_000_000) && !born(1_031_000_000, 1_040_000_000));
            assert!(is_born(&stat, Birth::of(&stat)));
        }

        #[test]
        fn the_end_is_seen_without_a_descriptor_too() {
            let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("a child");
            let pid = Pid::from_raw(child.id().cast_signed());
            let birth = proc::stat(pid).expect("it lives").start;
            let before = [look_for_end(pid, Some(0)), is_over(pid, None), is_over(pid, Some(birth))];
            let another = is_over(pid, Some(birth + 1));
            child.kill().expect("it is ours");
            assert_eq!((before, another), ([false; 3], true), "it lives, and is not another");
            assert!(look_for_end(pid, None), "a zombie");
            child.wait().expect("it is ours");
            assert!(look_for_end(pid, None) && is_over(pid, Some(birth)));
        }

        /// In a thread of its own, which may look into no process of another user from now on.
        fn without_right_to_look<T: Send>(what: impl FnOnce() -> T + Send) -> T {
            const SYS_PTRACE: u32 = 19;
            std::thread::scope(|scope| {
                let thread = scope.spawn(|| {
                    let (mut header, mut sets) = ([0x2008_0522_u32, 0], [[0_u32; 3]; 2]);
                    // SAFETY: the calls read and write a header of two numbers and the two times three numbers of this version, of the
                    // thread that makes them.
                    unsafe {
                        libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr());
                        sets[0][0] &= !(1 << SYS_PTRACE);
                        assert_eq!(libc::syscall(libc::SYS_capset, header.as_mut_ptr(), sets.as_mut_ptr()), 0);
                    }
                    what()
                });
                thread.join().expect("ends")
            })
        }

        #[test]
        fn an_end_that_may_not_be_known_is_not_taken_for_a_success() {
            use std::os::unix::process::CommandExt;
            let mut command = std::process::Command::new("sh");
            command.args(["-c", "read line; exit 3"]).stdin(std::process::Stdio::piped());
            if crate::identity::is_root() {
                command.uid(65_534).gid(65_534);
            }
            let mut child = command.spawn().expect("a child");
            let pid = Pid::from_raw(child.id().cast_signed());
            let opened = Adopted::open(pid).expect("it can be told").expect("it lives");
            drop(child.stdin.take());
            while !opened.has_ended().expect("it can be told") {
                std::thread::yield_now();
            }
            let (seen, unseen) = (opened.exit(), without_right_to_look(|| opened.exit()));
            child.wait().expect("it is ours");
            assert_eq!(seen, Some(Change::Exited(3)));
            // Who runs this as an ordinary user may look into what is that user's.
            assert_eq!(unseen, if crate::identity::is_root() { None } else { seen });
        }

        #[test]
        fn a_process_that_is_opened_is_found_again_and_none_is_opened_that_has_ended() {
            let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("a child");
            let pid = Pid::from_raw(child.id().cast_signed());
            let opened = Adopted::open(pid);
            let found = opened.as_ref().map(|opened| opened.as_ref().map(|opened| Adopted::find(pid, opened.birth())));
            let found = matches!(found, Ok(Some(Ok(Some(_)))));
            child.kill().expect("it is ours");
            assert!(found, "it lives, and was born then");
            let opened = opened.expect("it can be told").expect("it lives");
            assert_eq!(opened.pid(), pid);
            while !opened.has_ended().expect("it can be told") {
                std::thread::yield_now();
            }
            assert!(Adopted::open(pid).expect("it can be told").is_none(), "a zombie");
            child.wait().expect("it is ours");
            assert!(Adopted::open(pid).expect("it can be told").is_none());
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

    use super::{Birth, Change, Pid, Signal, io};

    /// Returns true: on this system nothing is known about the process, so it counts as alive.
    pub fn lives(_pid: Pid) -> bool {
        true
    }

    /// Fails with ENOSYS.
    pub fn wait_for_end(_pid: Pid, _limit: Option<u64>) -> io::Result<bool> {
        Err(nix::errno::Errno::ENOSYS.into())
    }

    /// A process that is watched through its pidfd. There is none on this system.
    #[derive(Debug)]
    pub enum Adopted {}

    impl Adopted {
        /// Fails with ENOSYS.
        pub fn inherit(_fd: OwnedFd, _pid: Pid, _birth: Birth) -> io::Result<Adopted> {
            Err(nix::errno::Errno::ENOSYS.into())
        }

        /// Finds no process.
        pub fn find(_pid: Pid, _birth: Birth) -> io::Result<Option<Adopted>> {
            Ok(None)
        }

        /// Fails with ENOSYS.
        pub fn open(_pid: Pid) -> io::Result<Option<Adopted>> {
            Err(nix::errno::Errno::ENOSYS.into())
        }

        /// Never called.
        pub fn pid(&self) -> Pid {
            match *self {}
        }

        /// Never called.
        pub fn birth(&self) -> Birth {
            match *self {}
        }

        /// Never called.
        pub fn fd(&self) -> BorrowedFd<'_> {
            match *self {}
        }

        /// Never called.
        pub fn has_ended(&self) -> io::Result<bool> {
            match *self {}
        }

        /// Never called.
        pub fn exit(&self) -> Option<Change> {
            match *self {}
        }

        /// Never called.
        pub fn descriptors(&self) -> io::Result<Vec<RawFd>> {
            match *self {}
        }

        /// Never called.
        pub fn copy(&self, _number: RawFd) -> io::Result<OwnedFd> {
            match *self {}
        }

        /// Never called.
        pub fn signal(&self, _number: u8) -> io::Result<()> {
            match *self {}
        }

        /// Never called.
        pub fn kill(&self, _signal: Signal) -> io::Result<()> {
            match *self {}
        }
    }
}
