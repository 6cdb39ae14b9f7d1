//! `uphold why`: in sentences, what is not as wanted about a service, because of what, and what happens next.
//!
//! Where a service waits for another one, that one is next, and so on: the chain ends where the reason is. What that one has said last follows.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cli::{Call, LongWords, Usage, Word};
use svdir::names;

use crate::service::home::Home;
use crate::service::summary::{State, Summary};

use super::Scan;
use super::full;
use super::log::{self, place};
use super::look::{self, Row};
use super::scan::Meant;
use super::shown;

const PROGRAM: cli::Program = cli::Program {
    name: "uphold why",
    synopsis: "NAME ...",
    usage: "uphold why: usage: uphold [-C dir] why name ...",
    usage_exit: cli::USAGE,
    about: "Says what is not as wanted about a service, because of what, and what happens next. Exits 0 if all are as wanted.",
    options: &[("NAME", "a service of the scan directory, NAME/log for its logger, a pattern of the shell, or a path")],
};

/// The exit code if a service is not as wanted, or a name means nothing.
const NOT_AS_WANTED: u8 = 1;

/// How many lines of a log are shown.
const LINES: usize = 3;

/// How many services a chain has at most.
const LONGEST: usize = 100;

/// The word.
pub fn main(call: &Call, scan_dir: Option<PathBuf>) -> i32 {
    PROGRAM.run(call, |call| run(call, scan_dir))
}

fn run(call: &Call, scan_dir: Option<PathBuf>) -> anyhow::Result<u8> {
    let names = operands(call.words())?;
    let scan = Scan::open(scan_dir)?;
    let (meant, right) = scan.meant(&names, false, PROGRAM.voice());
    let home = Home::open()?;
    let (mut lines, mut as_wanted) = (String::new(), right);
    for meant in meant {
        let (mut told, mut logger, mut culprit) = (Vec::new(), None, None);
        let mut next = Some(meant);
        while let Some(meant) = next {
            let row = look::look(&home, &meant, scan.served)?;
            let sentence = Sentence::about(&row, &meant, &scan.dir);
            if told.is_empty() && row.summary.state != State::Broken {
                logger = logger_of(&meant);
            }
            // Only the first one was asked about.
            as_wanted &= !told.is_empty() || sentence.as_wanted;
            lines += &sentence.text;
            lines.push('\n');
            told.push(meant.name.clone());
            next = row.summary.awaited.as_deref().and_then(|name| follow(&meant, name, &told));
            culprit = (!sentence.as_wanted && may_have_said(row.summary.state)).then_some(meant);
        }
        if let Some(culprit) = culprit {
            lines += &last_lines(&culprit, &scan);
        }
        // A service whose lines nobody takes does not go on for long.
        if let Some(logger) = logger {
            let sentence = Sentence::about(&look::look(&home, &logger, scan.served)?, &logger, &scan.dir);
            if !sentence.as_wanted {
                as_wanted = false;
                lines += &sentence.text;
                lines.push('\n');
            }
        }
    }
    // If stdout cannot be written, there is nobody to tell.
    let _ = sys::fd::write_all(sys::fd::stdout(), lines.as_bytes());
    Ok(if as_wanted { 0 } else { NOT_AS_WANTED })
}

/// Returns whether a service that is so may have said the reason itself.
const fn may_have_said(state: State) -> bool {
    matches!(
        state,
        State::Failed
            | State::BackingOff
            | State::Down
            | State::Starting
            | State::Finishing
            | State::Unhealthy
            | State::Replacing
    )
}

/// What a service has said last, indented, with a line above; nothing where it has said nothing, or its log cannot be read.
fn last_lines(meant: &Meant, scan: &Scan) -> String {
    let said = log::tail(meant, &scan.dir, LINES, PROGRAM.voice()).lines;
    if said.is_empty() {
        return String::new();
    }
    let above = format!("The last lines of the log of {}:\n", shown::name(&meant.name));
    said.iter().fold(above, |text, line| format!("{text}    {line}\n"))
}

/// Parses the names, which may be behind `--`.
fn operands(words: &[Word]) -> anyhow::Result<Vec<Word>> {
    let names = cli::anywhere(words, "", LongWords::Known(&[]), |_, _| Ok(()))?;
    if names.is_empty() { Err(Usage.into()) } else { Ok(names) }
}

/// The service that is next in the chain, unless it was told of before.
fn follow(from: &Meant, name: &[u8], told: &[OsString]) -> Option<Meant> {
    let beside = from.dir.parent()?;
    let here = Path::new(&from.name).parent().unwrap_or(Path::new(""));
    let name = OsStr::from_bytes(name);
    let next = Meant { name: here.join(name).into(), dir: beside.join(name) };
    (told.len() < LONGEST && !told.contains(&next.name)).then_some(next)
}

