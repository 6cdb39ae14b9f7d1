//! Which services are meant: those of a scan directory, by name, by pattern, or all; and by path those that are elsewhere.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cli::{Text, Voice, Word, text};
use svdir::names;
use sys::pattern;

use crate::service::holder::Servers;
use crate::service::scan_dir;

/// The most names that are proposed in place of one that does not exist.
const PROPOSED: usize = 3;

/// A scan directory, and the services in it.
pub struct Scan {
    /// Where it is.
    pub dir: PathBuf,
    /// The names in it that may be services, in their order.
    pub names: Vec<OsString>,
    /// A svscan serves it; `None` if that cannot be found out.
    pub served: Option<bool>,
}

/// A service that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meant {
    /// What it is called.
    pub name: OsString,
    /// Its service directory.
    pub dir: PathBuf,
}

impl Scan {
    /// Reads the scan directory that was named, or the default one.
    ///
    /// # Errors
    /// If there is none, or it cannot be read, with what would help.
    pub fn open(named: Option<PathBuf>) -> anyhow::Result<Scan> {
        let dir = named.or_else(scan_dir::directory).with_context(|| {
            text!("there is no scan directory: $SVDIR and $HOME are not set; name one with uphold -C DIR")
        })?;
        let unable = || text!("unable to read the scan directory ", dir);
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(anyhow::Error::new(text!(
                    "there is no scan directory ",
                    dir,
                    ": make it and start svscan ",
                    dir,
                    ", or name another one with uphold -C DIR"
                )));
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let help = ": ask as its owner, or as root";
                return Err(anyhow::Error::new(text!("no permission to look at the scan directory ", dir, help)));
            }
            entries => entries.with_context(unable)?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.with_context(unable)?;
            // Plain files are nothing to svscan, and to nobody's surprise.
            let may_be = entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_symlink());
            let name = entry.file_name();
            // svscan starts no template; one that was served by an earlier svscan is shown.
            let is_template = || name.as_bytes().ends_with(b"@") && !dir.join(&name).join(names::SUPERVISE).exists();
            if may_be && !name.as_bytes().starts_with(b".") && !is_template() {
                found.push(name);
            }
        }
        found.sort_unstable();
        let served = served(&dir);
        Ok(Scan { dir, names: found, served })
    }

    /// Finds out once more whether a svscan serves it.
    pub fn look_for_svscan(&mut self) {
        self.served = served(&self.dir);
    }

    /// All services, each followed by its logger if `loggers` is true.
    pub fn all(&self, loggers: bool) -> Vec<Meant> {
        self.names.iter().flat_map(|name| self.with_logger(name, loggers)).collect()
    }

    /// The services that `words` mean, each once, in the order of the words. Says which words mean nothing, and returns whether there were none such.
    pub fn meant(&self, words: &[Word], loggers: bool, voice: Voice) -> (Vec<Meant>, bool) {
        let mut right = true;
        let all = self.each(words, loggers, |word| {
            voice.say(&[&self.unknown(word).0.as_slice()]);
            right = false;
        });
        (all, right)
    }

    /// The services that `words` mean, or all without any, each once. What means nothing now may mean something later.
    pub fn now(&self, words: &[Word]) -> Vec<Meant> {
        if words.is_empty() { self.all(false) } else { self.each(words, false, |_| ()) }
    }

    fn each(&self, words: &[Word], loggers: bool, mut unknown: impl FnMut(&OsStr)) -> Vec<Meant> {
        let mut all = Vec::<Meant>::new();
        for word in words {
            let found = self.find(word, loggers);
            if found.is_empty() {
                unknown(word);
            }
            for meant in found {
                if !all.contains(&meant) {
                    all.push(meant);
                }
            }
        }
        all
    }

    fn find(&self, word: &OsStr, loggers: bool) -> Vec<Meant> {
        if self.names.iter().any(|name| name == word) {
            return self.with_logger(word, loggers).collect();
        }
        let path = Path::new(word);
        if word.as_bytes().contains(&b'/') {
            // `web/log` is the logger of a service here, before it is a path.
            let logger = self.dir.join(path);
            let named = path.parent().is_some_and(|service| self.names.iter().any(|name| name == service.as_os_str()));
            if named && path.file_name() == Some(OsStr::new(names::LOG)) && logger.is_dir() {
                return vec![Meant { name: word.to_owned(), dir: logger }];
            }
            let is_there = fs::symlink_metadata(path).is_ok();
            return if is_there { vec![Meant { name: word.to_owned(), dir: path.to_owned() }] } else { Vec::new() };
        }
        if !pattern::is_pattern(word.as_bytes()) {
            return Vec::new();
        }
        let matching = self.names.iter().filter(|name| pattern::matches(word.as_bytes(), name.as_bytes()));
        matching.flat_map(|name| self.with_logger(name, loggers)).collect()
    }

    fn with_logger(&self, name: &OsStr, loggers: bool) -> impl Iterator<Item = Meant> + use<> {
        let dir = self.dir.join(name);
        let log = dir.join(names::LOG);
        let logger =
            (loggers && log.is_dir()).then(|| Meant { name: Path::new(name).join(names::LOG).into(), dir: log });
        [Meant { name: name.to_owned(), dir }].into_iter().chain(logger)
    }

    /// The line about a word that means nothing.
    fn unknown(&self, word: &OsStr) -> Text {
        if pattern::is_pattern(word.as_bytes()) {
            return text!("no service in ", self.dir, " matches ", word);
        }
        let mut line = text!("no service ", word, " in ", self.dir);
        let near = nearest(word, &self.names);
        for (place, name) in near.iter().enumerate() {
            line.add(&[if place == 0 { &": is it " } else { &" or " }, name]);
        }
        if !near.is_empty() {
            line.add(&[&"?"]);
        }
        line
    }
}

