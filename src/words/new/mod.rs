//! `uphold new`: writes a service directory for a command.

mod directory;
mod quote;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cli::{Call, LongWords, Program, Usage, Voice, Word, WrongWord, text};
use svdir::names;
use sys::identity;

use self::directory::Contents;
use super::scan::{Meant, Scan};
use super::{enable, patience, shown};
use crate::service::{account, scan_dir};

const PROGRAM: Program = Program {
    name: "uphold new",
    synopsis: "[--user USER] [--log] [--need SERVICE] ... [--at DIR] [--enable] NAME -- COMMAND [ARG ...]",
    usage: "uphold new: usage: uphold [-C DIR] new [--user USER] [--log] [--need SERVICE] ... [--at DIR] [--enable] NAME -- COMMAND [ARG ...]",
    usage_exit: cli::USAGE,
    about: "Writes a service directory that runs a command, and tells how to enable it.",
    options: &[
        ("--user USER", "the account that runs the command, and the logger; only root may say so"),
        ("--log", "with a logger, which keeps ten files of a megabyte"),
        ("--need SERVICE", "a service that must be ready before this one is started; may be given more than once"),
        (
            "--at DIR",
            "the directory in which NAME is made; default: /etc/sv for root, else sv in $XDG_CONFIG_HOME or ~/.config",
        ),
        ("--enable", "enable it, and wait until it is up, as uphold enable does"),
        ("NAME", "the name of the service"),
        ("COMMAND [ARG ...]", "what the service runs: a program on PATH or with its whole path, and its arguments"),
    ],
};

/// The bytes that stand for the options; none has a letter.
const USER: u8 = 1;
const LOG: u8 = 2;
const NEED: u8 = 3;
const AT: u8 = 4;
const ENABLE: u8 = 5;

/// The exit code if there is something of that name, or the service is not there in time.
const NOT_AS_WANTED: u8 = 1;

/// The word.
pub fn main(call: &Call, scan_dir: Option<PathBuf>) -> i32 {
    PROGRAM.run(call, |call| run(call, scan_dir))
}

/// The parsed command line.
#[derive(Default)]
struct Asked<'a> {
    user: Option<&'a OsStr>,
    log: bool,
    needs: Vec<&'a OsStr>,
    at: Option<&'a Path>,
    enable: bool,
    command: Vec<&'a OsStr>,
}

fn run(call: &Call, scan_dir: Option<PathBuf>) -> anyhow::Result<u8> {
    let mut asked = Asked::default();
    let name = read(&mut asked, call.words())?;
    let user = match asked.user {
        None => None,
        Some(_) if !identity::is_root() => {
            return Err(
                text!("only root can let a service run as another user: leave --user out, or ask as root").into()
            );
        }
        Some(user) => Some((user, account::look_up(user)?)),
    };
    let at = match asked.at {
        Some(at) => enable::absolute(at)?,
        None => default_place()?,
    };
    let dir = at.join(name);
    if fs::symlink_metadata(&dir).is_ok() {
        return Ok(refuse(&dir));
    }
    let contents = Contents { command: &asked.command, user, log: asked.log, needs: &asked.needs };
    let files = match directory::make(&dir, &contents) {
        Err(error) if is_there(&error) => return Ok(refuse(&dir)),
        made => made?,
    };
    let files: Vec<String> = files.iter().map(|file| shown::name(file.as_os_str())).collect();
    print(format!("made {}: {}\n", shown::name(dir.as_os_str()), files.join(", ")).as_bytes());
    let voice = PROGRAM.voice();
    tell_of_command(asked.command[0], voice);
    let scan = Scan::open(scan_dir.clone());
    if let Ok(scan) = &scan {
        asked.needs.iter().for_each(|need| tell_of_need(scan, name, need, voice));
    }
    if asked.enable {
        let asked = enable::Asked { force: false, timeout: Some(patience::DEFAULT) };
        return enable::enable(&asked, &scan?, Meant { name: name.to_owned(), dir }, voice);
    }
    let typed = match &scan_dir {
        Some(scan) => vec![OsStr::new("uphold"), OsStr::new("-C"), scan.as_os_str()],
        None => vec![OsStr::new("uphold")],
    };
    let stem = name.as_bytes().strip_suffix(b"@").map(OsStr::from_bytes);
    let rest = match stem {
        Some(stem) => vec![OsStr::new("scale"), stem, OsStr::new("2")],
        None => vec![OsStr::new("enable"), dir.as_os_str()],
    };
    print(&[b"to start it: ", quote::line(typed.into_iter().chain(rest)).as_slice(), b"\n"].concat());
    Ok(0)
}

