//! A directory that a program of the suite takes for the root: with a passwd file of the test's own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Scratch, finish, needs_program, needs_root};

/// A root directory that holds `/bin/sh`, a few programs of the suite in `/bin`, the libraries of all these, and nothing else.
pub struct Jail {
    chroot: PathBuf,
    scratch: Scratch,
}

impl Jail {
    /// One with these programs; `None` where the test may not change its root, and a line that says so.
    pub fn new(programs: &[&str]) -> Option<Jail> {
        if !needs_root() {
            return None;
        }
        let (chroot, ldd) = (needs_program("chroot")?, needs_program("ldd")?);
        let jail = Jail { chroot, scratch: Scratch::new() };
        let mut files: Vec<PathBuf> = programs.iter().map(|program| jail.scratch.suite().path(program)).collect();
        files.push("/bin/sh".into());
        let mut libraries = BTreeSet::new();
        for file in &files {
            jail.copy(file, Path::new("bin").join(file.file_name().expect("a file")));
            let listed = finish(Command::new(&ldd).arg(file)).out();
            libraries.extend(listed.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from));
        }
        for library in libraries.iter().filter(|library| library.is_file()) {
            jail.copy(library, library.strip_prefix("/").expect("it begins so"));
        }
        Some(jail)
    }

    /// Its directory.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// A command that runs in it, with PATH=/bin.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.chroot);
        command.arg(self.scratch.root()).args(words).env("PATH", "/bin").current_dir("/");
        command
    }

    /// By a program of its own: as long as this process had the copy open for writing, no other thread could execute it.
    fn copy(&self, from: &Path, to: impl AsRef<Path>) {
        let to = self.scratch.path(to);
        fs::create_dir_all(to.parent().expect("below the root")).expect("a directory");
        assert_eq!(finish(Command::new("cp").arg("-L").arg(from).arg(to)).code, 0);
    }
}
