//! `uphold status`: a line for each service.

use std::io::IsTerminal;
use std::path::PathBuf;

use cli::{Call, LongWords, Word, WrongWord, text};
use svdir::knob::{self, Unit};
use sys::poll;

use crate::service::home::Home;
use crate::service::now;
use crate::service::summary::State;

use super::Scan;
use super::look::{self, Row};
use super::shown;
use super::table::{self, Cell, Column};

const PROGRAM: cli::Program = cli::Program {
    name: "uphold status",
    synopsis: "[-l] [--interval TIME] [NAME ...]",
    usage: "uphold status: usage: uphold [-C dir] status [-l] [--interval time] [name ...]",
    usage_exit: cli::USAGE,
    about: "Shows a line for each service of the scan directory: how it is, since when, and why.",
    options: &[
        ("-l", "show loggers, second copies, and supervises with their versions too"),
        ("--interval TIME", "measure the processor for so long (1s, 500ms), instead of over the life of each process"),
        (
            "NAME",
            "a service of the scan directory, NAME/log for its logger, a pattern of the shell, or a path; without one, all",
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

/// The parsed command line.
#[derive(Default)]
struct Asked {
    long: bool,
    /// How long the processor is measured, in nanoseconds.
    interval: Option<u64>,
    names: Vec<Word>,
}

impl Asked {
    /// Parses options and names in any order.
    fn read(words: &[Word]) -> anyhow::Result<Asked> {
        const LONG: LongWords = LongWords::Known(&[("interval=", b'i')]);
        let mut asked = Asked::default();
        let names = cli::anywhere(words, "l", LONG, |option, value| {
            match option {
                b'l' => asked.long = true,
                _ => asked.interval = Some(interval(value)?),
            }
            Ok(())
        })?;
        asked.names = names;
        Ok(asked)
    }
}

fn interval(value: &[u8]) -> Result<u64, WrongWord> {
    knob::duration(value, Unit::Seconds).map_err(|why| WrongWord(text!("wrong time ", value, ": ", why.reason())))
}

fn run(call: &Call, scan_dir: Option<PathBuf>) -> anyhow::Result<u8> {
    let asked = Asked::read(call.words())?;
    let scan = Scan::open(scan_dir)?;
    let (meant, right) = if asked.names.is_empty() {
        (scan.all(asked.long), true)
    } else {
        scan.meant(&asked.names, asked.long, PROGRAM.voice())
    };
    if scan.served == Some(false) {
        PROGRAM.voice().say(&[&"no svscan serves ", &scan.dir, &": start one with svscan ", &scan.dir]);
    }
    let home = Home::open()?;
    let mut rows = Vec::with_capacity(meant.len());
    for meant in &meant {
        rows.push(look::look(&home, meant, scan.served)?);
    }
    if let Some(interval) = asked.interval {
        poll::rest_for(interval);
        rows.iter_mut().filter_map(|row| row.used.as_mut()).for_each(look::Used::again);
    }
    if !rows.is_empty() {
        // If stdout cannot be written, there is nobody to tell.
        let _ = sys::fd::write_all(sys::fd::stdout(), table(&rows, asked.long).as_bytes());
    }
    Ok(if right { 0 } else { UNKNOWN })
}

fn table(rows: &[Row], long: bool) -> String {
    let kept: Vec<bool> = COLUMNS.iter().map(|(_, extra)| long || !extra).collect();
    let keep =
        |cells: Vec<Cell>| cells.into_iter().zip(&kept).filter(|(_, kept)| **kept).map(|(cell, _)| cell).collect();
    let columns: Vec<Column> =
        COLUMNS.iter().zip(&kept).filter(|(_, kept)| **kept).map(|((column, _), _)| *column).collect();
    let rows: Vec<Vec<Cell>> = rows.iter().map(|row| keep(cells(row))).collect();
    let is_terminal = std::io::stdout().is_terminal();
    let width = sys::terminal::columns(sys::fd::stdout()).filter(|_| is_terminal);
    table::lines(&columns, &rows, width, shown::is_coloured(is_terminal))
}

/// The cells of a row, those of `-l` among them.
fn cells(row: &Row) -> Vec<Cell> {
    let Row { name, summary, used } = row;
    let dash = || "-".to_owned();
    let age = |label: tai::Label| shown::span(label.age(now()).saturating_mul(1_000_000_000));
    let is_broken = summary.state == State::Broken;
    let supervise = summary.supervise.as_ref();
    let plain = [
        name.clone(),
        summary.state.word().to_owned(),
        if is_broken { dash() } else { age(summary.since) },
        summary.pid.map_or_else(dash, |pid| pid.to_string()),
        summary.ready.map_or_else(dash, age),
        summary.starts.map_or_else(dash, |starts| starts.to_string()),
        summary.last_exit.clone().unwrap_or_default(),
        used.map_or_else(String::new, |used| shown::share(used.share)),
        used.map_or_else(String::new, |used| shown::size(used.memory)),
        summary.second.map_or_else(String::new, |pid| pid.to_string()),
        supervise.map_or_else(dash, |(pid, _)| pid.to_string()),
        supervise.map_or_else(String::new, |(_, version)| version.clone()),
        shown::bytes(summary.why.as_bytes()),
    ];
    let mut cells: Vec<Cell> = plain.into_iter().map(|text| (text, None)).collect();
    cells[1].1 = colour(summary.state);
    cells
}

/// The colour of a state: red for what is wrong, yellow for what is under way, green for what is as it should be.
const fn colour(state: State) -> Option<u8> {
    const RED: u8 = 31;
    const GREEN: u8 = 32;
    const YELLOW: u8 = 33;
    match state {
        State::Broken | State::Failed | State::Refused | State::Unhealthy => Some(RED),
        State::Waiting
        | State::BackingOff
        | State::Starting
        | State::Finishing
        | State::Stopping
        | State::Paused
        | State::Replacing => Some(YELLOW),
        State::Ready | State::Up | State::Done => Some(GREEN),
        State::Down => None,
    }
}
