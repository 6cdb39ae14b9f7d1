//! `uphold usage`: what a process uses, and whether that is below given bounds. A health check ends with it, since it answers by its exit code.
//!
//! It looks once, takes a second for that if it measures the processor, and remembers nothing: who asks decides how often a process may be above a
//! bound.

mod arguments;
mod measure;
mod shown;

use anyhow::Context;
use cli::{Call, Text, text};

use arguments::{Arguments, Bound, Figure};
use measure::{Measured, Parts};

const PROGRAM: cli::Program = cli::Program {
    name: "uphold usage",
    synopsis: "[--tree] [--rss-below SIZE] [--cpu-below PERCENT] [--fds-below N] [--age-below TIME] PID",
    usage: "uphold usage: usage: uphold usage [--tree] [--rss-below size] [--cpu-below percent] [--fds-below n] [--age-below time] pid",
    usage_exit: cli::USAGE,
    about: "Exits 0 if all that a process uses is below the given bounds, 1 if not, 111 if that cannot be found out. Without a bound it prints what the process uses.",
    options: &[
        ("--tree", "count the process and all its descendants together; its age is its own"),
        ("--rss-below SIZE", "memory: bytes, or a number with k, M or G"),
        ("--cpu-below PERCENT", "processor time during one second: 100 is one processor"),
        ("--fds-below N", "open descriptors"),
        ("--age-below TIME", "time since its birth: a number with ms, s, m, h or d"),
        ("PID", "the process"),
    ],
};

/// The exit code if something is not below its bound.
const NOT_BELOW: u8 = 1;

/// The program.
pub fn main(call: Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &Call) -> anyhow::Result<u8> {
    let Arguments { pid, tree, bounds } = Arguments::parse(call.words())?;
    let shown = u64::from(pid.as_raw().unsigned_abs());
    if !cfg!(target_os = "linux") {
        return Err(anyhow::Error::new(text!("unable to measure pid ", shown, ": only Linux tells what it uses")));
    }
    let is_wanted = |figure| bounds.is_empty() || bounds.iter().any(|bound| bound.figure == figure);
    let parts = Parts { cpu: is_wanted(Figure::Cpu), descriptors: is_wanted(Figure::Descriptors) };
    let measured = measure::measure(pid, tree, parts).with_context(|| text!("unable to measure pid ", shown))?;
    if bounds.is_empty() {
        // If stdout cannot be written, there is nobody to tell.
        let _ = sys::fd::write_all(sys::fd::stdout(), line(&measured).as_bytes());
        return Ok(0);
    }
    let above: Vec<Vec<u8>> =
        bounds.iter().filter_map(|bound| complaint(bound, &measured)).map(|text| text.0).collect();
    if !above.is_empty() {
        PROGRAM.voice().say(&[&"pid ", &shown, &": ", &above.join(&b", "[..]).as_slice()]);
        return Ok(NOT_BELOW);
    }
    measured.descriptors.with_context(|| text!("unable to count the descriptors of pid ", shown))?;
    Ok(0)
}

/// What is to be said about a figure that is not below its bound; `None` if it is, or is not known.
fn complaint(bound: &Bound<'_>, measured: &Measured) -> Option<Text> {
    let (name, value, shown) = match bound.figure {
        Figure::Rss => ("rss", measured.rss, shown::size(measured.rss)),
        Figure::Cpu => ("cpu", measured.cpu, format!("{}%", measured.cpu)),
        Figure::Descriptors => {
            let count = *measured.descriptors.as_ref().ok()?;
            ("fds", count, count.to_string())
        }
        Figure::Age => ("age", measured.age, shown::age(measured.age)),
    };
    (value >= bound.below).then(|| text!(name, " ", shown.as_str(), " is not below ", bound.word))
}

/// The line on stdout.
fn line(measured: &Measured) -> String {
    let descriptors = measured.descriptors.as_ref().map_or("?".to_owned(), u64::to_string);
    let [rss, age] = [shown::size(measured.rss), shown::age(measured.age)];
    format!("rss {rss} cpu {}% fds {descriptors} age {age}\n", measured.cpu)
}
