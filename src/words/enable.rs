//! `uphold enable`: links a service directory into the scan directory, and waits until the service is there.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cli::{Call, LongWords, Program, Usage, Voice, WrongWord, text};
use sys::fd::CURRENT_DIRECTORY;
use sys::inode;
use sys::process::Signal;
use sys::signals;

use super::line::Line;
use super::linked::{Changes, End, Patience, What, other_name, put};
use super::scan::{Meant, Scan};
use super::{check, patience, shown};
use crate::service::home::Home;

const PROGRAM: Program = Program {
    name: "uphold enable",
    synopsis: "[--force] [--no-wait] [--timeout TIME] DIR [NAME]",
    usage: "uphold enable: usage: uphold [-C DIR] enable [--force] [--no-wait] [--timeout TIME] DIR [NAME]",
    usage_exit: cli::USAGE,
    about: "Links a service directory into the scan directory, and waits until the service is ready. What cannot run is not linked.",
    options: &[
        ("--force", "link it even if it cannot run, or is there under another name"),
        ("--no-wait", "return as soon as the link is there"),
        ("--timeout TIME", "how long to wait: seconds, or a number with ms, s, m or h; default: 60s"),
        ("DIR", "the service directory"),
        ("NAME", "the name of the service; default: the last part of DIR"),
    ],
};

/// The bytes that stand for the options; none has a letter.
const FORCE: u8 = 1;
const NO_WAIT: u8 = 2;
const TIMEOUT: u8 = 3;

/// The exit code if the service is not enabled, or not there in time.
const NOT_AS_WANTED: u8 = 1;
const NOT: &str = "not enabled";

/// How a service is to be enabled.
pub struct Asked {
    /// Whether or not it can run.
    pub force: bool,
    /// How long it is waited for, in nanoseconds; `None` not at all.
    pub timeout: Option<u64>,
}

/// The word.
pub fn main(call: &Call, scan_dir: Option<PathBuf>) -> i32 {
    PROGRAM.run(call, |call| run(call, scan_dir))
}

fn run(call: &Call, scan_dir: Option<PathBuf>) -> anyhow::Result<u8> {
    let mut asked = Asked { force: false, timeout: Some(patience::DEFAULT) };
    let options = LongWords::Known(&[("force", FORCE), ("no-wait", NO_WAIT), ("timeout=", TIMEOUT)]);
    let mut no_wait = false;
    let words = cli::anywhere(call.words(), "", options, |option, value| {
        match option {
            FORCE => asked.force = true,
            NO_WAIT => no_wait = true,
            _ => asked.timeout = Some(patience::time(value)?),
        }
        Ok(())
    })?;
    asked.timeout = asked.timeout.filter(|_| !no_wait);
    let (dir, name) = match words[..] {
        [dir] => (dir, None),
        [dir, name] => (dir, Some(name)),
        _ => return Err(Usage.into()),
    };
    let dir = absolute(Path::new(dir))?;
    let name = match name.or_else(|| dir.file_name()) {
        Some(name) => name.to_owned(),
        None => return Err(WrongWord(text!("the end of ", dir, " is no name: give one behind it")).into()),
    };
    require_service(&name)?;
    enable(&asked, &Scan::open(scan_dir)?, Meant { name, dir }, PROGRAM.voice())
}

/// Fails if no service directory should be called so.
///
/// # Errors
/// What is wrong with it.
pub fn require_name(name: &OsStr) -> Result<(), WrongWord> {
    let wrong = |why: &str| Err(WrongWord(text!("wrong name ", shown::name(name).as_str(), ": ", why)));
    match name.as_bytes() {
        [] => wrong("it is empty"),
        [b'.', ..] => wrong("svscan passes over names that begin with a dot"),
        bytes if bytes.contains(&b'/') => wrong("it has a slash in it"),
        bytes if bytes.iter().any(u8::is_ascii_control) => wrong("it has a control character in it"),
        [b'-', ..] => wrong("it would be taken for an option"),
        b"@" => wrong("there is nothing before the @"),
        _ => Ok(()),
    }
}

/// Fails if no service may be called so.
///
/// # Errors
/// As [`require_name`]; and for the name of a template.
pub fn require_service(name: &OsStr) -> Result<(), WrongWord> {
    require_name(name)?;
    if is_template(name) {
        let name = shown::name(name);
        return Err(WrongWord(text!(
            name.as_str(),
            " is a template, from which uphold scale makes services, and none itself"
        )));
    }
    Ok(())
}

/// Returns whether services are made from a directory of this name, and it is none itself.
pub fn is_template(name: &OsStr) -> bool {
    name.as_bytes().ends_with(b"@")
}

