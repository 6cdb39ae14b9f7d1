//! `uphold log`: the logs of services, wherever their loggers write.
//!
//! Each log is a [`source`] of lines; several are merged by the times in front of their lines.

mod asked;
mod back;
mod files;
mod filter;
mod follow;
mod lines;
mod packed;
pub mod place;
mod reader;
mod show;
mod sink;
mod source;
mod when;

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::Context;
use cli::{Call, Exit, Text, Voice, text};
use svdir::names;

use crate::service::local_time::Times;

use super::scan::{Meant, Scan};
use super::shown;
use asked::{Asked, Count, Stamps};
use files::LogDir;
use filter::Filter;
use follow::Follower;
use place::{Place, unable};
use show::{Screen, Shown};
use source::{Source, Way};

const PROGRAM: cli::Program = cli::Program {
    name: "uphold log",
    synopsis: "[-f] [-n COUNT] [-g TEXT] [--since TIME] [--until TIME] [--utc] [--raw] [NAME ...]",
    usage: "uphold log: usage: uphold [-C dir] log [-f] [-n count] [-g text] [--since time] [--until time] [--utc] [--raw] [name ...]",
    usage_exit: cli::USAGE,
    about: "Shows the last lines of the logs of services, wherever their loggers write, merged by time.",
    options: &[
        ("-f", "go on with the lines that are written from now on"),
        ("-n COUNT", "so many of the last lines, or all; default: 20, and all with --since"),
        ("-g TEXT", "only lines that contain this text"),
        (
            "--since TIME",
            "only lines from this time on: 10m (ago), 2h, 3d, 2026-11-28, '2026-11-28 21:00', 2026-11-28T21:00:05Z",
        ),
        ("--until TIME", "only lines up to this time"),
        ("--utc", "show times in UTC, not in local time"),
        ("--raw", "show stamps as they are written"),
        (
            "NAME",
            "a service of the scan directory, a pattern of the shell, or a path; without one, all that have a logger",
        ),
    ],
};

/// The exit code if something that was asked for is not shown.
const LACKING: u8 = 1;

/// The word.
pub fn main(call: &Call, scan_dir: Option<PathBuf>) -> i32 {
    PROGRAM.run(call, |call| run(call, scan_dir))
}

fn run(call: &Call, scan_dir: Option<PathBuf>) -> anyhow::Result<u8> {
    let asked = Asked::read(call.words())?;
    let scan = Scan::open(scan_dir)?;
    let voice = PROGRAM.voice();
    let (meant, mut right) = if asked.names.is_empty() {
        let all = scan.all(false).into_iter().filter(|meant| meant.dir.join(names::LOG).is_dir()).collect::<Vec<_>>();
        if all.is_empty() {
            voice.say(&[&"no service in ", &scan.dir, &" has a logger"]);
        }
        let has_any = !all.is_empty();
        (all, has_any)
    } else {
        scan.meant(&asked.names, false, voice)
    };
    let mut follower = asked.follows.then(Follower::new);
    let filter = Rc::new(asked.filter);
    let mut sources = Vec::new();
    for meant in &meant {
        right &= open(meant, &scan.dir, &filter, &mut sources, follower.as_mut(), voice);
    }
    if sources.is_empty() {
        return Ok(LACKING);
    }
    let skipped = rewind(&mut sources, asked.count)?;
    let width = sources.iter().map(|source| source.title.chars().count()).max().filter(|_| sources.len() > 1);
    let times = match asked.stamps {
        Stamps::Local => Some(Times::local()),
        Stamps::Utc => Some(Times::utc()),
        Stamps::Raw => None,
    };
    let mut view = View { sources, screen: Screen::new(times, width), skipped, hidden: None };
    loop {
        view.pass()?;
        match &mut follower {
            Some(follower) => follower.wait(&mut view.sources)?,
            None => break,
        }
    }
    right &= view.sources.iter().all(|source| !source.is_lacking);
    Ok(if right { 0 } else { LACKING })
}

/// Opens the logs of a service. Says what is not there, and returns whether all of it is.
fn open(
    meant: &Meant,
    scan_dir: &Path,
    filter: &Rc<Filter>,
    sources: &mut Vec<Source>,
    mut follower: Option<&mut Follower>,
    voice: Voice,
) -> bool {
    let name = shown::name(&meant.name);
    let say = |text: &Text| voice.say(&[&name.as_str(), &": ", &text.0.as_slice()]);
    let Some(logger) = logger_of(meant) else {
        voice.say(&[&sink::line(&name, &meant.dir, scan_dir).0.as_slice()]);
        return false;
    };
    let place = match place::find(&logger) {
        Ok(place) => place,
        Err(why) => {
            say(&why);
            return false;
        }
    };
    let mut right = true;
    for directory in &place.directories {
        let title = match directory.file_name() {
            Some(last) if place.directories.len() > 1 => format!("{name} {}", shown::bytes(last.as_bytes())),
            _ => name.clone(),
        };
        let source = LogDir::open(directory.clone()).and_then(|dir| {
            // What is written from now on is told before the directory is looked at.
            if let Some(follower) = &mut follower {
                follower.watch(sources.len(), directory);
            }
            Source::new(title, dir, way(&place, follower.is_some(), filter, voice))
        });
        match source {
            Ok(source) => sources.push(source),
            Err(error) => {
                say(&unopened(directory, &error));
                right = false;
            }
        }
    }
    right
}

/// The service directory of the logger of a service, or of the logger that was named itself.
fn logger_of(meant: &Meant) -> Option<PathBuf> {
    match meant.dir.join(names::LOG) {
        log if log.is_dir() => Some(log),
        _ => (meant.dir.file_name() == Some(OsStr::new(names::LOG))).then(|| meant.dir.clone()),
    }
}