/// Parses the command line. Returns the name.
fn read<'a>(asked: &mut Asked<'a>, words: &'a [Word]) -> anyhow::Result<Word> {
    let Some(end) = words.iter().position(|word| *word == "--") else {
        return Err(Usage.into());
    };
    asked.command = words[end + 1..].iter().map(|&word| word as &OsStr).collect();
    let options = LongWords::Known(&[("user=", USER), ("log", LOG), ("need=", NEED), ("at=", AT), ("enable", ENABLE)]);
    let names = cli::anywhere(&words[..end], "", options, |option, value| {
        let value = OsStr::from_bytes(value);
        match option {
            USER => asked.user = Some(value),
            LOG => asked.log = true,
            NEED if asked.needs.contains(&value) => {}
            NEED => asked.needs.push(value),
            AT => asked.at = Some(Path::new(value)),
            _ => asked.enable = true,
        }
        Ok(())
    })?;
    let ([name], [command, ..]) = (names.as_slice(), asked.command.as_slice()) else {
        return Err(Usage.into());
    };
    if asked.enable { enable::require_service(name) } else { enable::require_name(name) }?;
    for need in &asked.needs {
        enable::require_service(need)?;
        if need == name {
            return Err(WrongWord(text!("a service cannot need itself")).into());
        }
    }
    require_command(command)?;
    Ok(name)
}

/// Fails if `exec` in a service directory cannot run this command, whatever is installed.
fn require_command(command: &OsStr) -> Result<(), WrongWord> {
    let wrong = |why: &str| Err(WrongWord(text!("wrong command ", shown::name(command).as_str(), ": ", why)));
    let bytes = command.as_bytes();
    let variable = bytes.split(|&byte| byte == b'=').next().filter(|before| before.len() < bytes.len());
    let is_name = |bytes: &[u8]| bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    match bytes {
        [] => wrong("it is empty"),
        [b'-', ..] => wrong("it would be taken for an option"),
        [b'/', ..] => Ok(()),
        bytes if bytes.contains(&b'/') => wrong("it runs in the service directory, so give its whole path"),
        _ if variable.is_some_and(is_name) => wrong("it sets a variable: put env in front of it"),
        _ => Ok(()),
    }
}

/// The directory for new service directories, which is made if it is not there.
fn default_place() -> anyhow::Result<PathBuf> {
    let place = scan_dir::of_definitions().with_context(|| {
        text!("there is no place for service directories: $HOME is not set; name one with --at DIR")
    })?;
    fs::create_dir_all(&place).with_context(|| text!("unable to make ", place))?;
    Ok(place)
}

fn is_there(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::AlreadyExists)
}

fn refuse(dir: &Path) -> u8 {
    PROGRAM.voice().say(&[&shown::name(dir.as_os_str()).as_str(), &" exists, and nothing was changed"]);
    NOT_AS_WANTED
}

fn print(bytes: &[u8]) {
    // If stdout cannot be written, there is nobody to tell.
    let _ = sys::fd::write_all(sys::fd::stdout(), bytes);
}

/// Says if the command is not there to be run.
fn tell_of_command(command: &OsStr, voice: Voice) {
    let is_program =
        |path: &Path| fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    let path = Path::new(command);
    let name = shown::name(command);
    if path.is_absolute() {
        if !is_program(path) {
            voice.warn(&text!(name.as_str(), " is no program that can be executed"));
        }
        return;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|place| is_program(&place.join(command))) {
        voice.warn(&text!("there is no program ", name.as_str(), " on PATH"));
    }
}

/// Says what a service that is needed lacks for that.
fn tell_of_need(scan: &Scan, name: &OsStr, need: &OsStr, voice: Voice) {
    /// By these a service tells when it is ready; one without `run` is when its `start` is done.
    const TELLS: [&str; 3] = [names::NOTIFICATION_FD, names::SD_NOTIFY, names::CHECK];
    let dir = scan.dir.join(need);
    let (name, shown) = (shown::name(name), shown::name(need));
    match fs::metadata(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let scan = shown::name(scan.dir.as_os_str());
            voice.say(&[
                &"there is no service ",
                &shown.as_str(),
                &" in ",
                &scan.as_str(),
                &": ",
                &name.as_str(),
                &" waits until there is",
            ]);
        }
        Err(_) => {}
        Ok(_) => {
            let has = |file: &str| fs::symlink_metadata(dir.join(file)).is_ok();
            if has(names::RUN) && !TELLS.into_iter().any(has) {
                voice.say(&[
                    &shown.as_str(),
                    &" does not tell when it is ready, so ",
                    &name.as_str(),
                    &" is started when ",
                    &shown.as_str(),
                    &" is up; see readiness in svdir(5)",
                ]);
            }
        }
    }
}
