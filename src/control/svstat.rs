//! `svstat`: one line on stdout for each service directory. Scripts parse the lines, so their wording is that of
//! daemontools 0.76, including `1 seconds`, and the exit code is 0 whatever they say. Only `--long` has more lines for a directory whose knobs cannot be used.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cli::{Text, Word, WrongOption, reason, text};
use svdir::names;
use svdir::tally::{self, Death};

use crate::service::client::{self, Unreachable};
use crate::service::facts::{Facts, Wait};
use crate::service::home::Home;
use crate::service::knobs::{self, Wrong};
use crate::service::{self, now, over, tick, trouble};

use super::order::{self, Row};

const PROGRAM: cli::Program = cli::Program {
    name: "svstat",
    synopsis: "[--long | --deaths | --order] [dir ...]",
    usage: "svstat: usage: svstat [--long | --deaths | --order] [dir ...]",
    usage_exit: cli::USAGE,
    about: "Prints one line for each service directory: whether the service is up, for how long, and what is wanted.",
    options: &[
        (
            "--long",
            "tell besides who supervises the service, how often it was started and how it ended last, and which knobs cannot be used",
        ),
        ("--deaths", "a line for each end of the service that is in its death tally, the oldest first"),
        (
            "--order",
            "tell instead for which other service the start has waited, and for how long, the longest chain first",
        ),
        ("dir", "a service directory; -- goes before one whose name begins with --"),
    ],
};

/// The program.
pub fn main(call: cli::Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &cli::Call) -> anyhow::Result<u8> {
    let (shown, dirs) = operands(call.words())?;
    let mut lines = Text::default();
    let done = describe_all(dirs, shown, &mut lines);
    // If stdout cannot be written, there is nobody to tell.
    let _ = sys::fd::write_all(sys::fd::stdout(), &lines.0);
    done.map(|()| 0)
}

/// What is shown of each service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Line,
    LongLine,
    Deaths,
    Order,
}

/// Splits the words into the options, of which the first counts, and the service directories. `-x` is a directory: only words with two dashes are options.
fn operands(words: &[Word]) -> Result<(Shown, &[Word]), WrongOption> {
    let (option, rest) = match words.split_first() {
        Some((word, rest)) if *word == "--long" => (Shown::LongLine, rest),
        Some((word, rest)) if *word == "--deaths" => (Shown::Deaths, rest),
        Some((word, rest)) if *word == "--order" => (Shown::Order, rest),
        Some((word, rest)) if *word == "--" => return Ok((Shown::Line, rest)),
        Some((word, _)) if word.as_bytes().starts_with(b"--") => return Err(WrongOption::Long(word)),
        Some(_) | None => return Ok((Shown::Line, words)),
    };
    operands(rest).map(|(_, dirs)| (option, dirs))
}

fn describe_all(dirs: &[Word], shown: Shown, lines: &mut Text) -> anyhow::Result<()> {
    let home = Home::open()?;
    if shown == Shown::Order {
        let mut rows = Vec::new();
        for &dir in dirs {
            rows.push(Row {
                dir,
                found: home.visit(Path::new(dir), wait)?.unwrap_or_else(|error| Err(no_way(&error))),
            });
        }
        lines.add(&[&order::lines(rows).0.as_slice()]);
        return Ok(());
    }
    for dir in dirs {
        if shown == Shown::Deaths {
            match home.visit(Path::new(dir), deaths)? {
                Ok(Ok(deaths)) => deaths.iter().for_each(|death| add_death(dir, *death, lines)),
                Ok(Err(Text(why))) => lines.add(&[dir, &": ", &why.as_slice(), &"\n"]),
                Err(error) => lines.add(&[dir, &": ", &no_way(&error).0.as_slice(), &"\n"]),
            }
            continue;
        }
        let found = home.visit(Path::new(dir), || look(shown))?;
        lines.add(&[dir, &": "]);
        match found {
            Ok(Ok(Seen { facts, normally_up, used, wrong })) => {
                lines.add(&[&facts.line(normally_up, now(), tick()).0.as_slice()]);
                if shown == Shown::LongLine {
                    lines.add(&[&facts.more().0.as_slice(), &used.0.as_slice()]);
                }
                for wrong in wrong {
                    lines.add(&[&"\n", dir, &": ", &wrong.shown().as_str()]);
                }
            }
            Ok(Err(Text(why))) => lines.add(&[&why.as_slice()]),
            Err(error) => lines.add(&[&no_way(&error).0.as_slice()]),
        }
        lines.add(&[&"\n"]);
    }
    Ok(())
}

