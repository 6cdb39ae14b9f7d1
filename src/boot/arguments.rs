//! The arguments of `uphold boot`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cli::{Usage, Word, WrongOption};
use machine::SECOND;
use svdir::knob::{self, Unit};

use super::init::Init;
use super::tree::Tree;
use super::voice::refuse;
use crate::service::scan_dir;

/// The default of `--timeout`, in nanoseconds: a little more than the grace of the systemd unit.
const TIMEOUT: u64 = 90 * SECOND;

/// The command, the first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Install,
    Remove,
    Stop,
    Takeover,
    Reload,
    Status,
}

/// The parsed command line.
pub struct Arguments {
    pub verb: Verb,
    pub init: Option<Init>,
    pub scan_dir: Option<PathBuf>,
    pub tree: Tree,
    /// How long to wait at most, in nanoseconds.
    pub timeout: u64,
    pub print: bool,
    pub force: bool,
}

impl Arguments {
    /// Parses the verb, which comes first, then the options in any order, each as `--name value` or `--name=value`.
    pub fn parse(words: &[Word]) -> anyhow::Result<Arguments> {
        let (verb, words) = words.split_first().ok_or(Usage)?;
        let mut found = Arguments {
            verb: verb_named(verb).ok_or(Usage)?,
            init: None,
            scan_dir: None,
            tree: Tree::new("/".into()),
            timeout: TIMEOUT,
            print: false,
            force: false,
        };
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let (name, value) = split(word);
            match (name, value) {
                (b"--print", None) if verb_takes(found.verb, name) => found.print = true,
                (b"--force", None) if verb_takes(found.verb, name) => found.force = true,
                (b"--init" | b"--scan-dir" | b"--root" | b"--timeout", value) if verb_takes(found.verb, name) => {
                    let value = value.or_else(|| words.next()).filter(|value| !value.is_empty()).ok_or(Usage)?;
                    found.take(name, value)?;
                }
                _ if name.starts_with(b"--") => return Err(WrongOption::Long(word).into()),
                _ => return Err(Usage.into()),
            }
        }
        Ok(found)
    }

    fn take(&mut self, name: &[u8], value: &'static OsStr) -> anyhow::Result<()> {
        match name {
            b"--init" => self.init = Some(Init::named(value).ok_or(Usage)?),
            b"--timeout" => {
                self.timeout = knob::duration(value.as_bytes(), Unit::Seconds).map_err(|_| Usage)?;
            }
            b"--scan-dir" => self.scan_dir = Some(writable(Path::new(value))?),
            _ => self.tree = Tree::new(value.into()),
        }
        Ok(())
    }

    /// The path of the scan directory in the tree.
    pub fn scan_dir(&self) -> PathBuf {
        let usual = || if self.tree.is_running() { scan_dir::directory() } else { None };
        let of_system = || scan_dir::of_system(|dir| self.tree.holds(dir));
        self.scan_dir.clone().or_else(usual).unwrap_or_else(of_system)
    }
}

fn verb_named(word: &OsStr) -> Option<Verb> {
    match word.as_bytes() {
        b"install" => Some(Verb::Install),
        b"remove" => Some(Verb::Remove),
        b"stop" => Some(Verb::Stop),
        b"takeover" => Some(Verb::Takeover),
        b"reload" => Some(Verb::Reload),
        b"status" => Some(Verb::Status),
        _ => None,
    }
}

fn verb_takes(verb: Verb, option: &[u8]) -> bool {
    match verb {
        Verb::Install => option != b"--timeout",
        Verb::Remove => matches!(option, b"--init" | b"--root"),
        Verb::Stop | Verb::Takeover => matches!(option, b"--scan-dir" | b"--timeout"),
        Verb::Reload | Verb::Status => option == b"--scan-dir",
    }
}

fn split(word: Word) -> (&'static [u8], Option<&'static OsStr>) {
    let bytes = word.as_bytes();
    match bytes.iter().position(|&byte| byte == b'=') {
        Some(at) if bytes.starts_with(b"--") => (&bytes[..at], Some(OsStr::from_bytes(&bytes[at + 1..]))),
        Some(_) | None => (bytes, None),
    }
}

/// Checks that a path can be written unchanged into units, shell scripts and inittabs, each of which has its own special
/// characters.
pub fn writable(path: &Path) -> anyhow::Result<PathBuf> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+@,".contains(byte);
    if !path.is_absolute() {
        return Err(refuse(&[&"unable to use ", &path, &": not an absolute path"]));
    }
    if !path.as_os_str().as_bytes().iter().all(plain) {
        let allowed = ": init's files take letters, digits and / . _ - + @ , only";
        return Err(refuse(&[&"unable to use ", &path, &allowed]));
    }
    // This drops slashes at the end.
    Ok(path.components().collect())
}
