//! A service directory that is made: under a name that svscan passes over, and then renamed, so that it is there as a whole or not at all.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use cli::text;
use svdir::names;

use super::quote;
use crate::service::account::Account;

/// How many files of how many bytes a logger keeps, in the words of multilog.
const KEPT: [&str; 2] = ["s1000000", "n10"];
/// The log directory.
const LOGS: &str = "./main";
/// What others may do with the directories and programs, as far as the umask lets them.
const MODE: u32 = 0o755;

/// What is to be in it.
pub struct Contents<'a> {
    /// The words of its command.
    pub command: &'a [&'a OsStr],
    /// Who runs it.
    pub user: Option<(&'a OsStr, Account)>,
    /// It has a logger.
    pub log: bool,
    /// The services that it needs.
    pub needs: &'a [&'a OsStr],
}

/// Makes the directory. Returns the files in it.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if anything has the name; others of the system. Then nothing is left.
pub fn make(dir: &Path, contents: &Contents) -> anyhow::Result<Vec<PathBuf>> {
    let name = dir.file_name().unwrap_or_default();
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".new-{}", sys::process::own_pid()));
    let hidden = dir.with_file_name(hidden);
    let unable = || text!("unable to make ", dir);
    directory(&hidden).with_context(unable)?;
    let made = fill(&hidden, contents).and_then(|files| sys::rename::to_new(&hidden, dir).map(|()| files));
    if made.is_err() {
        let _ = fs::remove_dir_all(&hidden);
    }
    made.with_context(unable)
}

fn fill(dir: &Path, contents: &Contents) -> io::Result<Vec<PathBuf>> {
    let mut files = vec![PathBuf::from(names::RUN)];
    program(&dir.join(names::RUN), &run(contents))?;
    let mut directories = vec![dir.to_owned()];
    if contents.log {
        let log = dir.join(names::LOG);
        directory(&log)?;
        program(&log.join(names::RUN), &run_of_log(contents))?;
        if let Some((_, account)) = contents.user {
            // multilog could not make it: the directory above is not its user's.
            let logs = log.join(LOGS);
            DirBuilder::new().mode(0o700).create(&logs)?;
            std::os::unix::fs::lchown(&logs, Some(account.uid), Some(account.gid))?;
        }
        directories.push(log);
        files.push(Path::new(names::LOG).join(names::RUN));
    }
    if !contents.needs.is_empty() {
        directory(&dir.join(names::DEPENDENCIES))?;
        for need in contents.needs {
            let file = Path::new(names::DEPENDENCIES).join(need);
            OpenOptions::new().write(true).create_new(true).open(dir.join(&file))?;
            files.push(file);
        }
    }
    if contents.user.is_some() {
        // The user has to get in, whatever the umask says.
        directories.iter().try_for_each(|dir| fs::set_permissions(dir, Permissions::from_mode(MODE)))?;
    }
    Ok(files)
}

/// `run` of the service.
fn run(contents: &Contents) -> Vec<u8> {
    let errors: &[u8] = if contents.log { b"exec 2>&1\n" } else { b"" };
    let user = contents.user.iter().flat_map(|&(user, _)| [OsStr::new("setuidgid"), user]);
    let line = quote::line([OsStr::new("exec")].into_iter().chain(user).chain(contents.command.iter().copied()));
    [b"#!/bin/sh\n", errors, &line, b"\n"].concat()
}

/// `run` of its logger.
fn run_of_log(contents: &Contents) -> Vec<u8> {
    let user = contents.user.iter().flat_map(|&(user, _)| [OsStr::new("setuidgid"), user]);
    let multilog = ["multilog", "t", KEPT[0], KEPT[1], LOGS].map(OsStr::new);
    let line = quote::line([OsStr::new("exec")].into_iter().chain(user).chain(multilog));
    [b"#!/bin/sh\n", line.as_slice(), b"\n"].concat()
}

fn directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(MODE).create(path)
}

fn program(path: &Path, text: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?.write_all(text)
}