/// Says that a directory cannot be entered.
fn no_way(error: &io::Error) -> Text {
    text!("unable to chdir: ", reason(error).as_ref())
}

/// Finds out for what the start of the service of the current directory has waited. An error is the text that says why that is not known.
fn wait() -> Result<Option<Wait>, Text> {
    let Seen { facts, .. } = look(Shown::Order)?;
    if facts.can_be_waited_for() { Ok(facts.wait(tick())) } else { Err(text!("its supervise does not tell")) }
}

/// Reads the death tally of the current directory. An error is the text that says why there is none.
fn deaths() -> Result<Vec<Death>, Text> {
    let bytes = service::tally::read()
        .map_err(|error| text!("unable to read ", names::DEATH_TALLY, ": ", reason(&error).as_ref()))?;
    Ok(tally::deaths(&bytes).collect())
}

/// Adds a line that begins with a label, so that tai64nlocal can show the time.
fn add_death(dir: &Word, death: Death, lines: &mut Text) {
    lines.add(&[&death.at.text().as_slice(), &" ", dir, &": ", &over::ended(death.exit).as_str()]);
    if death.memory {
        lines.add(&[&", ", &over::MEMORY]);
    }
    lines.add(&[&"\n"]);
}

/// What is seen of a service.
struct Seen {
    facts: Facts,
    normally_up: bool,
    /// What its cgroup uses, for the long line.
    used: Text,
    /// The knobs that cannot be used, for the long line.
    wrong: Vec<Wrong>,
}

/// Looks at the service of the current directory, for what is `shown`. An error is the text that says why nothing is known.
fn look(shown: Shown) -> Result<Seen, Text> {
    let normally_up = normally_up()?;
    client::find().map_err(|why| match why {
        Unreachable::NotRunning => text!("supervise not running"),
        why => {
            let mut line = text!("unable to open ", names::OK, ": ", why.reason().as_ref());
            if matches!(why, Unreachable::System(error) if error.kind() == io::ErrorKind::NotFound)
                && let Some(wrong) = trouble::with_run()
            {
                line.add(&[&", ", &wrong.as_str()]);
            }
            line
        }
    })?;
    let facts = client::read().map_err(|why| why.text())?;
    let is_long = shown == Shown::LongLine;
    let used = if is_long && facts.has_cgroup() { used() } else { Text::default() };
    let wrong = if is_long && facts.can_be_waited_for() { knobs::wrong_for(&facts) } else { Vec::new() };
    Ok(Seen { facts, normally_up, used, wrong })
}

/// The clauses that tell what the cgroup of the service uses, with all processes there. What cannot be read is left out.
fn used() -> Text {
    let mut clauses = Text::default();
    let Some(cgroup) = service::cgroup::recorded() else {
        return clauses;
    };
    if let Ok(processes) = cgroup.processes() {
        clauses.add(&[&", processes ", &(processes.len() as u64)]);
    }
    if let Some(memory) = cgroup.memory() {
        clauses.add(&[&", memory ", &memory, &" bytes"]);
    }
    if let Some(microseconds) = cgroup.processor_time() {
        clauses.add(&[&", cpu ", &(microseconds / 1000), &" ms"]);
    }
    clauses
}

/// Returns whether there is no file `down`. A dangling link counts as no file.
fn normally_up() -> Result<bool, Text> {
    match std::fs::metadata(names::DOWN) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(text!("unable to stat ", names::DOWN, ": ", reason(&error).as_ref())),
    }
}
