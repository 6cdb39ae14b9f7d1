//! `uphold status`: a line for each service, or a page about one.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use cli::{Call, LongWords, Usage, Word, WrongWord, text};
use svdir::knob::{self, Unit};
use sys::{pattern, poll};

use crate::service::home::Home;
use crate::service::summary::State;

use super::Scan;
use super::look::{self, Row};
use super::page;
use super::shown;
use super::table::{self, Cell, Column};
use super::whole::Whole;
use super::{json, metrics};

const PROGRAM: cli::Program = cli::Program {
    name: "uphold status",
    synopsis: "[-l] [--interval TIME] [--json [--follow] | --metrics [--output FILE]] [NAME ...]",
    usage: "uphold status: usage: uphold [-C dir] status [-l] [--interval time] [--json [--follow] | --metrics [--output file]] [name ...]",
    usage_exit: cli::USAGE,
    about: "Shows a line for each service of the scan directory: how it is, since when, and why. Of one service that is named: a page.",
    options: &[
        ("-l", "show loggers, second copies, and supervises with their versions too"),
        ("--interval TIME", "measure the processor for so long (1s, 500ms), instead of over the life of each process"),
        ("--json", "tell all that is known, for programs: an array of objects"),
        ("--follow", "with --json: an object on a line for each service, and then one for each change"),
        ("--metrics", "tell what can be counted, as OpenMetrics text"),
        ("--output FILE", "with --metrics: put it in place of FILE, whole"),
        (
            "NAME",
            "a service of the scan directory, NAME/log for its logger, a pattern of the shell, or a path; one alone: a page about it; without one, all",
        ),
    ],
};

/// The exit code if a name means nothing.
const UNKNOWN: u8 = 1;

/// The columns, in their order; those of `-l` are marked.
const COLUMNS: [(Column, bool); 13] = [
    (Column { title: "NAME", right: false, dispensable: 0 }, false),
    (Column { title: "STATE", right: false, dispensable: 0 }, false),
    (Column { title: "SINCE", right: false, dispensable: 1 }, false),
    (Column { title: "PID", right: true, dispensable: 2 }, false),
    (Column { title: "READY", right: true, dispensable: 5 }, false),
    (Column { title: "STARTS", right: true, dispensable: 4 }, false),
    (Column { title: "LAST EXIT", right: false, dispensable: 3 }, false),
    (Column { title: "CPU", right: true, dispensable: 7 }, false),
    (Column { title: "MEMORY", right: true, dispensable: 6 }, false),
    (Column { title: "SECOND", right: true, dispensable: 8 }, true),
    (Column { title: "SUPERVISE", right: true, dispensable: 9 }, true),
    (Column { title: "VERSION", right: false, dispensable: 10 }, true),
    (Column { title: "WHY", right: false, dispensable: 0 }, false),
];

/// The word.
pub fn main(call: &Call, scan_dir: Option<PathBuf>) -> i32 {
    PROGRAM.run(call, |call| run(call, scan_dir))
}

/// For whom it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Form {
    /// For a person.
    #[default]
    Table,
    /// For a program, which may want to hear of changes too.
    Json { follow: bool },
    /// For a collector of metrics, in a file if there is one.
    Metrics { file: Option<PathBuf> },
}

/// The parsed command line.
#[derive(Default)]
struct Asked {
    form: Form,
    long: bool,
    /// How long the processor is measured, in nanoseconds.
    interval: Option<u64>,
    names: Vec<Word>,
}

impl Asked {
    /// Parses options and names in any order.
    fn read(words: &[Word]) -> anyhow::Result<Asked> {
        const LONG: LongWords = LongWords::Known(&[
            ("interval=", b'i'),
            ("json", b'j'),
            ("follow", b'f'),
            ("metrics", b'm'),
            ("output=", b'o'),
        ]);
        let mut asked = Asked::default();
        let (mut json, mut follow, mut metrics, mut file) = (false, false, false, None);
        asked.names = cli::anywhere(words, "l", LONG, |option, value| {
            match option {
                b'l' => asked.long = true,
                b'i' => asked.interval = Some(interval(value)?),
                b'j' => json = true,
                b'f' => follow = true,
                b'm' => metrics = true,
                _ => file = Some(PathBuf::from(OsStr::from_bytes(value))),
            }
            Ok(())
        })?;
        asked.form = match (json, metrics) {
            (false, false) if !follow && file.is_none() => Form::Table,
            (true, false) if file.is_none() => Form::Json { follow },
            (false, true) if !follow => Form::Metrics { file },
            _ => return Err(Usage.into()),
        };
        // What programs are told has all of that.
        let is_for_a_person = asked.form == Form::Table;
        if is_for_a_person || !asked.long && asked.interval.is_none() { Ok(asked) } else { Err(Usage.into()) }
    }

