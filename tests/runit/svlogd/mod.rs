//! svlogd, tested from outside.

mod config;
mod continued;
mod lines;
mod options;
mod processor;
mod random;
mod rotation;
mod signals;
mod trouble;
mod udp;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::{Finished, Running, Scratch, finish_with, start, wait_until};

/// What both say on wrong usage.
const USAGE: &str = "usage: svlogd [-ttv] [-r c] [-R abc] [-l len] [-b buflen] dir ...\n\n";

/// A directory with an empty log directory `d`.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.mkdir("d");
    scratch
}

/// A directory with a log directory `d` of this configuration.
fn configured(config: impl AsRef<[u8]>) -> Scratch {
    let scratch = Scratch::new();
    scratch.write("d/config", config);
    scratch
}

/// The command, by its short name, which the original shows.
fn command(scratch: &Scratch, words: &[&str]) -> Command {
    let mut command = scratch.command("svlogd", words);
    command.arg0("svlogd");
    command
}

/// Runs it over `input` to its end.
#[track_caller]
fn svlogd(scratch: &Scratch, words: &[&str], input: impl AsRef<[u8]>) -> Finished {
    finish_with(&mut command(scratch, words), input.as_ref())
}

/// Runs it over `input` with the log directory `d`. It must end well and say nothing.
#[track_caller]
fn log(scratch: &Scratch, options: &[&str], input: impl AsRef<[u8]>) {
    let done = svlogd(scratch, &[options, &["d"]].concat(), input);
    assert_eq!((done.code, done.err().as_str(), done.out().as_str()), (0, "", ""));
}

/// What `current` holds after a run over `input`.
#[track_caller]
fn logged(config: &str, options: &[&str], input: impl AsRef<[u8]>) -> String {
    let scratch = configured(config);
    log(&scratch, options, input);
    scratch.text("d/current")
}

/// What stderr gets in a run over `input`.
#[track_caller]
fn told(config: &str, options: &[&str], input: impl AsRef<[u8]>) -> String {
    let scratch = configured(config);
    let done = svlogd(&scratch, &[options, &["d"]].concat(), input);
    assert_eq!((done.code, done.out().as_str()), (0, ""));
    done.err()
}

/// The names in a directory without `config`, sorted; the label of a finished file is left out.
fn names(scratch: &Scratch, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(scratch.path(directory)).expect("a directory").flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "config");
    names.sort();
    names.into_iter().map(|name| if is_finished(&name) { format!("@{}", &name[25..]) } else { name }).collect()
}

/// Whether it is the name of a file that was finished in this century.
fn is_finished(name: &str) -> bool {
    name.len() == 27 && name.starts_with("@40000000")
}

/// The finished files, oldest first, as paths in the scratch directory.
fn finished(scratch: &Scratch, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(scratch.path(directory)).expect("a directory").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut files: Vec<String> =
        names.filter(|name| is_finished(name)).map(|name| format!("{directory}/{name}")).collect();
    files.sort();
    files
}

/// The finished files and `current`, one behind the other.
fn whole(scratch: &Scratch, directory: &str) -> String {
    let files = finished(scratch, directory).into_iter().chain([format!("{directory}/current")]);
    files.map(|file| scratch.text(file)).collect()
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o7777
}

/// Writes a file of this mode.
fn put(scratch: &Scratch, name: &str, contents: &str, mode: u32) {
    let path = scratch.write(name, contents);
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a file of ours");
}

/// With its stamps as `@`.
fn unstamped(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| match line.split_at_checked(25) {
        Some((stamp, rest)) if stamp.starts_with("@4") || stamp.starts_with("20") => format!("@{rest}"),
        Some(_) | None => line.to_owned(),
    });
    lines.collect()
}

/// One that runs until its input ends or it is told to.
struct Logger {
    running: Running,
    input: Option<std::io::PipeWriter>,
}

impl Logger {
    /// stderr goes to the file `err`.
    #[track_caller]
    fn start(scratch: &Scratch, words: &[&str]) -> Logger {
        let (reader, input) = std::io::pipe().expect("a pipe");
        let mut command = command(scratch, words);
        command.stdin(reader).stdout(Stdio::null()).stderr(File::create(scratch.path("err")).expect("a file"));
        Logger { running: start(&mut command), input: Some(input) }
    }

    /// In one write.
    #[track_caller]
    fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.input.as_mut().expect("open").write_all(bytes.as_ref()).expect("it is read");
    }

    /// Sends a signal while it waits for input, and returns when it is delivered. The original obeys signals nowhere else.
    #[track_caller]
    fn signal(&self, name: &str) {
        let line = |key: &str| {
            let text = fs::read_to_string(format!("/proc/{}/status", self.running.pid())).unwrap_or_default();
            text.lines().find_map(|line| Some(line.strip_prefix(key)?.trim().to_owned()))
        };
        wait_until("it sleeps", || line("State:").is_none_or(|state| state.starts_with('S')));
        self.running.signal(name);
        let none = |mask: String| mask.bytes().all(|digit| digit == b'0');
        let dead = || line("State:").is_none_or(|state| state.starts_with('Z'));
        wait_until("the signal is delivered", || dead() || line("ShdPnd:").is_none_or(none));
    }

    /// Ends the input, and waits for its end.
    #[track_caller]
    fn end(&mut self) -> i32 {
        self.input = None;
        self.running.end()
    }
}

/// Waits until a file holds just that.
#[track_caller]
fn wait_for_text(scratch: &Scratch, name: &str, text: &str) {
    wait_until(&format!("{name} holds {text:?}"), || scratch.text(name) == text);
}

/// Waits until this line was said, perhaps among others.
#[track_caller]
fn wait_for_line(scratch: &Scratch, line: &str) {
    wait_until(&format!("stderr has {line:?}"), || scratch.text("err").lines().any(|said| said == line));
}
