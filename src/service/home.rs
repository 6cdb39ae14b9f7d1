//! The directory in which a client was called. The client enters each service directory and comes back by descriptor, so
//! that every operand is looked up from the operator's directory, whatever was renamed meanwhile.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Context;
use cli::text;

use super::scan_dir;

/// The directory from which operands are looked up.
pub struct Home(File);

impl Home {
    /// Opens the current directory.
    pub fn open() -> anyhow::Result<Home> {
        let directory =
            sys::fd::open_read(Path::new(".")).with_context(|| text!("unable to open current directory"))?;
        Ok(Home(directory))
    }

    /// Runs `there` in the directory `dir`. The outer error means that the way back failed, which ends the program; the inner error means that
    /// `dir` could not be entered.
    pub fn visit<T>(&self, dir: &Path, there: impl FnOnce() -> T) -> anyhow::Result<io::Result<T>> {
        self.visit_by(|| enter(dir), there)
    }

    /// Runs `there` as [`visit`](Home::visit) does, in the directory that `enter` has entered.
    pub fn visit_by<T>(
        &self,
        enter: impl FnOnce() -> io::Result<()>,
        there: impl FnOnce() -> T,
    ) -> anyhow::Result<io::Result<T>> {
        if let Err(error) = enter() {
            return self.come_back().map(|()| Err(error));
        }
        let found = there();
        self.come_back().map(|()| Ok(found))
    }

    fn come_back(&self) -> anyhow::Result<()> {
        sys::fd::change_directory(self.0.as_fd()).with_context(|| text!("unable to set directory"))
    }
}

/// Enters a service directory. A name that does not begin with a slash or a dot, such as `web` or `web/log`, is looked for in the default scan
/// directory if it does not exist here.
pub fn enter(dir: &Path) -> io::Result<()> {
    let entered = std::env::set_current_dir(dir);
    let Err(error) = &entered else {
        return entered;
    };
    let bare = dir.as_os_str().as_encoded_bytes().first().is_some_and(|first| !b"./".contains(first));
    // A dangling link counts as existing.
    if !bare || error.kind() != io::ErrorKind::NotFound || std::fs::symlink_metadata(dir).is_ok() {
        return entered;
    }
    let Some(default) = scan_dir::directory() else {
        return entered;
    };
    if std::env::set_current_dir(default.join(dir)).is_ok() {
        return Ok(());
    }
    // Without the variable the line stays that of daemontools, for scripts that compare it.
    if scan_dir::is_named() {
        let there = default.join(dir);
        return Err(io::Error::other(format!("{}, nor does {}", cli::reason(error), there.display())));
    }
    entered
}