    /// Whether one service is named, and by no pattern.
    fn is_about_one(&self, scan: &Scan) -> bool {
        let [name] = self.names[..] else {
            return false;
        };
        let is_plain = !pattern::is_pattern(name.as_bytes()) || name.as_bytes().contains(&b'/');
        is_plain || scan.names.iter().any(|known| known == name)
    }
}

fn interval(value: &[u8]) -> Result<u64, WrongWord> {
    knob::duration(value, Unit::Seconds).map_err(|why| WrongWord(text!("wrong time ", value, ": ", why.reason())))
}

fn run(call: &Call, scan_dir: Option<PathBuf>) -> anyhow::Result<u8> {
    let asked = Asked::read(call.words())?;
    let scan = Scan::open(scan_dir)?;
    let has_page = asked.is_about_one(&scan);
    let (meant, right) = if asked.names.is_empty() {
        (scan.all(asked.long), true)
    } else {
        scan.meant(&asked.names, asked.long && !has_page, PROGRAM.voice())
    };
    if scan.served == Some(false) && !matches!(asked.form, Form::Metrics { .. }) {
        PROGRAM.voice().say(&[&"no svscan serves ", &scan.dir, &": start one with svscan ", &scan.dir]);
    }
    let code = if right { 0 } else { UNKNOWN };
    let home = Home::open()?;
    // If stdout cannot be written, there is nobody to tell.
    let print = |text: &str| drop(sys::fd::write_all(sys::fd::stdout(), text.as_bytes()));
    match asked.form {
        Form::Table => {}
        Form::Json { follow: true } if right => return json::follow(scan, &asked.names, PROGRAM.voice()),
        Form::Json { follow: true } => return Ok(UNKNOWN),
        Form::Json { follow: false } => {
            print(&json::array(&Whole::of_all(&home, &scan, meant)?));
            return Ok(code);
        }
        Form::Metrics { file } => {
            let text = metrics::text(&Whole::of_all(&home, &scan, meant)?, scan.served);
            match file {
                Some(file) => metrics::replace(&file, &text)?,
                None => print(&text),
            }
            return Ok(code);
        }
    }
    let mut rows = Vec::with_capacity(meant.len());
    for meant in &meant {
        rows.push(look::look(&home, meant, scan.served)?);
    }
    if let Some(interval) = asked.interval {
        poll::rest_for(interval);
        rows.iter_mut().filter_map(|row| row.used.as_mut()).for_each(look::Used::again);
    }
    let terminal = terminal();
    print(&match (&meant[..], &rows[..]) {
        (_, []) => String::new(),
        ([meant], [row]) if has_page => page::text(&home, &scan, meant, row, PROGRAM.voice(), terminal)?,
        (_, rows) => table(rows, asked.long, terminal),
    });
    Ok(code)
}

/// How many columns the terminal has on which somebody reads, if one does, and whether there may be colours.
fn terminal() -> (Option<usize>, bool) {
    let is_terminal = std::io::stdout().is_terminal();
    let width = sys::terminal::columns(sys::fd::stdout()).filter(|_| is_terminal);
    (width, shown::is_coloured(is_terminal))
}

fn table(rows: &[Row], long: bool, (width, coloured): (Option<usize>, bool)) -> String {
    let kept: Vec<bool> = COLUMNS.iter().map(|(_, extra)| long || !extra).collect();
    let keep =
        |cells: Vec<Cell>| cells.into_iter().zip(&kept).filter(|(_, kept)| **kept).map(|(cell, _)| cell).collect();
    let columns: Vec<Column> =
        COLUMNS.iter().zip(&kept).filter(|(_, kept)| **kept).map(|((column, _), _)| *column).collect();
    let rows: Vec<Vec<Cell>> = rows.iter().map(|row| keep(cells(row))).collect();
    table::lines(&columns, &rows, width, coloured)
}

/// The cells of a row, those of `-l` among them.
fn cells(row: &Row) -> Vec<Cell> {
    let Row { name, summary, used, .. } = row;
    let dash = || "-".to_owned();
    let is_broken = summary.state == State::Broken;
    let supervise = summary.supervise.as_ref();
    let plain = [
        name.clone(),
        summary.state.word().to_owned(),
        if is_broken { dash() } else { shown::age(summary.since) },
        summary.pid.map_or_else(dash, |pid| pid.to_string()),
        summary.ready.map_or_else(dash, shown::age),
        summary.starts.map_or_else(dash, |starts| starts.to_string()),
        summary.last_exit.clone().unwrap_or_default(),
        used.map_or_else(String::new, |used| shown::share(used.share)),
        used.map_or_else(String::new, |used| shown::size(used.memory)),
        summary.second.map_or_else(String::new, |pid| pid.to_string()),
        supervise.map_or_else(dash, |(pid, _)| pid.to_string()),
        supervise.map_or_else(String::new, |(_, version)| version.clone()),
        shown::bytes(row.why().as_bytes()),
    ];
    let mut cells: Vec<Cell> = plain.into_iter().map(|text| (text, None)).collect();
    cells[1].1 = shown::colour(summary.state);
    cells
}
