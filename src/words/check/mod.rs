//! `uphold check`: what is wrong with service directories, before they run. Starts nothing and changes nothing.

mod found;
mod knob;
mod log_dir;
mod order;
mod program;
mod sockets;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cli::{Call, LongWords, Word};
use svdir::names;
use sys::process::Pid;

use self::found::Found;
use self::order::Order;
use self::sockets::{All, Kernel, Sockets};
use super::scan::{Meant, Scan};
use super::{look, shown};
use crate::service::home::Home;
use crate::service::look_ups::LookUps;
use crate::service::{client, knobs, needs};

const PROGRAM: cli::Program = cli::Program {
    name: "uphold check",
    synopsis: "[NAME|DIR ...]",
    usage: "uphold check: usage: uphold [-C dir] check [name|dir ...]",
    usage_exit: cli::USAGE,
    about: "Tells what is wrong with service directories, in a line for each finding, before they run. Starts nothing and changes nothing.",
    options: &[
        (
            "NAME",
            "a service of the scan directory with its logger, NAME/log for the logger alone, or a pattern of the shell; without one, all",
        ),
        ("DIR", "the path of a service directory, with a slash in it"),
    ],
};

/// The exit code if anything is wrong, or a name means nothing.
const WRONG: u8 = 1;

/// The number of red (SGR, ECMA-48).
const RED: u8 = 31;

/// The word.
pub fn main(call: &Call, scan_dir: Option<PathBuf>) -> i32 {
    PROGRAM.run(call, |call| run(call, scan_dir))
}

fn run(call: &Call, scan_dir: Option<PathBuf>) -> anyhow::Result<u8> {
    let words = cli::anywhere(call.words(), "", LongWords::Known(&[]), |_, _| Ok(()))?;
    let scan = match Scan::open(scan_dir.clone()) {
        // Directories can be looked at where there is no scan directory yet.
        Err(_) if scan_dir.is_none() && !words.is_empty() && words.iter().all(|word| is_path(word)) => {
            Scan { dir: PathBuf::from("."), names: Vec::new(), served: None }
        }
        scan => scan?,
    };
    let (meant, mut right) =
        if words.is_empty() { (scan.all(true), true) } else { scan.meant(&words, true, PROGRAM.voice()) };
    let found = look(&Home::open()?, &scan, &meant, place)?;
    let mut text = String::new();
    let coloured = shown::is_coloured(std::io::stdout().is_terminal());
    let mut seen = true;
    for (meant, Found { wrong, unseen, .. }) in meant.iter().zip(&found) {
        let name = shown::name(&meant.name);
        let title = if coloured { format!("\x1b[{RED}m{name}\x1b[0m") } else { name.clone() };
        wrong.iter().for_each(|wrong| text += &format!("{title}: {wrong}\n"));
        right &= wrong.is_empty();
        if !unseen.is_empty() {
            seen = false;
            let unseen = unseen.join(", ");
            PROGRAM.voice().say(&[
                &name.as_str(),
                &": no permission to look at ",
                &unseen.as_str(),
                &": ask as its owner, or as root",
            ]);
        }
    }
    // If stdout cannot be written, there is nobody to tell.
    let _ = sys::fd::write_all(sys::fd::stdout(), text.as_bytes());
    Ok(match (right, seen) {
        (false, _) => WRONG,
        (true, false) => cli::TEMPORARY,
        (true, true) => 0,
    })
}

/// What is wrong with a service directory that is no service yet.
pub struct Wrong {
    /// A line for each finding.
    pub lines: Vec<String>,
    /// It, or its logger, cannot run.
    pub cannot_run: bool,
}

/// Looks at a service directory as if it was in the scan directory under this name.
///
/// # Errors
/// If the way back from it fails.
pub fn before(home: &Home, scan: &Scan, service: &Meant) -> anyhow::Result<Wrong> {
    let log = service.dir.join(names::LOG);
    let logger = Meant { name: Path::new(&service.name).join(names::LOG).into(), dir: log };
    let meant: Vec<Meant> = [service.clone()].into_iter().chain(logger.dir.is_dir().then_some(logger)).collect();
    let found = look(home, scan, &meant, |_| Some((scan.dir.clone(), service.name.clone())))?;
    let line = |(meant, wrong): (&Meant, &String)| format!("{}: {wrong}", shown::name(&meant.name));
    let lines = meant.iter().zip(&found).flat_map(|(meant, found)| found.wrong.iter().map(move |wrong| (meant, wrong)));
    Ok(Wrong { lines: lines.map(line).collect(), cannot_run: found.iter().any(|found| found.cannot_run) })
}

