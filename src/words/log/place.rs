//! Where the logger of a service writes: what its command line says, or its `run`, or what lies beside that.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use cli::{Text, text};
use svdir::names;
use sys::fd;
use sys::proc;
use sys::process::Pid;

use crate::service::facts::Facts;
use crate::service::{holder, record};

use super::files::CURRENT;

/// Where the lines of a service are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The log directories.
    pub directories: Vec<PathBuf>,
    /// s6-log writes there, whose labels count leap seconds.
    pub is_s6: bool,
    /// Finished files go through a program before they get their names.
    pub has_processor: bool,
}

/// What the command line of a logger says.
#[derive(Debug, PartialEq, Eq)]
struct Command {
    directories: Vec<PathBuf>,
    is_s6: bool,
    has_processor: bool,
}

/// Finds the log directories of the logger in the service directory `logger`.
///
/// # Errors
/// Why none was found.
pub fn find(logger: &Path) -> Result<Place, Text> {
    find_for(logger, || processes(logger))
}

/// Finds them as [`find`] does, where the process of the logger and that of its supervise may be known.
///
/// # Errors
/// Why none was found.
pub fn find_for(logger: &Path, processes: impl FnOnce() -> Option<(Pid, Pid)>) -> Result<Place, Text> {
    if let Err(error) = fs::read_dir(logger) {
        return Err(unable("read", logger, &error));
    }
    let written = beginning(&logger.join(names::RUN));
    let found = processes()
        .and_then(|(main, supervise)| running(logger, main, supervise))
        .or_else(|| command_in(&written).map(|command| (command, vec![logger.to_owned()])))
        .map(|(command, bases)| place(command, &bases));
    if let Some(place) = found {
        return Ok(place);
    }
    let directories = beside(logger);
    if directories.is_empty() {
        return Err(text!("log/run names no log directory, and there is none in ", logger));
    }
    let is_s6 = memchr::memmem::find(&written, b"s6-log").is_some();
    Ok(Place { directories, is_s6, has_processor: false })
}

/// The beginning of a file, as much as a script or a configuration has; empty if it cannot be read. Nobody is waited for: in place of the file there may be a FIFO.
fn beginning(path: &Path) -> Vec<u8> {
    /// In bytes.
    const LONGEST: usize = 1 << 16;
    let mut bytes = vec![0; LONGEST];
    fd::read_file(path, &mut bytes).map(<[u8]>::to_vec).unwrap_or_default()
}

/// The text about what cannot be done.
pub fn unable(what: &str, path: &Path, error: &io::Error) -> Text {
    text!("unable to ", what, " ", path, ": ", cli::reason(error).as_ref())
}

/// Where the directories of a command are: below the first of `bases` that has them.
fn place(command: Command, bases: &[PathBuf]) -> Place {
    let resolve = |directory: &PathBuf| {
        let places = bases.iter().map(|base| plain(&base.join(directory)));
        let first = bases.first().map_or_else(PathBuf::new, |base| plain(&base.join(directory)));
        places.into_iter().find(|place| place.is_dir()).unwrap_or(first)
    };
    let directories: Vec<PathBuf> = command.directories.iter().map(resolve).collect();
    // svlogd has its processor in a file.
    let configured = |directory: &PathBuf| {
        let config = beginning(&directory.join("config"));
        config.split(|&byte| byte == b'\n').any(|line| line.starts_with(b"!"))
    };
    let has_processor = command.has_processor || directories.iter().any(configured);
    Place { has_processor, directories, is_s6: command.is_s6 }
}

/// A path without dots that lead nowhere.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// The process of the logger that runs, and that of its supervise.
fn processes(logger: &Path) -> Option<(Pid, Pid)> {
    let supervise = holder::supervise_of(logger)?.pid;
    let recorded = record::read(logger).ok().map(Facts::of).and_then(|facts| facts.pid());
    Some((Pid::from_raw(recorded?.get().cast_signed()), supervise))
}

/// The command of the logger that runs, and from where its relative directories count.
fn running(logger: &Path, main: Pid, supervise: Pid) -> Option<(Command, Vec<PathBuf>)> {
    // The number may be anybody's by now.
    if !proc::descends(main, supervise) {
        return None;
    }
    // `run` may be a shell that waits for the logger.
    let children = proc::children(main);
    let below = children.iter().flat_map(|&child| [vec![child], proc::children(child)].concat());
    [main].into_iter().chain(below).find_map(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let command = command(&line.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect::<Vec<_>>())?;
        let mut bases = Vec::new();
        if let Ok(current) = fs::read_link(format!("/proc/{pid}/cwd")) {
            // multilog enters its log directories, so what is left before the name of one is where it was started.
            bases.extend(command.directories.iter().filter_map(|directory| above(&current, &plain(directory))));
            bases.push(current);
        }
        bases.push(logger.to_owned());
        Some((command, bases))
    })
}

