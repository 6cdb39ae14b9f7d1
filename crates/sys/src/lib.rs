//! The system calls of the suite. The only crate with `unsafe`.
//!
//! It contains no decisions: it never logs, never exits (except for a child that could not exec), and returns
//! `io::Result`. A call that a signal has interrupted is repeated, so no caller sees EINTR.
//!
//! The programs are single-threaded. This crate relies on that when it starts children and when it reads `environ`.

#![allow(unsafe_code)]

pub mod adopted;
pub mod arena;
pub mod argv;
mod boot;
pub mod cgroup;
pub mod clock;
pub mod descriptors;
pub mod environ;
pub mod exec;
pub mod fd;
pub mod identity;
pub mod in_use;
pub mod inode;
pub mod input;
mod kept;
pub mod limits;
pub mod listen;
pub mod locks;
#[cfg(target_os = "linux")]
mod message;
pub mod mounts;
pub mod names;
pub mod notify;
pub mod oom;
pub mod passed;
pub mod pattern;
pub mod poll;
pub mod presence;
pub mod proc;
pub mod process;
pub mod random;
pub mod rename;
pub mod room;
pub mod sealed;
pub mod signals;
mod spawn;
pub mod stack;
pub mod terminal;
pub mod watch;

/// The errno of an input/output error.
pub const EIO: i32 = libc::EIO;
/// The caller may not do that to the file.
pub const EACCES: i32 = libc::EACCES;
/// The errno of a call that may succeed later.
pub const EAGAIN: i32 = libc::EAGAIN;
/// The errno of a file that does not exist.
pub const ENOENT: i32 = libc::ENOENT;
/// The errno of an operation that is not permitted.
pub const EPERM: i32 = libc::EPERM;
/// The errno of a path through a file that is not a directory.
pub const ENOTDIR: i32 = libc::ENOTDIR;
/// The errno of a descriptor that is not open.
pub const EBADF: i32 = libc::EBADF;
/// The errno of a process that has no more descriptors.
pub const EMFILE: i32 = libc::EMFILE;
/// The errno of a system that has no more open files.
pub const ENFILE: i32 = libc::ENFILE;
/// The errno of a call for which there is no memory.
pub const ENOMEM: i32 = libc::ENOMEM;
/// The errno of a system call that the kernel does not have.
pub const ENOSYS: i32 = libc::ENOSYS;
/// The errno of links that lead to each other.
pub const ELOOP: i32 = libc::ELOOP;
/// The errno of a timeout.
pub const ETIMEDOUT: i32 = libc::ETIMEDOUT;
/// The errno of a process that does not exist.
pub const ESRCH: i32 = libc::ESRCH;
/// The errno of a full disk.
pub const ENOSPC: i32 = libc::ENOSPC;