/// Links the service directory `service.dir` into the scan directory as `service.name`, and waits for the service. Returns the exit code.
///
/// # Errors
/// If Ctrl-C cannot be caught, or the way back from a directory fails.
pub fn enable(asked: &Asked, scan: &Scan, service: Meant, voice: Voice) -> anyhow::Result<u8> {
    signals::ignore(Signal::SIGPIPE)?;
    let (home, mut line, name) = (Home::open()?, Line::new(), shown::name(&service.name));
    let linked = Meant { name: service.name.clone(), dir: scan.dir.join(&service.name) };
    if is_same(&service.dir, &linked.dir) {
        line.done(&name, "already enabled", "");
        return Ok(0);
    }
    let mut fail = |why: &str| {
        line.failed(&name, NOT, why);
        Ok(NOT_AS_WANTED)
    };
    if let Some(why) = obstacle(asked, scan, &service, &linked.dir) {
        return fail(&why);
    }
    let wrong = check::before(&home, scan, &service)?;
    wrong.lines.iter().for_each(|line| cli::print_error(format!("{line}\n").as_bytes()));
    if wrong.cannot_run && !asked.force {
        return fail("it cannot run; --force enables it all the same");
    }
    match put(&scan.dir, &service.name, &service.dir) {
        Ok(()) => {}
        Err(error) => {
            let why = match error.kind() {
                io::ErrorKind::PermissionDenied => "; ask as its owner, or as root",
                _ => "",
            };
            let dir = shown::name(scan.dir.as_os_str());
            return fail(&format!("unable to make a link in {dir}: {}{why}", cli::reason(&error)));
        }
    }
    if scan.served == Some(false) {
        let dir = shown::name(scan.dir.as_os_str());
        voice.say(&[
            &"no svscan serves ",
            &dir.as_str(),
            &", which starts it: svscan ",
            &dir.as_str(),
            &", or at boot by uphold boot install",
        ]);
    }
    let Some(timeout) = asked.timeout else {
        line.done(&name, "enabled", "");
        return Ok(0);
    };
    if scan.served == Some(false) {
        line.failed(&name, "not up", "it is linked, and no supervise runs");
        return Ok(NOT_AS_WANTED);
    }
    let what = What { away: false, done: "enabled", not: "enabled, and not ready" };
    let interrupt = patience::begin()?;
    let patience = Patience { timeout: Some(timeout), interrupt: interrupt.as_ref() };
    let mut changes = Changes::new(&what, &patience, scan, vec![linked]);
    Ok(match changes.run(&home)? {
        End::Interrupted(so_far) => patience::interrupted(voice, &so_far),
        End::Over if changes.has_failed() => NOT_AS_WANTED,
        End::Over => 0,
    })
}

/// What keeps a link from being made, whatever is in the directory.
fn obstacle(asked: &Asked, scan: &Scan, service: &Meant, link: &Path) -> Option<String> {
    let dir = shown::name(service.dir.as_os_str());
    match fs::metadata(&service.dir) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Some(format!("{dir} is not a directory")),
        Err(error) => return Some(format!("{dir}: {}", cli::reason(&error))),
    }
    if let Ok(there) = fs::symlink_metadata(link) {
        let link_name = shown::name(link.as_os_str());
        return Some(match fs::read_link(link) {
            Ok(target) => {
                let target = shown::name(target.as_os_str());
                let name = shown::name(&service.name);
                format!("{link_name} leads to {target}; uphold disable {name} takes that away")
            }
            Err(_) if there.is_dir() => format!("{link_name} is another service directory"),
            Err(_) => format!("{link_name} is there, and no service"),
        });
    }
    let other = other_name(scan, &service.dir).filter(|_| !asked.force)?;
    Some(format!("it is enabled as {} already, and two names for one directory are one service", shown::name(other)))
}

fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path| inode::at(CURRENT_DIRECTORY, path).ok();
    identity(one).is_some() && identity(one) == identity(other)
}

/// A path from the root, through the links by which the operator has come here.
///
/// # Errors
/// If the current directory has no path.
pub fn absolute(path: &Path) -> Result<PathBuf, anyhow::Error> {
    let logical = env::var_os("PWD").map(PathBuf::from).filter(|dir| dir.is_absolute() && is_same(dir, Path::new(".")));
    let here = match logical {
        _ if path.is_absolute() => PathBuf::new(),
        Some(here) => here,
        None => env::current_dir()
            .map_err(|error| anyhow::Error::new(error).context(text!("unable to find the current directory")))?,
    };
    // Without dots and slashes that say nothing.
    Ok(here.join(path).components().collect())
}
