//! Whether a logger may write to its log directories, where its `run` is simple enough to see which these are.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use svdir::names;
use sys::identity;

use super::found::Found;
use crate::service::account::{self, Account};
use crate::words::shown;

/// A longer `run` is none that is looked at, in bytes.
const LONGEST: u64 = 4096;

/// What a `run` says that does nothing but to become multilog.
#[derive(Debug, PartialEq, Eq)]
struct Logger {
    user: Option<String>,
    directories: Vec<String>,
}

/// Looks at the logger whose directory is the current one.
pub fn look(found: &mut Found) {
    let Ok(run) = fs::metadata(names::RUN) else {
        return;
    };
    let text = if run.is_file() && run.len() <= LONGEST { fs::read_to_string(names::RUN).ok() } else { None };
    let Some(Logger { user, directories }) = text.as_deref().and_then(logger) else {
        return;
    };
    let account = match &user {
        // Who is not in the file may be known to a name service, which may take any time.
        Some(user) => fs::read("/etc/passwd").ok().and_then(|file| account::find(&file, user.as_bytes())),
        // This user's own services run as he does.
        None => fs::metadata(".")
            .ok()
            .filter(|here| here.uid() == identity::effective_user())
            .map(|here| Account { uid: here.uid(), gid: here.gid() }),
    };
    let Some(account) = account.filter(|account| account.uid != 0) else {
        return;
    };
    let who = user.unwrap_or_else(|| format!("user {}", account.uid));
    for directory in directories {
        if let Some(why) = unwritable(Path::new(&directory), account) {
            found.about(
                &shown::bytes(directory.as_bytes()),
                &format!("{} cannot write there: {why}", shown::bytes(who.as_bytes())),
            );
        }
    }
}

/// Why a user cannot write to a log directory, or make it; `None` if he can, or that cannot be seen.
fn unwritable(directory: &Path, account: Account) -> Option<String> {
    let (place, below) = match fs::metadata(directory) {
        Ok(place) => (place, ""),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let above = directory.components().as_path().parent().filter(|above| !above.as_os_str().is_empty());
            let above = above.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
            (fs::metadata(above).ok()?, "it does not exist, and the directory above it is ")
        }
        Err(_) => return None,
    };
    if !place.is_dir() {
        return Some("it is not a directory".to_owned());
    }
    let mode = place.permissions().mode() & 0o7777;
    let shift = match account {
        Account { uid, .. } if uid == place.uid() => 6,
        Account { gid, .. } if gid == place.gid() => 3,
        _ => 0,
    };
    // Both to make a file, and to reach it.
    let may = mode >> shift & 0o3 == 0o3;
    (!may).then(|| format!("{below}of user {} and group {}, mode {mode:04o}", place.uid(), place.gid()))
}

/// Reads a `run`; `None` if there is anything in it that is not simple.
fn logger(text: &str) -> Option<Logger> {
    let mut lines = text.lines();
    let shell = lines.next()?.strip_prefix("#!")?.trim();
    if !shell.split(' ').next()?.ends_with("sh") {
        return None;
    }
    let mut lines =
        lines.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#') && *line != "exec 2>&1");
    let words = words(lines.next()?)?;
    if lines.next().is_some() {
        return None;
    }
    let mut words = words.iter().map(String::as_str).peekable();
    words.next_if_eq(&"exec");
    let user = words.next_if(|word| is_called(word, "setuidgid")).and_then(|_| words.next()).map(str::to_owned);
    words.next_if(|word| is_called(word, "multilog"))?;
    let directories = words.filter(|word| word.starts_with(['.', '/'])).map(str::to_owned).collect();
    Some(Logger { user, directories })
}

fn is_called(word: &str, program: &str) -> bool {
    word.rsplit('/').next() == Some(program)
}

/// Splits a line into words, with single quotes; `None` if the shell would take anything in it for more.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), None::<String>, false);
    for char in line.chars() {
        match char {
            '\'' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            _ if is_quoted => word.get_or_insert_default().push(char),
            ' ' | '\t' => words.extend(word.take()),
            _ if char.is_ascii_alphanumeric() || "-+_./,:=@%!".contains(char) => {
                word.get_or_insert_default().push(char)
            }
            _ => return None,
        }
    }
    words.extend(word);
    (!is_quoted).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_that_hides_nothing_is_read() {
        let found =
            |body: &str| logger(&format!("#!/bin/sh\n{body}\n")).map(|found| (found.user, found.directories.join(" ")));
        let some = |user: Option<&str>, directories: &str| Some((user.map(str::to_owned), directories.to_owned()));
        assert_eq!(found("# logs\n\nexec 2>&1\nexec multilog t n10 s1000000 ./main"), some(None, "./main"));
        assert_eq!(
            found("exec setuidgid log multilog t '-* debug *' /var/log/web ./all"),
            some(Some("log"), "/var/log/web ./all")
        );
        assert_eq!(found("/usr/bin/multilog t"), some(None, ""));
        for hidden in [
            "cd /var/log\nexec multilog ./main",
            "exec multilog $DIR",
            "exec multilog ./main; echo",
            "exec multilog \"./main\"",
            "exec svlogd ./main",
            "exec multilog './main",
            "exec softlimit -m 1 multilog ./main",
            "",
        ] {
            assert_eq!(found(hidden), None, "{hidden}");
        }
        assert_eq!(logger("#!/usr/bin/perl\nexec multilog ./main\n"), None);
    }
}
