//! The files of `/proc/PID`, which are read only here.
//!
//! A pid names the process that has it at the moment of the question. A caller that must not mistake one process for another
//! holds its pidfd ([`crate::adopted`]), asks here, and checks afterwards that the process has not ended.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::RawFd;
use std::path::Path;

use nix::errno::Errno;

use crate::fd::read_file;
use crate::process::Pid;

/// A tick of `/proc/PID/stat` in nanoseconds: a hundredth of a second (USER_HZ) in every kernel that this runs on.
pub const TICK: u64 = 10_000_000;

/// Some fields of `/proc/PID/stat`. proc(5) counts them from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Field 3: its state; `Z` for a process that has ended and was not reaped.
    pub state: u8,
    /// Field 4: its parent; 0 if that is not visible to this process.
    pub parent: Pid,
    /// Field 5: its process group.
    pub group: Pid,
    /// Field 6: its session.
    pub session: Pid,
    /// Fields 14 and 15: the processor time that all its threads have used, in ticks.
    pub cpu: u64,
    /// Field 20: how many threads it has.
    pub threads: u64,
    /// Field 22: when it was born, in clock ticks since the boot.
    pub start: u64,
    /// Field 23: the size of its address space in bytes; 0 for a kernel thread, or a process that has ended.
    pub memory: u64,
    /// Field 24: how much of it is in memory, in pages.
    pub resident: u64,
    /// Field 51: the address of the end of its environment; 0 in the middle of an exec, and for a reader that may not
    /// look.
    pub environment_end: u64,
    /// Field 52: how it ended, in waitpid's form; 0 for a reader that may not look.
    pub exit_code: i32,
}

impl Stat {
    /// Whether the process has not ended. One whose first thread has ended lives as long as another does.
    pub fn lives(&self) -> bool {
        !b"ZXx".contains(&self.state) || self.threads > 1
    }
}