/// How the logs of a place are read.
fn way(place: &Place, follows: bool, filter: &Rc<Filter>, voice: Voice) -> Way {
    let ahead = if place.is_s6 { LEAP_SECONDS } else { 0 };
    Way { ahead, has_processor: place.has_processor, follows, filter: Rc::clone(filter), voice }
}

/// Why a log cannot be opened.
fn unopened(directory: &Path, error: &io::Error) -> Text {
    match error.kind() {
        io::ErrorKind::NotFound => {
            text!("its log directory ", directory, " does not exist: its logger has not made it yet")
        }
        _ => unable("read", directory, error),
    }
}

/// The end of the log of a service.
#[derive(Default)]
pub struct Tail {
    /// Where its logger writes.
    pub directories: Vec<PathBuf>,
    /// Its last lines, with local times, as a terminal may show them.
    pub lines: Vec<String>,
    /// What is to be said of lines that are not there.
    pub trouble: Vec<String>,
}

/// The last `count` lines of the log of a service. Compressed files that cannot be read are told by `voice`.
pub fn tail(meant: &Meant, scan_dir: &Path, count: usize, voice: Voice) -> Tail {
    /// How much of a line is shown, in bytes.
    const LONGEST: usize = 1 << 16;
    let mut tail = Tail::default();
    let shown = |text: &Text| shown::bytes(&text.0);
    let Some(logger) = logger_of(meant) else {
        tail.trouble.push(shown(&sink::line(&shown::name(&meant.name), &meant.dir, scan_dir)));
        return tail;
    };
    let place = match place::find(&logger) {
        Ok(place) => place,
        Err(why) => {
            tail.trouble.push(shown(&why));
            return tail;
        }
    };
    let (mut sources, filter) = (Vec::new(), Rc::new(Filter::default()));
    for directory in &place.directories {
        let open = LogDir::open(directory.clone());
        match open.and_then(|dir| Source::new(String::new(), dir, way(&place, false, &filter, voice))) {
            Ok(source) => sources.push(source),
            Err(error) => tail.trouble.push(shown(&unopened(directory, &error))),
        }
    }
    tail.directories = place.directories;
    let mut read = || {
        let skipped = rewind(&mut sources, Count::Last(count))?;
        let screen = Screen::kept(Times::local(), LONGEST);
        let mut view = View { sources: std::mem::take(&mut sources), screen, skipped, hidden: None };
        view.pass()?;
        let mut lines = view.screen.lines();
        // More may have been written meanwhile.
        Ok::<_, anyhow::Error>(lines.split_off(lines.len().saturating_sub(count)))
    };
    match read() {
        Ok(lines) => tail.lines = lines,
        Err(error) => tail.trouble.push(shown::bytes(format!("{error:#}").as_bytes())),
    }
    tail
}

/// By how many seconds the labels of s6-log are ahead of those of multilog: it counts the leap seconds since 1972.
const LEAP_SECONDS: filter::Ahead = 27;

/// Leaves what has the last lines, and returns how many of the lines that are left are too many: each log has the last ones for itself.
fn rewind(sources: &mut [Source], count: Count) -> anyhow::Result<usize> {
    let Count::Last(wanted) = count else { return Ok(0) };
    let mut total = 0_usize;
    for source in sources {
        let found = source.rewind(wanted).with_context(|| text!("unable to read ", source.path()))?;
        total = total.saturating_add(found);
    }
    Ok(total.saturating_sub(wanted))
}

/// What is shown.
struct View {
    sources: Vec<Source>,
    screen: Screen,
    /// So many lines are not shown.
    skipped: usize,
    /// The log of which a line is not shown whose pieces still come.
    hidden: Option<usize>,
}

impl View {
    /// Shows all lines that there are, in the order of their times.
    ///
    /// # Errors
    /// If a log cannot be read, or stdout cannot be written: quietly if nobody reads it.
    fn pass(&mut self) -> anyhow::Result<()> {
        let mut waiting: Vec<usize> = (0..self.sources.len()).collect();
        loop {
            let mut first = None;
            let mut failed = None;
            waiting.retain(|&number| {
                let source = &mut self.sources[number];
                let found = source.find().unwrap_or_else(|error| {
                    failed = Some((number, error));
                    false
                });
                if found && first.is_none_or(|(place, _)| source.place() < place) {
                    first = Some((source.place(), number));
                }
                found
            });
            if let Some((number, error)) = failed {
                let path = self.sources[number].path();
                return Err(anyhow::Error::new(error).context(text!("unable to read ", path)));
            }
            let Some((_, number)) = first else { break };
            self.show(number).or_else(quietly)?;
        }
        self.screen.flush().or_else(quietly)
    }

    fn show(&mut self, number: usize) -> io::Result<()> {
        let source = &mut self.sources[number];
        let (title, ahead) = (source.title.clone(), source.ahead);
        let Some((cut, bytes)) = source.take() else { return Ok(()) };
        if cut.begins && self.skipped > 0 {
            self.skipped -= 1;
            self.hidden = Some(number);
        }
        if self.hidden == Some(number) {
            self.hidden = self.hidden.filter(|_| !cut.ends);
            return Ok(());
        }
        self.screen.put(Shown { number, title: &title, ahead }, &cut, bytes)
    }
}

/// Ends without a word where nobody reads.
fn quietly(error: io::Error) -> anyhow::Result<()> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Err(Exit(0).into()),
        _ => Err(anyhow::Error::new(error).context(text!("unable to write output"))),
    }
}
