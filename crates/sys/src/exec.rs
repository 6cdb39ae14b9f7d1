//! Replacing the process's program, with the original's way through PATH.

use std::ffi::{CStr, CString, OsStr, OsString, c_char};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::errno::Errno;

/// PATH of a process that has none.
const NO_PATH: &[u8] = b"/bin:/usr/bin";

/// What is to be executed, with all the memory that takes already in hand: for a process that forbids itself to have more,
/// and for one that borrows its parent's.
pub struct Prepared<'a> {
    name: &'a CStr,
    /// Pointers into the words, as execve wants them: with a null at the end.
    argv: Vec<*const c_char>,
    env: Option<Vec<*const c_char>>,
    /// The elements to search.
    path: Vec<u8>,
    /// The name of the file that is tried.
    file: Vec<u8>,
}

impl<'a> Prepared<'a> {
    /// `argv` with the environment `env`, or with the process's own as it is at the time.
    pub fn new(argv: &'a [CString], env: Option<&'a [CString]>) -> Prepared<'a> {
        let name = argv.first().map_or(c"", CString::as_c_str);
        let (mut path, mut file) = (Vec::new(), Vec::new());
        if !has_slash(name) {
            path = std::env::var_os("PATH").map_or_else(|| NO_PATH.to_vec(), OsString::into_vec);
            // An element, or the dot for an empty one; a slash; the name and its NUL.
            file.reserve_exact(path.len() + name.count_bytes() + 3);
        }
        Prepared { name, argv: pointers(argv), env: env.map(pointers), path, file }
    }

    /// Executes the file at `path`. Returns only if that failed.
    pub fn exec(&self, path: &CStr) -> io::Error {
        execute(path.to_bytes_with_nul(), &self.argv, self.env.as_deref()).into()
    }

    /// Executes the first word, looked up in PATH if it has no slash. Returns only if that failed.
    ///
    /// The PATH is the process's own even where the environment given has another. An empty element is the current
    /// directory. An element without the file is passed over; so is one where it cannot be executed, but then that is the
    /// error at the end. Any other error ends the search. A script without `#!` is not given to a shell.
    pub fn path_exec(&mut self) -> io::Error {
        if has_slash(self.name) {
            return self.exec(self.name);
        }
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

/// `word` as a C string. Words come from `argv`, the environment and directories, so none holds a NUL; should one, it ends
/// there.
pub fn c_string(word: &OsStr) -> CString {
    let bytes = word.as_bytes();
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    CString::new(&bytes[..end]).unwrap_or_default()
}
