//! Finding the other programs of the suite: no program contains another, they exec each other.

use std::ffi::{CString, OsStr};
use std::io;
use std::path::PathBuf;

use cli::Call;
use sys::exec::c_string;

/// Where the suite's programs are.
pub enum Peers {
    /// In one file, which is what it is called as.
    AllInOne(CString),
    /// Beside this one.
    Beside(PathBuf),
    /// Who knows: on PATH.
    OnPath,
}

impl Peers {
    /// Those of the program that was called so. Asked once at the start: after an upgrade the kernel would name a deleted file.
    pub fn of(call: &Call) -> Peers {
        match std::env::current_exe() {
            Ok(own) if call.all_in_one => Peers::AllInOne(c_string(own.as_os_str())),
            Ok(own) => own.parent().map_or(Peers::OnPath, |directory| Peers::Beside(directory.to_path_buf())),
            Err(_) => Peers::OnPath,
        }
    }

    /// Becomes the program `name`. Returns only if that failed: what is not beside this program was looked for on PATH too.
    pub fn exec(&self, name: &str, words: &[&OsStr], env: Option<&[CString]>) -> io::Error {
        let argv: Vec<CString> = [OsStr::new(name)].iter().chain(words).map(|word| c_string(word)).collect();
        let failed = match self {
            Peers::AllInOne(own) => return sys::exec::exec(own, &argv, env),
            Peers::Beside(directory) => sys::exec::exec(&c_string(directory.join(name).as_os_str()), &argv, env),
            Peers::OnPath => io::ErrorKind::NotFound.into(),
        };
        if failed.kind() == io::ErrorKind::NotFound { sys::exec::path_exec(&argv, env) } else { failed }
    }
}
