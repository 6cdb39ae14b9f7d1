//! Replacing the process's program, with the original's way through PATH.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;

/// PATH of a process that has none.
const NO_PATH: &[u8] = b"/bin:/usr/bin";

/// Executes the file at `path` with the environment `env`, or with the process's own. Returns only if that failed.
pub fn exec(path: &CStr, argv: &[CString], env: Option<&[CString]>) -> io::Error {
    let failed = match env {
        Some(env) => nix::unistd::execve(path, argv, env),
        None => nix::unistd::execv(path, argv),
    };
    let Err(errno) = failed;
    errno.into()
}

/// Executes `argv[0]`, looked up in PATH if it has no slash, as [`exec`] does.
///
/// The PATH is the process's own even where `env` has another. An empty element is the current directory. An element
/// without the file is passed over; so is one where it cannot be executed, but then that is the error at the end. Any
/// other error ends the search. A script without `#!` is not given to a shell.
pub fn path_exec(argv: &[CString], env: Option<&[CString]>) -> io::Error {
    let Some(name) = argv.first() else {
        return io::Error::from(Errno::ENOENT);
    };
    if name.as_bytes().contains(&b'/') {
        return exec(name, argv, env);
    }
    let path = std::env::var_os("PATH");
    let path = path.as_deref().map_or(NO_PATH, OsStr::as_bytes);
    let mut remembered = Errno::ENOENT;
    for element in path.split(|&byte| byte == b':') {
        let failed = exec(&join(element, name), argv, env);
        match failed.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT) => {}
            Some(errno @ (Errno::EACCES | Errno::EPERM | Errno::EISDIR)) => remembered = errno,
            _ => return failed,
        }
    }
    io::Error::from(remembered)
}

fn join(directory: &[u8], name: &CStr) -> CString {
    let directory = if directory.is_empty() { b"." } else { directory };
    let mut path = Vec::with_capacity(directory.len() + 1 + name.count_bytes());
    path.extend_from_slice(directory);
    path.push(b'/');
    path.extend_from_slice(name.to_bytes());
    c_string(OsStr::from_bytes(&path))
}

/// `word` as a C string. Words come from `argv`, the environment and directories, so none holds a NUL; should one, it ends
/// there.
pub fn c_string(word: &OsStr) -> CString {
    let bytes = word.as_bytes();
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    CString::new(&bytes[..end]).unwrap_or_default()
}