/// Reads the `stat` of a process.
///
/// # Errors
/// ENOENT or ESRCH if there is no such process; InvalidData if the file is not as the kernel writes it.
pub fn stat(pid: Pid) -> io::Result<Stat> {
    // Fifty numbers, and a name of 64 bytes at most.
    let mut text = [0; 1500];
    parse(read_file(&*format!("/proc/{pid}/stat"), &mut text)?).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn parse(text: &[u8]) -> Option<Stat> {
    // Field 2 is the name in parentheses, which may contain anything, even parentheses and spaces.
    let name_end = text.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(text.get(name_end + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    let later = |number| field(number).and_then(|digits| digits.parse::<u64>().ok()).unwrap_or(0);
    Some(Stat {
        state: *field(3)?.as_bytes().first()?,
        parent: Pid::from_raw(field(4)?.parse().ok()?),
        group: Pid::from_raw(field(5)?.parse().ok()?),
        session: Pid::from_raw(field(6)?.parse().ok()?),
        cpu: later(14).saturating_add(later(15)),
        threads: later(20),
        start: field(22)?.parse().ok()?,
        memory: later(23),
        resident: later(24),
        environment_end: later(51),
        exit_code: field(52).and_then(|code| code.parse().ok()).unwrap_or(0),
    })
}

/// The parent of a process; `None` for init and for a process without a visible parent.
pub fn parent(pid: Pid) -> Option<Pid> {
    Some(stat(pid).ok()?.parent).filter(|parent| parent.as_raw() > 1)
}

/// The session of a process, which is that of its parent unless one of the two has begun a session of its own.
pub fn session(pid: Pid) -> Option<Pid> {
    Some(stat(pid).ok()?.session)
}

/// The children of the first thread of a process that have not been reaped. Empty if the kernel does not tell.
pub fn children(pid: Pid) -> Vec<Pid> {
    children_of_thread(pid, pid)
}

fn children_of_thread(pid: Pid, thread: Pid) -> Vec<Pid> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")).unwrap_or_default();
    listed.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
}

/// The children of all threads of a process.
fn children_of(pid: Pid, stat: &Stat) -> Vec<Pid> {
    if stat.threads <= 1 {
        return children(pid);
    }
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let threads = threads.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).map(Pid::from_raw);
    threads.flat_map(|thread| children_of_thread(pid, thread)).collect()
}

/// Reads the processes `roots` and all that descend from them, without a look at any other process. This is not done at a single moment, as with [`all`]; but what loses its
/// parent meanwhile and becomes a child of one of `roots` is there. `None` if the kernel does not tell the children of a process (CONFIG_PROC_CHILDREN).
pub fn family(roots: &[Pid]) -> Option<BTreeMap<Pid, Stat>> {
    const PASSES: usize = 8;
    fs::metadata("/proc/thread-self/children").ok()?;
    let mut found = BTreeMap::new();
    let mut due: Vec<Pid> = roots.to_vec();
    // Who makes children without end does not keep the caller for longer.
    for _ in 0..PASSES {
        while let Some(pid) = due.pop() {
            if found.contains_key(&pid) {
                continue;
            }
            if let Ok(stat) = stat(pid) {
                found.insert(pid, stat);
                due.extend(children_of(pid, &stat));
            }
        }
        let again = roots.iter().filter_map(|root| Some((*root, found.get(root)?)));
        due = again.flat_map(|(root, stat)| children_of(root, stat)).filter(|pid| !found.contains_key(pid)).collect();
        // One that is listed and has ended is reaped later.
        due.retain(|&pid| stat(pid).is_ok());
    }
    Some(found)
}

/// The name of a process, which it can choose itself.
pub fn name(pid: Pid) -> Option<Vec<u8>> {
    let mut name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    name.pop_if(|last| *last == b'\n');
    Some(name)
}

/// Returns whether `pid` is `of`, belongs to the process group that `of` leads, or descends from `of`, as far as is known. Descent
/// matters since a helper of the service may have the process group of a process above `of`.
pub fn descends(pid: Pid, of: Pid) -> bool {
    /// How many parents are followed: the process tree of one service is not deeper.
    const DEEPEST: usize = 32;
    let is_of = |pid: Pid| pid == of || nix::unistd::getpgid(Some(pid)) == Ok(of);
    // 0 and less are not processes: to the kernel 0 means the process that asks.
    let first = Some(pid).filter(|pid| pid.as_raw() > 0);
    std::iter::successors(first, |&pid| parent(pid)).take(DEEPEST).any(is_of)
}

/// Returns whether there is a process `pid`, including one that has ended and was not reaped.
pub fn exists(pid: Pid) -> bool {
    // EPERM means that there is a process of another user.
    pid.as_raw() > 0 && nix::sys::signal::kill(pid, None) != Err(Errno::ESRCH)
}

/// Returns whether a process of `user` may signal `pid`, by the kernel's rule: `user` is root, or the real or saved user of `pid`.
/// False if there is no such process.
pub fn may_be_signalled(pid: Pid, user: u32) -> bool {
    match users(pid) {
        Some([real, _, saved, _]) => user == 0 || [real, saved].contains(&user),
        None => false,
    }
}

/// The user ids of a process: real, effective, saved, and that for files; `None` if it has ended, or is not visible. The owner of `/proc/PID` is
/// something else: it is root for a process that may not be dumped.
pub fn users(pid: Pid) -> Option<[u32; 4]> {
    // The line is one of the first.
    let mut text = [0; 1024];
    users_in(read_file(&*format!("/proc/{pid}/status"), &mut text).ok()?)
}

/// The user ids, as [`users`] returns them, in the text of `/proc/PID/status`.
pub(crate) fn users_in(status: &[u8]) -> Option<[u32; 4]> {
    // The name, in the first line, has no newline in it: that is written as \n.
    let line = status.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"Uid:"))?;
    let mut ids = std::str::from_utf8(line).ok()?.split_ascii_whitespace().map(|id| id.parse().ok());
    Some([ids.next()??, ids.next()??, ids.next()??, ids.next()??])
}

/// Whether a string is in the environment with which a process was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// The environment has the string.
    Has,
    /// The environment does not have the string, or cannot be read.
    HasNot,
    /// There is no environment yet: the process is in the middle of an exec.
    NotYet,
}

/// Returns whether `string`, in the form `NAME=VALUE`, is in the environment with which `pid`, or the process from which it
/// was forked, was executed.
pub fn environment(pid: Pid, string: &[u8]) -> Environment {
    match fs::read(format!("/proc/{pid}/environ")) {
        Err(_) => Environment::HasNot,
        Ok(environment) if environment.split(|&byte| byte == 0).any(|found| found == string) => Environment::Has,
        // The environment could be read, so the kernel also tells where it ends, if there is one.
        Ok(environment) if environment.is_empty() => match stat(pid) {
            Ok(Stat { environment_end: 0, memory: 1.., .. }) => Environment::NotYet,
            Ok(_) | Err(_) => Environment::HasNot,
        },
        Ok(_) => Environment::HasNot,
    }
}

