//! Finding the other programs of the suite: no program contains another, they exec each other.

use std::ffi::{CString, OsStr};
use std::io;
use std::path::PathBuf;

use cli::Call;
use sys::exec::{Prepared, c_string};

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
        match sys::process::own_program() {
            Ok(own) if call.all_in_one => Peers::AllInOne(c_string(own.as_os_str())),
            Ok(own) => {
                // The name it was executed under may be a link away from the others.
                let names = [Some(own), std::env::current_exe().ok()];
                let mut directories = names.iter().flatten().filter_map(|name| name.parent());
                let beside = directories.find(|directory| directory.join("supervise").exists());
                beside.map_or(Peers::OnPath, |directory| Peers::Beside(directory.to_path_buf()))
            }
            Err(_) => Peers::OnPath,
        }
    }

    /// The program `name`, called with `words`.
    pub fn program(&self, name: &str, words: &[&OsStr]) -> Peer {
        let argv = [OsStr::new(name)].iter().chain(words).map(|word| c_string(word)).collect();
        let (file, on_path) = match self {
            Peers::AllInOne(own) => (Some(own.clone()), false),
            Peers::Beside(directory) => (Some(c_string(directory.join(name).as_os_str())), true),
            Peers::OnPath => (None, true),
        };
        Peer { file, on_path, argv }
    }
}

/// One of the other programs, and what it is called with.
pub struct Peer {
    /// Where it should be.
    file: Option<CString>,
    /// Whether it is looked for on PATH if it is not there.
    on_path: bool,
    argv: Vec<CString>,
}

impl Peer {
    /// What becomes the program, with the environment `env` or with the process's own. It returns only if that failed, and takes
    /// no memory.
    pub fn prepare<'a>(&'a self, env: Option<&'a [CString]>) -> impl FnMut() -> io::Error + 'a {
        let mut prepared = Prepared::new(&self.argv, env);
        move || {
            let failed = self.file.as_deref().map(|file| prepared.exec(file));
            match failed {
                Some(failed) if !self.on_path || failed.kind() != io::ErrorKind::NotFound => failed,
                Some(_) | None => prepared.path_exec(),
            }
        }
    }
}