/// The part of `current` before `directory`, if it ends so.
fn above(current: &Path, directory: &Path) -> Option<PathBuf> {
    if directory.is_absolute() || !current.ends_with(directory) {
        return None;
    }
    current.ancestors().nth(directory.components().count()).map(Path::to_owned)
}

/// The command of the logger in a script.
fn command_in(script: &[u8]) -> Option<Command> {
    let script = String::from_utf8_lossy(script).replace("\\\n", " ");
    script.lines().filter(|line| !line.trim_start().starts_with('#')).find_map(|line| {
        let words = line.split_whitespace().map(|word| word.trim_matches(['"', '\'', '{', '}']).trim_end_matches(';'));
        // What a shell has to work out is not known here.
        let known = words.filter(|word| !word.contains(['$', '`', '>', '<', '|', '&']));
        command(&known.map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>())
    })
}

/// What the words of a command say; `None` if it is no logger, or has no directory.
fn command(words: &[Vec<u8>]) -> Option<Command> {
    let program = |word: &Vec<u8>| {
        let name = Path::new(OsStr::from_bytes(word)).file_name()?.as_bytes();
        [&b"multilog"[..], b"svlogd", b"s6-log"].into_iter().find(|known| *known == name)
    };
    let (at, name) = words.iter().enumerate().find_map(|(at, word)| Some((at, program(word)?)))?;
    let words = &words[at + 1..];
    let directories: Vec<PathBuf> = if name == b"svlogd" {
        operands(words)
    } else {
        let is_directory = |word: &&Vec<u8>| matches!(word.first(), Some(b'.' | b'/'));
        words.iter().filter(is_directory).map(|word| path(word)).collect()
    };
    let has_processor = name != b"svlogd" && words.iter().any(|word| word.first() == Some(&b'!'));
    (!directories.is_empty()).then_some(Command { directories, is_s6: name == b"s6-log", has_processor })
}

fn path(word: &[u8]) -> PathBuf {
    OsString::from_vec(word.to_vec()).into()
}

/// The words of svlogd that are no options, and no values of options.
fn operands(words: &[Vec<u8>]) -> Vec<PathBuf> {
    let (mut found, mut words) = (Vec::new(), words.iter().filter(|word| !word.is_empty()));
    while let Some(word) = words.next() {
        match word.split_first() {
            Some((b'-', letters)) => {
                if letters.last().is_some_and(|letter| b"rRlb".contains(letter)) {
                    words.next();
                }
            }
            _ => found.push(path(word)),
        }
    }
    found
}

/// The directories beside `run` that look like log directories: `main`, or else all.
fn beside(logger: &Path) -> Vec<PathBuf> {
    let main = logger.join("main");
    if main.is_dir() {
        return vec![main];
    }
    let entries = fs::read_dir(logger).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries
        .filter(|path| path.file_name() != Some(OsStr::new(names::SUPERVISE)) && path.join(CURRENT).exists())
        .collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(script: &str) -> Option<(Vec<String>, bool, bool)> {
        let command = command_in(script.as_bytes())?;
        let names = command.directories.iter().map(|path| path.display().to_string()).collect();
        Some((names, command.is_s6, command.has_processor))
    }

    #[test]
    fn a_script_names_its_directories() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            found("#!/bin/sh\n# multilog ./no\nexec setuidgid log multilog t '-*' s100000 \\\n ./main /var/log/web\n"),
            Some((names(&["./main", "/var/log/web"]), false, false))
        );
        assert_eq!(found("exec /usr/bin/multilog t \"!gzip\" ./main 2>&1"), Some((names(&["./main"]), false, true)));
        assert_eq!(found("exec svlogd -tt -l 100 -b1 main other"), Some((names(&["main", "other"]), false, false)));
        assert_eq!(found("exec svlogd -ttl 100 /l"), Some((names(&["/l"]), false, false)));
        assert_eq!(found("s6-log -b t n20 !gzip /var/log/x"), Some((names(&["/var/log/x"]), true, true)));
        for none in ["exec cat >/dev/null", "exec multilog t", "exec multilog t $DIR", "", "echo"] {
            assert_eq!(found(none), None, "{none}");
        }
    }

    #[test]
    fn a_logger_that_has_entered_its_directory_was_started_above() {
        let above = |current: &str, directory: &str| above(Path::new(current), Path::new(directory));
        assert_eq!(above("/s/web/log/main", "main"), Some("/s/web/log".into()));
        assert_eq!(above("/s/web/log/a/b", "a/b"), Some("/s/web/log".into()));
        assert_eq!(above("/s/web/log/xmain", "main"), None);
        assert_eq!(above("/var/log", "/var/log"), None);
        assert_eq!(plain(Path::new("/a/./main/.")), Path::new("/a/main"));
    }
}
