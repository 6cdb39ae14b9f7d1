//! `svstat`: one line on stdout for each service directory. Scripts parse the lines, so their wording is that of
//! daemontools 0.76, including `1 seconds`, and the exit code is 0 whatever they say.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cli::{Text, Word, WrongOption, reason, text};
use svdir::names;

use crate::service::client::{self, Unreachable};
use crate::service::facts::Facts;
use crate::service::{now, tick};

use super::Home;

const PROGRAM: cli::Program = cli::Program {
    name: "svstat",
    synopsis: "[--long] [dir ...]",
    usage: "svstat: usage: svstat [--long] [dir ...]",
    usage_exit: cli::USAGE,
    about: "Prints one line for each service directory: whether the service is up, for how long, and what is wanted.",
    options: &[
        ("--long", "tell besides who supervises the service, how often it was started and how it ended last"),
        ("dir", "a service directory; -- goes before one whose name begins with --"),
    ],
};

/// The program.
pub fn main(call: cli::Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &cli::Call) -> anyhow::Result<u8> {
    let (long, dirs) = operands(call.words())?;
    let mut lines = Text::default();
    let done = describe_all(dirs, long, &mut lines);
    // If stdout cannot be written, there is nobody to tell.
    let _ = sys::fd::write_all(sys::fd::stdout(), &lines.0);
    done.map(|()| 0)
}

/// Splits the words into whether `--long` is among them, and the service directories. `-x` is a directory: only words with two dashes are options.
fn operands(words: &[Word]) -> Result<(bool, &[Word]), WrongOption> {
    match words.split_first() {
        Some((word, rest)) if *word == "--long" => operands(rest).map(|(_, dirs)| (true, dirs)),
        Some((word, rest)) if *word == "--" => Ok((false, rest)),
        Some((word, _)) if word.as_bytes().starts_with(b"--") => Err(WrongOption::Long(word)),
        Some(_) | None => Ok((false, words)),
    }
}

fn describe_all(dirs: &[Word], long: bool, lines: &mut Text) -> anyhow::Result<()> {
    let home = Home::open()?;
    for dir in dirs {
        let found = home.visit(Path::new(dir), look)?;
        lines.add(&[dir, &": "]);
        match found {
            Ok(Ok((facts, normally_up))) => {
                lines.add(&[&facts.line(normally_up, now(), tick()).0.as_slice()]);
                if long {
                    lines.add(&[&facts.more().0.as_slice()]);
                }
            }
            Ok(Err(Text(why))) => lines.add(&[&why.as_slice()]),
            Err(error) => lines.add(&[&"unable to chdir: ", &reason(&error).as_ref()]),
        }
        lines.add(&[&"\n"]);
    }
    Ok(())
}

/// Reads the facts about the service of the current directory, and whether it is normally up. An error is the text that says why they are not
/// known.
fn look() -> Result<(Facts, bool), Text> {
    let normally_up = normally_up()?;
    client::find().map_err(|why| match why {
        Unreachable::NotRunning => text!("supervise not running"),
        why => {
            let mut line = text!("unable to open ", names::OK, ": ", why.reason().as_ref());
            if matches!(why, Unreachable::System(error) if error.kind() == io::ErrorKind::NotFound) {
                line.add(&[&trouble_with_run().as_str()]);
            }
            line
        }
    })?;
    let facts = client::read().map_err(|why| why.text())?;
    Ok((facts, normally_up))
}

/// A clause that says what is wrong with `run` if it cannot be executed: then the service was never started.
fn trouble_with_run() -> String {
    match std::fs::metadata(names::RUN) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && std::fs::symlink_metadata(names::RUN).is_ok() => {
            ", run is a link to a file that does not exist".to_owned()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => ", run does not exist".to_owned(),
        Err(error) => format!(", unable to stat run: {}", reason(&error)),
        Ok(run) if run.is_dir() => ", run is a directory".to_owned(),
        Ok(run) if run.permissions().mode() & 0o111 == 0 => ", run is not executable".to_owned(),
        Ok(_) => String::new(),
    }
}

/// Returns whether there is no file `down`. A dangling link counts as no file.
fn normally_up() -> Result<bool, Text> {
    match std::fs::metadata(names::DOWN) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(text!("unable to stat ", names::DOWN, ": ", reason(&error).as_ref())),
    }
}
