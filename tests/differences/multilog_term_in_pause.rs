//! While something fails daemontools 0.76 hears no TERM; only KILL ends it, with all that it had read and not written. Ours
//! tries once more at once. If that works, all is well; if not, it says how much is lost, ends with 111, and leaves the
//! directory so that the next start recovers it.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::process::{Command, Stdio};

use testkit::{Running, Scratch, Suite, finish, finish_with, needs_program, start, wait_until};

const LINE: &str = "0123456789\n";

/// A multilog that was given 11000 bytes and is stuck with some of them, having said just that. What it has not read is in the pipe.
fn stuck(scratch: &Scratch, setup: &str, words: &[&str], said: &str) -> (Running, Unread) {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{setup}exec \"$0\" \"$@\"")).arg(scratch.suite().path("multilog")).args(words);
    let (reader, mut input) = std::io::pipe().expect("a pipe");
    let rest = reader.try_clone().expect("a second reader");
    shell.current_dir(scratch.root()).stdin(reader).stdout(Stdio::null());
    let running = start(shell.stderr(std::fs::File::create(scratch.path("err")).expect("a file")));
    // The command holds the reader.
    drop(shell);
    input.write_all(LINE.repeat(1000).as_bytes()).expect("a pipe has room for it");
    wait_until("it is said", || scratch.text("err") == said);
    (running, Unread { rest, input })
}

/// The pipe, which does not end.
struct Unread {
    rest: PipeReader,
    input: PipeWriter,
}

impl Unread {
    /// What is left in it.
    fn end(self) -> String {
        let Unread { mut rest, input } = self;
        drop(input);
        let mut left = String::new();
        rest.read_to_string(&mut left).expect("a pipe");
        left
    }
}

/// 16 blocks of 512 bytes for each file.
const SMALL_FILES: &str = "trap '' XFSZ; ulimit -S -f 16; ";
const TOO_BIG: &str = "multilog: warning: unable to write to ./log/current, pausing: file too big\n";

/// What the files of a log hold, the oldest first.
fn files(scratch: &Scratch, directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(scratch.path(directory)).expect("a log directory").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    // `@` sorts before `c`.
    let mut names: Vec<String> = names.filter(|name| name.starts_with('@') || name == "current").collect();
    names.sort();
    names.iter().map(|name| scratch.text(format!("{directory}/{name}"))).collect()
}

#[test]
fn what_cannot_be_written_is_counted_and_the_rest_recovered() {
    let scratch = Scratch::with(Suite::under_test());
    // The other log rotates before its files are too big.
    let words = ["./log", "s8000", "./good"];
    let (mut running, unread) = stuck(&scratch, SMALL_FILES, &words, TOO_BIG);
    running.signal("TERM");
    assert_eq!(running.end(), 111);
    let unread = unread.end();
    let read = LINE.repeat(1000).len() - unread.len();
    let lost = read - 8_192;
    assert_eq!(
        scratch.text("err"),
        format!("{TOO_BIG}multilog: warning: unable to write {lost} bytes to ./log, ending\n")
    );
    assert!(files(&scratch, "good").concat() == LINE.repeat(1000)[..read]);
    assert_eq!(finish_with(&mut scratch.command("multilog", &words), b"next\n").code, 0);
    assert_eq!(files(&scratch, "log"), [LINE.repeat(1000)[..8_192].to_owned(), "next\n".to_owned()]);
}

#[test]
fn term_is_one_more_try() {
    let Some(prlimit) = needs_program("prlimit") else {
        return;
    };
    let scratch = Scratch::with(Suite::under_test());
    let (mut running, _unread) = stuck(&scratch, SMALL_FILES, &["./log"], TOO_BIG);
    let lifted = finish(Command::new(prlimit).args(["--fsize=unlimited", "--pid", &running.pid().to_string()]));
    assert_eq!(lifted.code, 0);
    running.signal("TERM");
    assert_eq!(running.end(), 0);
    assert_eq!(files(&scratch, "log"), [LINE.repeat(1000)]);
    assert_eq!(scratch.text("err"), TOO_BIG);
}

#[test]
fn term_while_a_processor_fails_loses_nothing() {
    let scratch = Scratch::with(Suite::under_test());
    let said = "multilog: warning: processor failed in ./log, pausing\n";
    let (mut running, unread) = stuck(&scratch, "", &["s4096", "!cat; exit 1", "./log"], said);
    running.signal("TERM");
    assert_eq!(running.end(), 111);
    let unread = unread.end();
    assert_eq!(scratch.text("err"), format!("{said}multilog: warning: unable to finish ./log, ending\n"));
    assert_eq!(finish_with(&mut scratch.command("multilog", &["./log"]), b"next\n").code, 0);
    let read = &LINE.repeat(1000)[unread.len()..];
    assert!(files(&scratch, "log").concat() == format!("{read}next\n"));
}

#[test]
fn term_while_it_cannot_begin_ends_it() {
    let scratch = Scratch::with(Suite::under_test());
    scratch.mkdir("log/processed");
    std::fs::set_permissions(scratch.path("log/processed"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .expect("its owner may chmod");
    let said = "multilog: warning: unable to remove ./log/processed, pausing: is a directory\n";
    let (mut running, _unread) = stuck(&scratch, "", &["./log"], said);
    running.signal("TERM");
    assert_eq!(running.end(), 111);
    assert_eq!(scratch.text("err"), said);
}