/// Returns whether this process may look into `pid`, as a debugger may, so that the kernel hides nothing. Also true for a process
/// that has ended.
pub fn may_look(pid: Pid) -> bool {
    match fs::read_link(format!("/proc/{pid}/exe")) {
        Ok(_) => true,
        // The process has no executable any more, or never had one.
        Err(error) => error.raw_os_error() == Some(libc::ENOENT) && exists(pid),
    }
}

/// The pid of every process that `/proc` shows. Some may have ended when they are asked about.
///
/// # Errors
/// If there is no `/proc`.
pub fn pids() -> io::Result<impl Iterator<Item = Pid>> {
    let entries = fs::read_dir("/proc")?.flatten();
    Ok(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).map(Pid::from_raw))
}

/// Reads every process and its parent. This is not done at a single moment: a process that is born meanwhile may be missing,
/// and one that ends may be there.
///
/// # Errors
/// If there is no `/proc`.
pub fn all() -> io::Result<Vec<(Pid, Pid)>> {
    let found: Vec<_> = pids()?.filter_map(|pid| Some((pid, stat(pid).ok()?.parent))).collect();
    // Without any process, this is not a mounted /proc.
    if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
}

/// The size of a page in bytes.
pub fn page() -> u64 {
    // SAFETY: the call takes a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // Every system has pages.
    u64::try_from(size).unwrap_or(4096)
}

