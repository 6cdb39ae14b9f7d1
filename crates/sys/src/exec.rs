//! Executes another program in this process, with the original's search along PATH.

use std::cell::Cell;
use std::ffi::{CStr, CString, OsStr, OsString, c_char};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::errno::Errno;

/// The path that is searched if there is no PATH.
const NO_PATH: &[u8] = b"/bin:/usr/bin";

/// A prepared exec. All memory for it is already allocated: for a process that has limited its memory, and for a child
/// that borrows its parent's memory.
pub struct Prepared<'a> {
    name: &'a CStr,
    /// Pointers to the words, with a null at the end, for execve.
    argv: Vec<*const c_char>,
    env: Option<Vec<*const c_char>>,
    /// The PATH to search.
    path: Vec<u8>,
    /// The path of the file that is being tried.
    file: Vec<u8>,
    /// The variable that is to hold the pid of the process that executes.
    pid: Option<PidVariable>,
}

impl<'a> Prepared<'a> {
    /// Prepares to execute `argv` with the environment `env`; with `None`, with the environment of the process at the
    /// time of the exec.
    pub fn new(argv: &'a [CString], env: Option<&'a [CString]>) -> Prepared<'a> {
        Prepared::named(argv.first().map_or(c"", CString::as_c_str), argv, env)
    }

    /// Prepares to execute the file `name` as [`new`](Prepared::new) does, whatever the first word of `argv` is.
    pub fn named(name: &'a CStr, argv: &'a [CString], env: Option<&'a [CString]>) -> Prepared<'a> {
        let (mut path, mut file) = (Vec::new(), Vec::new());
        if !has_slash(name) {
            path = std::env::var_os("PATH").map_or_else(|| NO_PATH.to_vec(), OsString::into_vec);
            // Room for an element (a dot for an empty one), a slash, the name and its NUL.
            file.reserve_exact(path.len() + name.count_bytes() + 3);
        }
        Prepared { name, argv: pointers(argv), env: env.map(pointers), path, file, pid: None }
    }

    /// Adds the variable `name`, which holds the pid of the process that executes. The environment must not have this variable
    /// already, and the environment of the process must not be changed before the exec.
    #[must_use]
    pub fn telling_pid(mut self, name: &CStr) -> Prepared<'a> {
        let variable = PidVariable::new(name);
        let env = self.env.get_or_insert_with(crate::environ::pointers);
        env.insert(env.len() - 1, variable.pointer());
        self.pid = Some(variable);
        self
    }

    /// Executes the file at `path`. Returns only if that failed.
    pub fn exec(&self, path: &CStr) -> io::Error {
        self.write_pid();
        execute(path.to_bytes_with_nul(), &self.argv, self.env.as_deref()).into()
    }

    /// Executes the first word, or what was named in place of it, looked up in PATH if it has no slash. Returns only if that failed.
    ///
    /// The PATH is that of this process, even if the given environment has another one. An empty element means the
    /// current directory. An element without the file is passed over; so is an element whose file may not be executed,
    /// but then that is the error at the end. Any other error ends the search. A script without `#!` is not given to a
    /// shell.
    pub fn path_exec(&mut self) -> io::Error {
        if has_slash(self.name) {
            return self.exec(self.name);
        }
        self.write_pid();
        let mut remembered = Errno::ENOENT;
        for element in self.path.split(|&byte| byte == b':') {
            join(&mut self.file, element, self.name);
            match execute(&self.file, &self.argv, self.env.as_deref()) {
                Errno::ENOENT => {}
                errno @ (Errno::EACCES | Errno::EPERM | Errno::EISDIR) => remembered = errno,
                errno => return errno.into(),
            }
        }
        remembered.into()
    }

    fn write_pid(&self) {
        if let Some(variable) = &self.pid {
            variable.write(std::process::id());
        }
    }
}

/// `NAME=` with room for a number, which is written when no more memory may be allocated.
struct PidVariable {
    /// Cells, since the environment points here while the number is written.
    bytes: Box<[Cell<u8>]>,
    /// The offset of the number.
    number: usize,
}

impl PidVariable {
    /// Room for the digits of the largest number, and a NUL.
    const ROOM: usize = 11;

    fn new(name: &CStr) -> PidVariable {
        let mut bytes = name.to_bytes().to_vec();
        bytes.push(b'=');
        let number = bytes.len();
        bytes.resize(number + PidVariable::ROOM, 0);
        PidVariable { bytes: bytes.into_iter().map(Cell::new).collect(), number }
    }

    fn pointer(&self) -> *const c_char {
        self.bytes.as_ptr().cast()
    }

    fn write(&self, pid: u32) {
        let digits = pid.checked_ilog10().unwrap_or(0) as usize + 1;
        let mut rest = pid;
        for place in (0..digits).rev() {
            self.bytes[self.number + place].set(b'0' + (rest % 10) as u8);
            rest /= 10;
        }
        self.bytes[self.number + digits].set(0);
    }
}

fn has_slash(name: &CStr) -> bool {
    name.to_bytes().contains(&b'/')
}

fn pointers(words: &[CString]) -> Vec<*const c_char> {
    words.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect()
}

fn join(file: &mut Vec<u8>, directory: &[u8], name: &CStr) {
    file.clear();
    file.extend_from_slice(if directory.is_empty() { b"." } else { directory });
    file.push(b'/');
    file.extend_from_slice(name.to_bytes_with_nul());
}

/// `file` ends with a NUL; `argv` and `env` are what [`pointers`] returned for words that still live.
fn execute(file: &[u8], argv: &[*const c_char], env: Option<&[*const c_char]>) -> Errno {
    let env = env.map_or_else(crate::environ::raw, <[_]>::as_ptr);
    // SAFETY: all three are C strings, or arrays of them with a null at the end, and live until the call returns.
    unsafe { libc::execve(file.as_ptr().cast(), argv.as_ptr(), env) };
    Errno::last()
}

/// Converts `word` to a C string. Words come from `argv`, the environment and directories, so they contain no NUL; if one
/// does, it ends there.
pub fn c_string(word: &OsStr) -> CString {
    let bytes = word.as_bytes();
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    CString::new(&bytes[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pid_is_written_whole() {
        let variable = PidVariable::new(c"X");
        for pid in [7, 10, 99, u32::MAX, 1, 4_194_304, 0] {
            variable.write(pid);
            // SAFETY: it ends with a NUL, and nothing writes meanwhile.
            let text = unsafe { CStr::from_ptr(variable.pointer()) };
            assert_eq!(text.to_str(), Ok(format!("X={pid}").as_str()));
        }
    }
}
