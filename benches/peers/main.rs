//! This suite side by side with daemontools, runit, s6 and supervisord, whichever are installed, in one run.
//!
//! All that is compared is measured in turn, round after round; a figure is the median of its rounds, a ratio the median of the rounds'
//! ratios. It prints a Markdown table. Nothing is written but temporary files and, if asked for, `benches/RESULTS.md`.
//!
//! With `--before` it measures in the same run what an earlier commit costs, which is checked out in the tree that follows (`git worktree add`), and
//! builds it there.

mod builds;
mod container;
mod control;
mod exec;
mod growth;
mod idle;
mod local;
mod logger;
mod machine;
mod memory;
mod process;
mod rules;
mod samples;
mod scratch;
mod start;
mod started;
mod suites;
mod table;
mod trace;
mod waits;
mod words;
mod world;

use std::cell::RefCell;
use std::env;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::builds::Helpers;
use crate::scratch::Scratch;
use crate::suites::{Origin, Suite};
use crate::table::Report;

const USAGE: &str =
    "usage: cargo bench --bench peers -- [--quick] [--only NAME[,NAME...]] [--before TREE] [--write-results]";

/// A group of metrics: its name for `--only`, and its function.
type Metric = (&'static str, fn(&Bench, &mut Report) -> Result<()>);

const METRICS: [Metric; 20] = [
    ("memory", memory::measure),
    ("start", start::measure),
    ("waits", waits::measure),
    ("newlink", control::new_link),
    ("restart", control::restart),
    ("finish", rules::finish),
    ("rules", rules::rules),
    ("terminate", control::terminate),
    ("svstat", control::status),
    ("status", words::status),
    ("log", words::log),
    ("exec", exec::measure),
    ("logger", logger::measure),
    ("writes", logger::writes),
    ("tai64nlocal", local::measure),
    ("idle", idle::wakeups),
    ("crash", idle::crashes),
    ("growth", growth::services),
    ("rotation", growth::rotation),
    ("container", container::measure),
];

/// The state that all metrics need.
pub struct Bench {
    suites: Vec<Suite>,
    helpers: Helpers,
    quick: bool,
    notes: RefCell<Vec<String>>,
    begin: Instant,
}

impl Bench {
    /// How many rounds to make if `rounds` is the usual number.
    fn rounds(&self, rounds: usize) -> usize {
        if self.quick { rounds.div_ceil(3) } else { rounds }
    }

    /// The index of the floor, which is a contender without any suite.
    fn floor(&self) -> usize {
        self.suites.len()
    }

    /// The indices of the suites of one origin.
    fn of(&self, origin: Origin) -> Vec<usize> {
        (0..self.suites.len()).filter(|&index| self.suites[index].origin == origin).collect()
    }

    fn names(&self) -> Vec<String> {
        self.suites.iter().map(|suite| suite.name.to_owned()).collect()
    }

    fn name(&self, index: usize) -> &'static str {
        self.suites.get(index).map_or("floor", |suite| suite.name)
    }

    /// Reports what could not be measured, at once and in the report.
    fn note(&self, text: String) {
        progress(self.begin, &text);
        self.notes.borrow_mut().push(text);
    }
}

/// The parsed command line.
#[derive(Debug, Default)]
struct Options {
    quick: bool,
    write_results: bool,
    only: Vec<String>,
    before: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "peers: fatal: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let options = options(env::args().skip(1))?;
    scratch::clean_up_on_signals()?;
    let scratch = Scratch::new()?;
    let begin = Instant::now();
    progress(begin, "building");
    let (mut suites, mut notes) = suites::installed();
    let before = options.before.as_deref().map(|tree| builds::before(tree, &scratch)).transpose()?;
    for (built, missing) in before.into_iter().chain([builds::ours(&scratch)?]) {
        suites.extend(built);
        notes.extend(missing);
    }
    let helpers = builds::helpers(&scratch)?;
    let bench = Bench { suites, helpers, quick: options.quick, notes: RefCell::new(notes), begin: Instant::now() };
    let head = machine::describe(&bench);
    let mut report = Report::default();
    for (name, measure) in METRICS {
        if options.only.is_empty() || options.only.iter().any(|only| only == name) {
            progress(bench.begin, name);
            measure(&bench, &mut report).unwrap_or_else(|error| bench.note(format!("{name}: not measured: {error:#}")));
        }
    }
    publish(&options, &document(&bench, &head, &report))
}

fn options(words: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options::default();
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        match word.as_str() {
            // cargo passes this to every benchmark.
            "--bench" => {}
            "--quick" => options.quick = true,
            "--before" => options.before = Some(tree(&words.next().context(USAGE)?)?),
            "--write-results" => options.write_results = true,
            "--only" => options.only.extend(words.next().context(USAGE)?.split(',').map(str::to_owned)),
            _ => bail!(USAGE),
        }
    }
    let known = METRICS.map(|(name, _)| name);
    if let Some(unknown) = options.only.iter().find(|only| !known.contains(&only.as_str())) {
        bail!("no metric is called {unknown}; there are {}", known.join(" "));
    }
    Ok(options)
}

/// A directory as it is called from everywhere.
fn tree(path: &str) -> Result<PathBuf> {
    fs::canonicalize(path).with_context(|| format!("unable to find {path}"))
}

fn progress(begin: Instant, text: &str) {
    let _ = writeln!(std::io::stderr(), "peers: {:>4} s: {text}", begin.elapsed().as_secs());
}

/// Where the time goes in metrics that miss their target, and what was tried. It is written by hand, with a date.
const MISSED: &str = include_str!("missed.md");

/// The whole report.
fn document(bench: &Bench, head: &str, report: &Report) -> String {
    let mut text = format!(
        "# Side by side\n\n{head}- it took {} s\n\nFigures are medians of rounds in which all were measured in turn. The best of the others (but for supervisord, \
         one process in which all services are lost together) is printed bold; a ratio is the median of the rounds' ratios to it, and `yes` says that the target is reached. How each \
         metric is measured stands at the top of its file in `benches/peers`.\n\n",
        bench.begin.elapsed().as_secs()
    );
    text.push_str(&report.markdown(bench));
    let notes = bench.notes.borrow();
    if !notes.is_empty() {
        text.push_str("\n### Not measured, and other notes\n\n");
        notes.iter().for_each(|note| text.push_str(&format!("- {note}\n")));
    }
    text + "\n" + MISSED
}

fn publish(options: &Options, text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("unable to write the report")?;
    if options.write_results {
        fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/RESULTS.md"), text)
            .context("unable to write RESULTS.md")?;
    }
    Ok(())
}
