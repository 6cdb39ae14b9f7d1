//! multilog, tai64n, tai64nlocal and readproctitle, tested from outside. Every case passes on daemontools 0.76 too; for
//! differences on purpose see `tests/differences`.

mod actions;
mod directory;
mod labels;
mod lines;
mod processor;
mod readproctitle;
mod recovery;
mod rotation;
mod signals;
mod startup;
mod trouble;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::{Finished, Running, Scratch, finish, finish_with, start, wait_until};

/// Runs multilog over `input` to its end.
#[track_caller]
fn multilog(scratch: &Scratch, words: &[&str], input: impl AsRef<[u8]>) -> Finished {
    finish_with(&mut scratch.command("multilog", words), input.as_ref())
}

/// The same, and it must end well and say nothing.
#[track_caller]
fn log(scratch: &Scratch, words: &[&str], input: impl AsRef<[u8]>) {
    let finished = multilog(scratch, words, input);
    assert_eq!((finished.code, finished.err()), (0, String::new()));
    assert_eq!(finished.out(), "");
}

/// A multilog that runs until its input ends or it is told to.
struct Logger {
    running: Running,
    input: Option<std::io::PipeWriter>,
    /// The other end, as the next reader of the same pipe has it.
    rest: std::io::PipeReader,
}

impl Logger {
    /// stderr goes to the file `err`.
    fn start(scratch: &Scratch, words: &[&str]) -> Logger {
        Logger::run(scratch, scratch.command("multilog", words))
    }

    /// One that can make no file longer than so many blocks of 512 bytes, until [`lift`](Logger::lift).
    fn limited(scratch: &Scratch, blocks: u32, words: &[&str]) -> Logger {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\""));
        shell.arg(scratch.suite().path("multilog")).args(words).current_dir(scratch.root());
        Logger::run(scratch, shell)
    }

    fn run(scratch: &Scratch, mut command: Command) -> Logger {
        let (reader, input) = std::io::pipe().expect("a pipe");
        let rest = reader.try_clone().expect("a second reader");
        command.stdin(reader).stdout(Stdio::null()).stderr(File::create(scratch.path("err")).expect("a file"));
        Logger { running: start(&mut command), input: Some(input), rest }
    }

    /// Files may be as long as they like now.
    #[track_caller]
    fn lift(&self, prlimit: &Path) {
        let lifted =
            finish(Command::new(prlimit).args(["--fsize=unlimited", "--pid", &self.running.pid().to_string()]));
        assert_eq!(lifted.code, 0);
    }

    /// In one write, so that it is read as a whole where there is room.
    fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.input.as_mut().expect("open").write_all(bytes.as_ref()).expect("read by multilog");
    }

    /// Sends a signal while multilog waits for input, and returns when it is delivered.
    ///
    /// The original has two moments, when it does not wait and when input comes before the signal is delivered, in which a
    /// signal acts too late.
    #[track_caller]
    fn signal(&self, name: &str) {
        let line = |key: &str| {
            let text = fs::read_to_string(format!("/proc/{}/status", self.running.pid())).unwrap_or_default();
            text.lines().find_map(|line| Some(line.strip_prefix(key)?.trim().to_owned()))
        };
        wait_until("multilog sleeps", || line("State:").is_none_or(|state| state.starts_with('S')));
        self.running.signal(name);
        let none = |mask: String| mask.bytes().all(|digit| digit == b'0');
        let dead = || line("State:").is_none_or(|state| state.starts_with('Z'));
        wait_until("the signal is delivered", || dead() || line("ShdPnd:").is_none_or(none));
    }

    /// Ends the input, and waits for multilog's end.
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

/// Waits until multilog said these lines, perhaps among others.
#[track_caller]
fn wait_for_lines(scratch: &Scratch, lines: &[&str]) {
    wait_until(&format!("stderr has {lines:?}"), || {
        let said = scratch.text("err");
        lines.iter().all(|line| said.lines().any(|said| said == *line))
    });
}

/// The names in a directory, sorted; a stamp is shown as `@`.
fn names(scratch: &Scratch, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(scratch.path(directory)).expect("a directory").flatten();
    let mut names: Vec<String> = entries.map(|entry| shown(&entry.file_name())).collect();
    names.sort();
    names
}

fn shown(name: &OsStr) -> String {
    let name = name.to_string_lossy().into_owned();
    match name.strip_prefix('@').and_then(|stamped| stamped.split_at_checked(24)) {
        Some((stamp, end)) if is_stamp(stamp) => format!("@{end}"),
        Some(_) | None => name,
    }
}

/// 24 digits of a time in this century.
fn is_stamp(text: &str) -> bool {
    let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    text.len() == 24 && digits && (text.starts_with("40000000"))
}

/// The finished files, oldest first, as paths in the scratch directory.
fn finished(scratch: &Scratch, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(scratch.path(directory)).expect("a directory").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut paths: Vec<String> =
        names.filter(|name| name.starts_with('@')).map(|name| format!("{directory}/{name}")).collect();
    paths.sort();
    paths
}

/// All that a log holds: the finished files, then `current`.
fn whole(scratch: &Scratch, directory: &str) -> Vec<u8> {
    let mut paths = finished(scratch, directory);
    paths.push(format!("{directory}/current"));
    paths.iter().flat_map(|path| scratch.read(path)).collect()
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).expect("it exists").permissions().mode() & 0o7777
}

fn set_mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its owner may chmod");
}

/// `count` numbered lines of 50 bytes each.
fn numbered(count: usize) -> Vec<u8> {
    (0..count).flat_map(|number| format!("{number:049}\n").into_bytes()).collect()
}