/// Looks at services. `place` tells the scan directory of a service directory, and its name there.
fn look(
    home: &Home,
    scan: &Scan,
    meant: &[Meant],
    place: impl Fn(&Path) -> Option<(PathBuf, std::ffi::OsString)>,
) -> anyhow::Result<Vec<Found>> {
    let mut checked = Checked::default();
    let mut found = Vec::with_capacity(meant.len());
    for meant in meant {
        found.push(checked.look(home, meant, scan, &place)?);
    }
    if checked.any_sockets {
        // The address of one that is meant may be that of one that is not.
        for other in scan.all(true).iter().filter(|other| !meant.contains(other)) {
            checked.read_sockets(home, other)?;
        }
        let kernel = Kernel::look();
        for (meant, found) in meant.iter().zip(&mut found) {
            checked.sockets.look(&shown::name(&meant.name), &kernel, found);
        }
    }
    Ok(found)
}

/// What is known of services that were looked at.
#[derive(Default)]
struct Checked {
    orders: BTreeMap<PathBuf, Order>,
    sockets: All,
    any_sockets: bool,
    look_ups: LookUps,
}

impl Checked {
    /// Looks at a service, but for what its sockets have to do with others.
    fn look(
        &mut self,
        home: &Home,
        meant: &Meant,
        scan: &Scan,
        place: impl Fn(&Path) -> Option<(PathBuf, std::ffi::OsString)>,
    ) -> anyhow::Result<Found> {
        let mut found = Found::default();
        let name = shown::name(&meant.name);
        let is_logger = is_logger(meant);
        match home.visit(&meant.dir, || here(&name, is_logger, &mut self.look_ups, &mut found))? {
            Ok(sockets) => {
                self.any_sockets |= sockets.is_some();
                sockets.into_iter().for_each(|sockets| self.sockets.add(sockets));
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                found.unseen.push("it".to_owned());
                return Ok(found);
            }
            Err(error) => {
                found.wrong.push(look::no_way(&meant.dir, &error));
                return Ok(found);
            }
        }
        if is_logger {
            let others = [names::DEPENDENCIES, names::WANTS];
            let named = others.into_iter().filter(|name| fs::metadata(meant.dir.join(name)).is_ok());
            named.for_each(|name| found.about(name, needs::OF_A_LOGGER));
        } else if let Some((above, own)) = place(&meant.dir) {
            let all = if above == scan.dir { scan.names.as_slice() } else { &[] };
            let order = self.orders.entry(above.clone()).or_insert_with(|| Order::of(&above));
            order.look(&own, &meant.dir, all, &mut found);
        }
        Ok(found)
    }

    /// Reads the sockets of a service that is not asked for.
    fn read_sockets(&mut self, home: &Home, other: &Meant) -> anyhow::Result<()> {
        let name = shown::name(&other.name);
        let read = || sockets::read(&name, &mut self.look_ups, &mut Found::default());
        if let Ok(Some(sockets)) = home.visit(&other.dir, read)? {
            self.sockets.add(sockets);
        }
        Ok(())
    }
}

/// Looks at the service `name`, whose directory is the current one. Returns its sockets.
fn here(name: &str, is_logger: bool, look_ups: &mut LookUps, found: &mut Found) -> Option<Sockets> {
    program::look(found);
    let log = fs::metadata(names::LOG);
    match &log {
        Ok(log) if !log.is_dir() => found.wrong.push("log is not a directory".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(names::LOG).is_ok() => {
            found.wrong.push("log is a link to a directory that does not exist".to_owned());
        }
        _ => {}
    }
    knob::look(open_files(), found);
    let sockets = sockets::read(name, look_ups, found);
    if is_logger {
        log_dir::look(found);
    }
    program::directories(found);
    sockets
}

/// The limit of the supervise of the current directory on open files. None is known before it runs.
fn open_files() -> u64 {
    let author = client::find().ok().and_then(|()| client::read().ok()).map(|facts| facts.author().0);
    author.and_then(|pid| knobs::open_files(Pid::from_raw(pid.cast_signed()))).unwrap_or(u64::MAX)
}

fn is_path(word: Word) -> bool {
    word.as_bytes().contains(&b'/')
}

/// Returns whether this is the logger of a service, and none itself.
fn is_logger(meant: &Meant) -> bool {
    meant.name.as_bytes().ends_with(b"/log")
}

/// The scan directory in which a service directory is, and its name there.
fn place(dir: &Path) -> Option<(PathBuf, std::ffi::OsString)> {
    let Some(std::path::Component::Normal(name)) = dir.components().next_back() else {
        let whole = fs::canonicalize(dir).ok()?;
        return Some((whole.parent()?.to_owned(), whole.file_name()?.to_owned()));
    };
    let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
    Some((above.map_or_else(|| PathBuf::from("."), Path::to_path_buf), name.to_owned()))
}