/// The numbers of the descriptors that the process has open.
///
/// # Errors
/// EACCES for a process that this one may not look into.
pub fn descriptors(pid: Pid) -> io::Result<Vec<RawFd>> {
    let names = fs::read_dir(format!("/proc/{pid}/fd"))?;
    Ok(names.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// The inode number of the unnamed pipe that the process has open as `number`; `None` if it is something else, or unknown. Nothing is
/// opened for this, since opening a file may have effects.
pub fn pipe(pid: Pid, number: RawFd) -> Option<u64> {
    let target = fs::read_link(format!("/proc/{pid}/fd/{number}")).ok()?;
    let inode = |target: &Path| target.to_str()?.strip_prefix("pipe:[")?.strip_suffix(']')?.parse().ok();
    inode(&target)
}

/// The inode numbers of the sockets that the process has open.
///
/// # Errors
/// EACCES for a process that this one may not look into.
pub fn sockets(pid: Pid) -> io::Result<Vec<u64>> {
    let inode = |number| {
        let target = fs::read_link(format!("/proc/{pid}/fd/{number}")).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    Ok(descriptors(pid)?.into_iter().filter_map(inode).collect())
}

/// The inode numbers of the unnamed pipes that the process has open. Empty if this process may not look into it.
pub fn pipes(pid: Pid) -> Vec<u64> {
    descriptors(pid).unwrap_or_default().into_iter().filter_map(|number| pipe(pid, number)).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::fd::AsFd;
    use std::process::{Child, Command};

    use super::*;
    use crate::process::own_pid;

    fn pid(child: &Child) -> Pid {
        Pid::from_raw(child.id().cast_signed())
    }

    #[test]
    fn a_name_with_parentheses_and_spaces_is_no_field() {
        let text = b"7 (a) R (b\nc) S 1 7 7 0 -1 0 0 0 0 0 3 4 0 0 20 0 1 0 4711 12 5";
        let stat = parse(text).expect("well formed");
        assert_eq!((stat.state, stat.parent, stat.start, stat.memory), (b'S', Pid::from_raw(1), 4711, 12));
        assert_eq!((stat.cpu, stat.resident), (7, 5));
        assert_eq!((stat.group, stat.threads, stat.lives()), (Pid::from_raw(7), 1, true));
        assert_eq!((stat.environment_end, stat.exit_code), (0, 0));
    }

    #[test]
    fn what_is_cut_short_is_no_stat() {
        for text in
            [&b""[..], b"7", b"7 (a", b"7 (a)", b"7 (a) S 1 7", b"7 (a) S x x x x x x x x x x x x x x x x x x x"]
        {
            assert!(parse(text).is_none());
        }
    }

    #[test]
    fn the_users_are_those_of_the_line_about_users() {
        let status = b"Name:\tUid:\\nUid:\nGid:\t5\t6\t7\t8\nUid:\t1\t2\t3\t4\nGroups:\t9 \n";
        assert_eq!(users_in(status), Some([1, 2, 3, 4]));
        for cut in [&b""[..], b"Uid:\t1\t2\t3", b"Uid:\t1\t2\t3\tx\n", b"Uid:\n"] {
            assert_eq!(users_in(cut), None);
        }
        let (user, own) = (crate::identity::effective_user(), users(own_pid()));
        assert_eq!(own.map(|users| users[1]), Some(user));
    }

    #[test]
    fn this_process_is_among_all_with_its_pipe() {
        let (_, parent) = all().expect("/proc").into_iter().find(|&(pid, _)| pid == own_pid()).expect("it lives");
        assert_eq!(parent, Pid::parent());
        let (reader, _writer) = crate::fd::pipe().expect("a pipe");
        let id = crate::fd::pipe_id(reader.as_fd()).expect("it is one");
        assert_eq!(pipes(own_pid()).iter().filter(|&&pipe| pipe == id).count(), 2);
    }

    #[test]
    fn a_family_is_all_that_descends_from_its_roots_and_nobody_else() {
        let mut child = Command::new("sh").args(["-c", "sleep 1000 & wait"]).spawn().expect("a shell");
        let mut other = Command::new("sleep").arg("1000").spawn().expect("a program");
        let (root, stranger) = (pid(&child), pid(&other));
        let grandchild = || children(root).first().copied();
        while grandchild().is_none() {
            std::thread::yield_now();
        }
        let grandchild = grandchild().expect("it sleeps");
        let found = family(&[root]).expect("the kernel tells the children of a process");
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), [root, grandchild]);
        assert_eq!((found[&root].parent, found[&grandchild].parent), (own_pid(), root));
        // The children of a thread that is not the first are among them: tests run in threads.
        let all = family(&[own_pid(), root]).expect("it told before");
        assert!([own_pid(), root, grandchild, stranger].iter().all(|pid| all.contains_key(pid)));
        assert_eq!(family(&[Pid::from_raw(i32::MAX)]), Some(BTreeMap::new()));
        crate::process::kill(grandchild, crate::process::Signal::SIGKILL).expect("it is ours");
        for child in [&mut child, &mut other] {
            child.kill().expect("it is ours");
            child.wait().expect("it is ours");
        }
    }

    #[test]
    fn a_process_descends_from_itself_its_group_and_its_parents() {
        let own = own_pid();
        assert!(descends(own, own) && descends(own, nix::unistd::getpgrp()) && descends(own, Pid::parent()));
        assert!(!descends(Pid::from_raw(1), own) || own.as_raw() == 1);
        for nobody in [0, -1] {
            assert!(!descends(Pid::from_raw(nobody), nix::unistd::getpgrp()), "{nobody} is nobody");
            assert!(!exists(Pid::from_raw(nobody)));
        }
    }

    #[test]
    fn a_string_is_found_in_the_environment_as_a_whole() {
        let mut child = Command::new("sleep").arg("1000").env("SOCKET", "@00abc").spawn().expect("a child");
        // In the middle of its exec there is none.
        while environment(pid(&child), b"SOCKET=@00abc") == Environment::NotYet {
            std::thread::yield_now();
        }
        let found =
            [&b"SOCKET=@00abc"[..], b"SOCKET=@00ab", b"OCKET=@00abc", b""].map(|text| environment(pid(&child), text));
        let signalled =
            [0, users(own_pid()).expect("it lives")[0], 54_321].map(|user| may_be_signalled(pid(&child), user));
        child.kill().and_then(|()| child.wait()).expect("it is ours");
        assert_eq!(found[0], Environment::Has);
        assert_eq!(found[1..3], [Environment::HasNot; 2]);
        assert_eq!(signalled, [true, true, false]);
        assert_eq!(environment(pid(&child), b"SOCKET=@00abc"), Environment::HasNot);
        assert!(!may_be_signalled(pid(&child), 0) && !exists(pid(&child)));
    }

    #[test]
    fn an_environment_that_is_empty_is_not_one_that_is_yet_to_come() {
        let mut child = Command::new("sleep").arg("1000").env_clear().spawn().expect("a child");
        while stat(pid(&child)).expect("it lives").environment_end == 0 {
            std::thread::yield_now();
        }
        let found = environment(pid(&child), b"A=b");
        child.kill().and_then(|()| child.wait()).expect("it is ours");
        assert_eq!(found, Environment::HasNot);
        // A thread of the kernel has none, and no memory either.
        assert_ne!(environment(Pid::from_raw(2), b"A=b"), Environment::NotYet);
    }

    #[test]
    fn a_zombie_can_be_looked_into_and_nobody_cannot() {
        let mut child = Command::new("true").spawn().expect("a child");
        while stat(pid(&child)).expect("it was not reaped").state != b'Z' {
            std::thread::yield_now();
        }
        assert!(may_look(pid(&child)) && may_look(own_pid()));
        child.wait().expect("it is ours");
        assert!(!may_look(pid(&child)));
    }
}
