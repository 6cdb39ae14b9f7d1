//! Loggers: lines of 100 bytes through a pipe to a log in memory.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sys::clock::monotonic;

use crate::Bench;
use crate::process::children_cpu;
use crate::samples::{Contender, interleave};
use crate::scratch::{Process, Scratch};
use crate::started::milliseconds;
use crate::suites::{Family, Suite};
use crate::table::{Better, Report, Row, Target};

/// Length of a line with its end.
const LINE: usize = 100;
/// How many bytes the producer writes at once: the capacity of a pipe.
const BLOCK: usize = 65_536;
/// The size of a log file in bytes, and the number of files.
const SIZE: usize = 16_777_215;
const FILES: usize = 5;

/// Five patterns that deselect lines and five that select them again: texts that are looked for anywhere in the line.
const PATTERNS: [(char, &str); 10] = [
    ('-', "[debug]"),
    ('-', "[trace]"),
    ('-', "[verbose]"),
    ('-', "] GET /health"),
    ('-', "] HEAD "),
    ('+', "[error]"),
    ('+', "[fatal]"),
    ('+', "[alert]"),
    ('+', "[critical]"),
    ('+', "] POST "),
];

/// What the logger has to do with the lines.
#[derive(Clone, Copy)]
struct Job {
    name: &'static str,
    stamps: bool,
    patterns: bool,
    target: f64,
}

const JOBS: [Job; 3] = [
    Job { name: "no stamps", stamps: false, patterns: false, target: 2.3 },
    Job { name: "stamps", stamps: true, patterns: false, target: 3.0 },
    Job { name: "stamps and ten patterns", stamps: true, patterns: true, target: 3.0 },
];

/// The rows on throughput and CPU.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    loggers(bench, report)?;
    svlogd(bench, report)
}

fn loggers(bench: &Bench, report: &mut Report) -> Result<()> {
    let volume = if bench.quick { 100 } else { 250 } * 1_000_000;
    let text = lines();
    for job in JOBS {
        let what = format!("logger, {}", job.name);
        let [speed, cpu] = interleave(bench, &what, bench.rounds(5), |Contender { suite, .. }| {
            // The floor does nothing but copy.
            if suite.is_none() && job.stamps {
                return Ok(None);
            }
            let run = |log: &Path| command(suite, job, FILES, SIZE, log);
            let Some(cost) = feed(run, |pipe| pour(pipe, &text, volume))? else { return Ok(None) };
            let megabytes = volume as f64 / 1e6;
            Ok(Some([megabytes / cost.wall * 1e3, cost.cpu / megabytes]))
        });
        report.add(Row::new(what.clone(), "MB/s", Better::More, speed, Target::Ratio(job.target, job.target)));
        report.add(Row::new(format!("{what}: CPU for each MB"), "ms", Better::Less, cpu, Target::Ratio(0.40, 0.40)));
    }
    Ok(())
}

/// The rows on svlogd: runit's and ours, which read the same `config`.
fn svlogd(bench: &Bench, report: &mut Report) -> Result<()> {
    let volume = if bench.quick { 100 } else { 250 } * 1_000_000;
    let text = lines();
    for (name, stamp, patterns) in [("no stamps", None, 0), ("-ttt", Some("-ttt"), 0), ("ten patterns", None, 10)] {
        let what = format!("svlogd, {name}");
        let [speed, cpu] = interleave(bench, &what, bench.rounds(5), |Contender { suite, .. }| {
            let run = |log: &Path| {
                let there = |suite: &&Suite| suite.programs.join("svlogd").is_file();
                let own = suite.filter(|suite| suite.is_ours() || suite.family == Family::Runit).filter(there);
                let Some(suite) = own else { return Ok(None) };
                configure(log, FILES, SIZE, &PATTERNS[..patterns])?;
                Ok(Some(suite.command("svlogd", stamp.into_iter().map(Path::new).chain([log]))))
            };
            let Some(cost) = feed(run, |pipe| pour(pipe, &text, volume))? else { return Ok(None) };
            let megabytes = volume as f64 / 1e6;
            Ok(Some([megabytes / cost.wall * 1e3, cost.cpu / megabytes]))
        });
        report.add(Row::new(what.clone(), "MB/s", Better::More, speed, Target::Ratio(5.0, 5.0)));
        report.add(Row::new(format!("{what}: CPU for each MB"), "ms", Better::Less, cpu, Target::Ratio(0.25, 0.25)));
    }
    Ok(())
}

/// Writes the `config` of a log directory of svlogd.
fn configure(log: &Path, files: usize, size: usize, patterns: &[(char, &str)]) -> Result<()> {
    let limits = [format!("s{size}"), format!("n{files}")];
    let lines: Vec<String> = limits.into_iter().chain(patterns.iter().map(|(sign, text)| star(*sign, text))).collect();
    fs::write(log.join("config"), lines.join("\n") + "\n").context("unable to write config")
}

