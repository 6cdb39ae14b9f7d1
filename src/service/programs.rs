//! How the programs of the suite find each other: they exec one another, and none contains another.

use std::ffi::{CString, OsStr};
use std::io;
use std::path::PathBuf;

use cli::Call;
use sys::exec::{Prepared, c_string};

/// The place where the suite's programs are.
pub enum Peers {
    /// All in one file, this one.
    AllInOne(CString),
    /// Each in a file of its own, in this directory.
    Beside(PathBuf),
    /// Unknown: they are looked for on PATH.
    OnPath,
}

impl Peers {
    /// Finds the programs that belong to this one, from how it was called. Call this once at the start: after the file was replaced, the kernel
    /// names a deleted file.
    pub fn of(call: &Call) -> Peers {
        match sys::process::own_program() {
            Ok(own) if call.all_in_one => Peers::AllInOne(c_string(own.as_os_str())),
            Ok(own) => {
                // The name under which this program was executed may be a link, and the other programs lie beside the
                // file itself.
                let names = [Some(own), std::env::current_exe().ok()];
                let mut directories = names.iter().flatten().filter_map(|name| name.parent());
                let beside = directories.find(|directory| directory.join("supervise").exists());
                beside.map_or(Peers::OnPath, |directory| Peers::Beside(directory.to_path_buf()))
            }
            Err(_) => Peers::OnPath,
        }
    }

    /// Returns the program `name`, to be called with `words`.
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

/// Another program of the suite, with its arguments.
pub struct Peer {
    /// The file that is executed if it exists.
    file: Option<CString>,
    /// Whether it is looked for on PATH if it is not there.
    on_path: bool,
    argv: Vec<CString>,
}

impl Peer {
    /// Prepares the exec of the program, with the environment `env` or that of this process. The returned function allocates no memory, and
    /// returns only if the exec failed.
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