/// The logger of a service.
fn logger_of(meant: &Meant) -> Option<Meant> {
    let dir = meant.dir.join(names::LOG);
    dir.is_dir().then(|| Meant { name: Path::new(&meant.name).join(names::LOG).into(), dir })
}

/// Why a logger that runs cannot write. `None` for what is no logger.
fn in_the_way(row: &Row, meant: &Meant) -> Option<String> {
    if meant.dir.file_name() != Some(OsStr::new(names::LOG)) {
        return None;
    }
    let place = place::find(&meant.dir).ok()?;
    place.directories.iter().find_map(|directory| full::in_the_way(row.summary.pid, directory))
}

/// What is said about a service.
#[derive(Debug, PartialEq, Eq)]
struct Sentence {
    text: String,
    as_wanted: bool,
}

impl Sentence {
    /// What is to be said about this service, which lies in the scan directory `scan`.
    fn about(row: &Row, meant: &Meant, scan: &Path) -> Sentence {
        let Row { name, summary, .. } = row;
        let Summary { state, .. } = summary;
        let since = shown::age(summary.since);
        let pid = summary.pid.map_or_else(String::new, |pid| format!(", pid {pid}"));
        let why = shown::bytes(row.why().as_bytes());
        let also = if why.is_empty() { String::new() } else { format!(", {why}") };
        let last =
            summary.last_exit.as_ref().map_or_else(String::new, |exit| format!(" It has ended last with: {exit}."));
        let wanted = |text: String| Sentence { text: format!("{name} is as wanted: {text}"), as_wanted: true };
        let not = |text: String| Sentence { text: format!("{name} {text}"), as_wanted: false };
        let start = format!("uphold start {name} starts it");
        match state {
            State::Ready | State::Up if let Some(stuck) = in_the_way(row, meant) => not(format!(
                "is up for {since}{pid}, and cannot write: {stuck}. It goes on when it can; until then its service stops when the pipe to it is full."
            )),
            State::Ready => {
                let ready =
                    summary.ready.map_or_else(String::new, |ready| format!(", ready for {}", shown::age(ready)));
                wanted(format!("up for {since}{ready}{pid}{also}."))
            }
            State::Up => wanted(format!("up for {since}{pid}{also}.")),
            State::Done => wanted(format!("it is done, {since} ago.")),
            State::Down if summary.is_wanted_up => not(format!("is down for {since} and about to start.{last}")),
            State::Down if why.is_empty() => wanted(format!("down for {since}, as its file down says; {start}.")),
            State::Down => wanted(format!("it was told to be down, {since} ago; {start}.")),
            State::Failed => {
                not(format!("has failed, {since} ago: {why}. It is not started again by itself; {start}."))
            }
            State::Waiting => {
                not(format!("is down for {since} and waits {why}, which must be ready before it is started."))
            }
            State::BackingOff => {
                let times =
                    summary.starts.map_or_else(String::new, |starts| format!(" It was started {starts} times."));
                not(format!("is down for {since} and backing off: {why}.{last}{times}"))
            }
            State::Refused => not(format!("cannot be started: {why}. It is tried again.")),
            State::Starting if summary.pid.is_some() => {
                not(format!("is up for {since}{pid}, and has not told yet that it is ready."))
            }
            State::Starting => not(format!("is starting for {since}: {why}. Its run comes after that.")),
            State::Finishing => not(format!("is down for {since}: {why}.{last}")),
            State::Stopping => not(format!("is ending: {why}{pid}.")),
            State::Paused => not(format!("is paused{pid}: uphold cont {name} continues it.")),
            State::Unhealthy => not(format!("is up for {since}{pid}, and unhealthy: {why}.")),
            State::Replacing => not(format!("is being replaced{pid}: {why}.")),
            State::Broken => {
                let help = help(&why, meant, scan).map_or_else(String::new, |help| format!(" {help}"));
                not(format!("is broken: {why}.{help}"))
            }
        }
    }
}

/// What helps where a service is broken, as a sentence.
pub fn help(why: &str, meant: &Meant, scan: &Path) -> Option<String> {
    let run = shown::name(meant.dir.join(names::RUN).as_os_str());
    let scan = shown::name(scan.as_os_str());
    match why {
        look::NOT_EXECUTABLE => Some(format!("chmod +x {run} helps.")),
        look::NO_SUPERVISE => Some(format!("No svscan serves {scan}: svscan {scan} starts one.")),
        look::NOT_STARTED => {
            Some("svscan looks again within five seconds, and says on its stderr what is in the way.".to_owned())
        }
        look::DANGLING => {
            let target = std::fs::read_link(&meant.dir).ok()?;
            Some(format!("It leads to {}.", shown::name(target.as_os_str())))
        }
        look::NO_PERMISSION => Some("Its user, or root, may look.".to_owned()),
        _ => None,
    }
}
