//! The words of `uphold`: what a person types, and scripts that are written today. Each is a client of service directories, with no state of its own.
//!
//! `uphold [-C SCANDIR] WORD [options] [NAME...]`. Without a word it is `status`. A word that is none of ours executes `uphold-WORD`, from beside this file or from PATH.

mod act;
mod around;
mod changed;
mod check;
mod clock;
mod completions;
mod disable;
mod enable;
mod full;
pub mod json;
mod line;
mod linked;
mod log;
mod look;
mod metrics;
mod new;
mod page;
mod patience;
mod scale;
mod scan;
mod shown;
mod status;
mod table;
mod whole;
mod why;

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use cli::{Call, Program, Usage, Word, text};
use sys::exec::{Prepared, c_string};

use crate::service::exec::c_strings;

use scan::Scan;

/// What answers a word: it gets its call, and the scan directory if one was named, and returns the exit code.
type Main = fn(&Call, Option<PathBuf>) -> i32;

/// What answers a program, or a word of another room.
type Own = fn(Call) -> i32;

/// The words that are answered here.
const WORDS: &[(&str, Main)] = &[
    ("status", status::main),
    ("why", why::main),
    ("log", log::main),
    ("check", check::main),
    ("start", act::start),
    ("stop", act::stop),
    ("restart", act::restart),
    ("reload", act::reload),
    ("replace", act::replace),
    ("kill", act::kill),
    ("pause", act::pause),
    ("cont", act::cont),
    ("signal", act::signal),
    ("enable", enable::main),
    ("disable", disable::main),
    ("new", new::main),
    ("scale", scale::main),
];

/// Returns whether a command line that begins so belongs to this room.
pub fn is_ours(words: &[Word]) -> bool {
    match words.first() {
        None => true,
        Some(&word) => is_directory_option(word) || WORDS.iter().any(|&(known, _)| word == known),
    }
}

/// The words, for the help page.
pub fn all() -> impl Iterator<Item = &'static str> {
    WORDS.iter().map(|&(word, _)| word)
}

fn is_directory_option(word: Word) -> bool {
    word.as_bytes().starts_with(b"-C")
}

/// Answers a command line that [`is_ours`], and returns the exit code.
///
/// # Errors
/// [`Usage`] for `-C` without a directory, or before what is none of the words.
pub fn main(call: &Call) -> anyhow::Result<u8> {
    let (scan_dir, rest) = directory(call.words())?;
    let skipped = call.words().len() - rest.len();
    let word = match rest.first() {
        None => status::main as Main,
        Some(&word) => WORDS.iter().find(|&&(known, _)| word == known).ok_or(Usage)?.1,
    };
    let code = word(&call.clone().of_all_in_one(skipped + usize::from(!rest.is_empty())), scan_dir);
    Ok(u8::try_from(code).unwrap_or(cli::TEMPORARY))
}

/// Takes `-C SCANDIR` from the front of the words.
fn directory(words: &[Word]) -> Result<(Option<PathBuf>, &[Word]), Usage> {
    match words.split_first() {
        Some((&word, rest)) if word == "-C" => {
            let (dir, rest) = rest.split_first().ok_or(Usage)?;
            Ok((Some(PathBuf::from(dir)), rest))
        }
        Some((&word, rest)) if is_directory_option(word) => {
            let dir = OsString::from_vec(word.as_bytes()[2..].to_vec());
            Ok((Some(PathBuf::from(dir)), rest))
        }
        _ => Ok((None, words)),
    }
}

/// Answers `uphold completions`, from the texts of `uphold` itself, of the programs of the suite, and of all words: those of this room, and `others`.
pub fn completions(
    call: &Call,
    uphold: &Program,
    programs: &[(&'static str, Own)],
    others: &[(&'static str, Own)],
) -> i32 {
    let texts = |table: &[(&'static str, Own)]| {
        table.iter().filter_map(|&(name, main)| Some((name, Program::of(main)?))).collect()
    };
    let table = || completions::Table {
        uphold: *uphold,
        words: WORDS.iter().filter_map(|&(word, main)| Some((word, Program::of(|call| main(&call, None))?))).collect(),
        others: texts(others),
        programs: texts(programs),
    };
    completions::main(call, table)
}

/// Executes `uphold-WORD` with the words behind it: the one beside this file if there is one, else the one on PATH. Returns only if there is none, or it cannot be executed: with
/// the error.
pub fn foreign(words: &[Word]) -> Option<anyhow::Error> {
    let (word, rest) = words.split_first()?;
    if word.is_empty() || word.as_bytes().contains(&b'/') || word.as_bytes().starts_with(b"-") {
        return None;
    }
    let name = OsString::from_vec([b"uphold-", word.as_bytes()].concat());
    let argv: Vec<_> = [c_string(&name)].into_iter().chain(c_strings(rest)).collect();
    let mut prepared = Prepared::new(&argv, None);
    let beside = sys::process::own_program().ok().and_then(|own| Some(own.parent()?.join(&name)));
    for failed in [beside.map(|file| prepared.exec(&c_string(file.as_os_str()))), Some(prepared.path_exec())] {
        match failed {
            Some(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Some(anyhow::Error::new(error).context(text!("unable to run ", name)));
            }
            _ => {}
        }
    }
    None
}