fn served(dir: &Path) -> Option<bool> {
    Servers::of(dir).ok().map(|servers| !servers.scans.is_empty())
}

/// The names that somebody may have meant who typed `word`, the nearest first.
pub fn nearest<'a>(word: &OsStr, names: &'a [OsString]) -> Vec<&'a OsString> {
    let word = word.as_bytes();
    let mut near: Vec<(usize, &OsString)> = names
        .iter()
        .filter_map(|name| {
            let bytes = name.as_bytes();
            let contains = word.len() > 1 && bytes.windows(word.len()).any(|part| part == word);
            let distance = distance(word, bytes);
            (contains || distance <= 1 + word.len() / 4).then_some((distance, name))
        })
        .collect();
    near.sort_unstable();
    near.truncate(PROPOSED);
    near.into_iter().map(|(_, name)| name).collect()
}

/// How many bytes must be put in, left out, replaced, or exchanged with the next, to make one name of the other.
pub fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, &byte) in one.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, &with) in other.iter().enumerate() {
            let mut least = (last[column] + usize::from(byte != with)).min(last[column + 1] + 1).min(next[column] + 1);
            let exchanged = row > 0 && column > 0 && one[row - 1] == with && other[column - 1] == byte;
            if exchanged {
                least = least.min(before[column - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut last, next);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(names: &[&str]) -> Scan {
        Scan { dir: "/nonexistent".into(), names: names.iter().map(OsString::from).collect(), served: None }
    }

    #[test]
    fn a_name_comes_before_a_pattern() {
        let scan = scan(&["*", "db", "web@1", "web@2"]);
        let found =
            |word: &str| scan.find(OsStr::new(word), true).into_iter().map(|meant| meant.name).collect::<Vec<_>>();
        assert_eq!(found("*"), ["*"]);
        assert_eq!(found("web@*"), ["web@1", "web@2"]);
        assert_eq!(found("?b"), ["db"]);
        assert_eq!(found("web"), [""; 0]);
        assert_eq!(found("nowhere/web"), [""; 0]);
    }

    #[test]
    fn what_was_meant_is_proposed() {
        let scan = scan(&["db", "mailer", "web", "webmail"]);
        let line = |word: &str| scan.unknown(OsStr::new(word)).to_string();
        assert_eq!(line("wbe"), "no service wbe in /nonexistent: is it web?");
        assert_eq!(line("mail"), "no service mail in /nonexistent: is it mailer or webmail?");
        assert_eq!(line("zzz"), "no service zzz in /nonexistent");
        assert_eq!(line("z*"), "no service in /nonexistent matches z*");
    }

    #[test]
    fn the_distance_of_two_names() {
        for (one, other, expected) in
            [("", "", 0), ("web", "web", 0), ("wbe", "web", 1), ("", "abc", 3), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(one.as_bytes(), other.as_bytes()), expected, "{one} {other}");
            assert_eq!(distance(other.as_bytes(), one.as_bytes()), expected, "{other} {one}");
        }
    }
}
