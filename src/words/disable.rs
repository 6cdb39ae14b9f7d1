//! `uphold disable`: takes services out of the scan directory, and ends them and their loggers in order.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use cli::{Call, LongWords, Program, Usage, Voice, Word};
use svdir::names;
use sys::fd::CURRENT_DIRECTORY;
use sys::process::Signal;
use sys::{inode, pattern, signals};

use super::act::plan::Dependents;
use super::line::Line;
use super::linked::{Changes, End, Patience, What, other_name};
use super::scan::{Meant, Scan};
use super::{patience, shown};
use crate::service::home::Home;

const PROGRAM: Program = Program {
    name: "uphold disable",
    synopsis: "[--no-wait] [--timeout TIME] NAME ...",
    usage: "uphold disable: usage: uphold [-C DIR] disable [--no-wait] [--timeout TIME] NAME ...",
    usage_exit: cli::USAGE,
    about: "Takes services out of the scan directory: ends each, removes its link, and waits until its logger has written the last lines.",
    options: &[
        ("--no-wait", "return as soon as each link is away and each supervise was told to exit"),
        ("--timeout TIME", "how long to wait for each service: seconds, or a number with ms, s, m or h; default: 60s"),
        ("NAME", "a service of the scan directory, a pattern of the shell, or the path of a service directory"),
    ],
};

const DISABLE: What = What { away: true, done: "disabled", not: "not disabled" };

/// The bytes that stand for the options; none has a letter.
const NO_WAIT: u8 = 1;
const TIMEOUT: u8 = 2;

/// The exit code if a service is not disabled, or a name means nothing.
const NOT_AS_WANTED: u8 = 1;

/// The word.
pub fn main(call: &Call, scan_dir: Option<PathBuf>) -> i32 {
    PROGRAM.run(call, |call| run(call, scan_dir))
}

fn run(call: &Call, scan_dir: Option<PathBuf>) -> anyhow::Result<u8> {
    // If a supervise exits before it has read the letters, or nobody reads what is told, that is not the end.
    signals::ignore(Signal::SIGPIPE)?;
    let mut timeout = Some(patience::DEFAULT);
    let options = LongWords::Known(&[("no-wait", NO_WAIT), ("timeout=", TIMEOUT)]);
    let mut no_wait = false;
    let words = cli::anywhere(call.words(), "", options, |option, value| {
        match option {
            NO_WAIT => no_wait = true,
            _ => timeout = Some(patience::time(value)?),
        }
        Ok(())
    })?;
    if words.is_empty() {
        // Nobody is to disable everything by an empty variable.
        return Err(Usage.into());
    }
    let voice = PROGRAM.voice();
    let scan = Scan::open(scan_dir)?;
    let (meant, right) = meant(&scan, &words, &mut Line::new());
    tell_who_needs(&scan, &meant, voice);
    let interrupt = if no_wait { None } else { patience::begin()? };
    let patience = Patience { timeout: timeout.filter(|_| !no_wait), interrupt: interrupt.as_ref() };
    let mut changes = Changes::new(&DISABLE, &patience, &scan, meant);
    Ok(match changes.run(&Home::open()?)? {
        End::Interrupted(so_far) => patience::interrupted(voice, &so_far),
        End::Over if right && !changes.has_failed() => 0,
        End::Over => NOT_AS_WANTED,
    })
}

/// The entries of the scan directory that are meant, and whether every word means one. A path means the entry that leads to the same directory. A name that is not there is as it is
/// wanted, so it is only told of.
fn meant(scan: &Scan, words: &[Word], line: &mut Line) -> (Vec<Meant>, bool) {
    let (mut entries, mut right) = (Vec::new(), true);
    for &word in words {
        let (found, is_known) = scan.meant(&[word], false, PROGRAM.voice());
        let is_name = !word.as_bytes().contains(&b'/') && !pattern::is_pattern(word.as_bytes());
        right &= is_known || is_name;
        for meant in found {
            match entry(scan, meant) {
                Ok(entry) if entries.contains(&entry) => {}
                Ok(entry) => entries.push(entry),
                Err((name, why)) => {
                    line.failed(&name, DISABLE.not, why);
                    right = false;
                }
            }
        }
    }
    (entries, right)
}

/// The entry of the scan directory that this is; else what it is called, and why it is none.
fn entry(scan: &Scan, meant: Meant) -> Result<Meant, (String, &'static str)> {
    if !meant.name.as_bytes().contains(&b'/') {
        return Ok(meant);
    }
    let of = |name: &OsStr| Meant { name: name.to_owned(), dir: scan.dir.join(name) };
    let above = meant.dir.parent().and_then(|above| inode::at(CURRENT_DIRECTORY, above).ok());
    let is_inside = above.is_some() && above == inode::at(CURRENT_DIRECTORY, &scan.dir).ok();
    if let Some(name) =
        meant.dir.file_name().filter(|_| is_inside).or_else(|| other_name(scan, &meant.dir).map(|name| &**name))
    {
        return Ok(of(name));
    }
    let is_logger = meant.dir.file_name() == Some(OsStr::new(names::LOG));
    let why = if is_logger { "a logger ends with its service" } else { "nothing in the scan directory leads to it" };
    Err((shown::name(&meant.name), why))
}

/// Says which services will wait in vain for those that are to go.
fn tell_who_needs(scan: &Scan, meant: &[Meant], voice: Voice) {
    let dependents = Dependents::of(scan);
    for gone in meant {
        let others = dependents.of_one(gone).into_iter().filter(|other| !meant.contains(other));
        let others: Vec<String> = others.map(|other| shown::name(&other.name)).collect();
        if !others.is_empty() {
            let (need, start) = if others.len() == 1 { ("needs", "does") } else { ("need", "do") };
            let (others, name) = (others.join(", "), shown::name(&gone.name));
            voice.say(&[
                &others.as_str(),
                &" ",
                &need,
                &" ",
                &name.as_str(),
                &" and ",
                &start,
                &" not start again without it",
            ]);
        }
    }
}
