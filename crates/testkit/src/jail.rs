//! A directory that a program of the suite sees as the root directory, so that a test can give it a passwd file, for instance.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Scratch, finish, needs_program, needs_root};

/// A root directory that holds only `/bin/sh`, a few programs of the suite in `/bin`, and the libraries of all these.
pub struct Jail {
    chroot: PathBuf,
    scratch: Scratch,
}

impl Jail {
    /// Makes a jail with these programs. Returns `None`, and says that the test is skipped, if it does not run as root, or chroot or ldd is missing.
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

    /// Returns the directory that is the root.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Returns a command that runs in the jail, with PATH=/bin.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.chroot);
        command.arg(self.scratch.root()).args(words).env("PATH", "/bin").current_dir("/");
        command
    }

    /// Copies a file with `cp`. If this process wrote the copy itself, a child that another thread makes at that moment would keep the copy open for
    /// writing, and it could not be executed.
    fn copy(&self, from: &Path, to: impl AsRef<Path>) {
        let to = self.scratch.path(to);
        fs::create_dir_all(to.parent().expect("below the root")).expect("a directory");
        assert_eq!(finish(Command::new("cp").arg("-L").arg(from).arg(to)).code, 0);
    }
}