/// The row on single writes.
pub fn writes(bench: &Bench, report: &mut Report) -> Result<()> {
    let count = if bench.quick { 200_000 } else { 1_000_000 };
    let text = lines();
    let [samples] = interleave(bench, "writes", bench.rounds(5), |Contender { suite, .. }| {
        let run = |log: &Path| command(suite, JOBS[0], FILES, SIZE, log);
        let cost = feed(run, |pipe| {
            text.chunks_exact(LINE)
                .cycle()
                .take(count)
                .try_for_each(|line| pipe.write_all(line))
                .context("unable to write")
        })?;
        Ok(cost.map(|cost| [cost.wall / 1e3]))
    });
    let what = format!("a producer of {count} one-line writes");
    report.add(Row::new(what, "s", Better::Less, samples, Target::Ratio(0.80, 0.75)));
    Ok(())
}

/// The time that a logger has taken for its input, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub wall: f64,
    pub cpu: f64,
}

/// Starts the logger that `command` makes for a new log, lets `produce` write to it, and waits for its end.
fn feed(
    command: impl FnOnce(&Path) -> Result<Option<Command>>,
    produce: impl FnOnce(&mut std::io::PipeWriter) -> Result<()>,
) -> Result<Option<Cost>> {
    let scratch = Scratch::in_memory()?;
    let log = scratch.mkdir("log")?;
    let Some(command) = command(&log)? else { return Ok(None) };
    let cost = run(command, produce)?;
    let written = fs::read_dir(&log).context("unable to read the log")?.flatten();
    let bytes: u64 = written.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum();
    ensure!(bytes > 1_000_000, "only {bytes} bytes were logged");
    Ok(Some(cost))
}

/// Runs a logger, lets `produce` write to it, and waits for its end.
pub fn run(mut command: Command, produce: impl FnOnce(&mut std::io::PipeWriter) -> Result<()>) -> Result<Cost> {
    let (reader, mut writer) = std::io::pipe().context("unable to make a pipe")?;
    let before = children_cpu()?;
    let begin = monotonic();
    let logger = Process::start_as_is(command.stdin(reader))?;
    // The command holds the read end. Close it, so that the producer notices if the logger dies.
    drop(command);
    produce(&mut writer)?;
    drop(writer);
    logger.end()?;
    let wall = milliseconds(begin, monotonic());
    Ok(Cost { wall, cpu: children_cpu()? - before })
}

/// Writes lines in blocks, as a program does whose stdout is a pipe.
pub fn pour(pipe: &mut std::io::PipeWriter, text: &[u8], volume: usize) -> Result<()> {
    let mut blocks = text.chunks_exact(BLOCK).cycle().take(volume / BLOCK);
    blocks.try_for_each(|block| pipe.write_all(block)).context("unable to write")
}

/// Lines like those of a web server, in a whole number of blocks. One of ten is deselected.
pub fn lines() -> Vec<u8> {
    let mut text = Vec::with_capacity(LINE * BLOCK / 4);
    for number in 0..BLOCK / 4 {
        let level = if number % 10 == 3 { "debug" } else { "info" };
        let line = format!(
            "web[{}] [{level}] GET /articles/{number}/comments?page=2 HTTP/1.1 200 {}",
            number % 97,
            5_000 + number
        );
        text.extend_from_slice(format!("{line:.<99}\n").as_bytes());
    }
    text
}

/// The command of each suite's logger for this job.
fn command(suite: Option<&Suite>, job: Job, files: usize, size: usize, log: &Path) -> Result<Option<Command>> {
    let Some(suite) = suite else {
        let mut cat = Command::new("cat");
        cat.stdout(fs::File::create(log.join("current")).context("unable to make a file")?);
        return Ok(Some(cat));
    };
    let mut words = vec!["t".to_owned()];
    words.truncate(usize::from(job.stamps));
    let patterns = PATTERNS.iter().filter(|_| job.patterns);
    let limits = [format!("s{size}"), format!("n{files}")];
    let place = log.display().to_string();
    Ok(match suite.family {
        Family::Daemontools => {
            words.extend(patterns.map(|(sign, text)| star(*sign, text)).chain(limits).chain([place]));
            Some(suite.command("multilog", words))
        }
        Family::S6 => {
            // Its selections must come before everything else.
            let mut script = vec!["--".to_owned()];
            script.extend(
                patterns
                    .map(|(sign, text)| format!("{sign}{}", regular(text)))
                    .chain(limits)
                    .chain(words)
                    .chain([place]),
            );
            Some(suite.command("s6-log", script))
        }
        Family::Runit => {
            configure(log, files, size, if job.patterns { &PATTERNS } else { &[] })?;
            Some(suite.command("svlogd", words.iter().map(|_| "-t".to_owned()).chain([place])))
        }
        Family::Supervisord => None,
    })
}

/// A pattern of multilog and svlogd that finds `text` where its first byte first occurs in the line.
fn star(sign: char, text: &str) -> String {
    format!("{sign}*{text}*")
}

/// The regular expression that finds `text`.
fn regular(text: &str) -> String {
    text.replace('[', "\\[").replace(']', "\\]")
}

/// A logger without stamps and patterns that keeps `files` files of `size` bytes in `log`.
pub fn keeper(suite: &Suite, files: usize, size: usize, log: &Path) -> Result<Option<Command>> {
    command(Some(suite), JOBS[0], files, size, log)
}
