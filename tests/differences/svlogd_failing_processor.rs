//! runit's svlogd starts a processor that has failed again at once, hundreds of times a second, and does not end on TERM before it has succeeded; a HUP forgets the one that runs, so that
//! its file is never finished. Ours waits a second after each failure, tries once more after TERM and then leaves the file as it is, and keeps the processor over HUP.
//! Why: a full disk or a missing program does not go away by trying faster, and a logger that cannot be ended holds up a shutdown.

use std::fs::{self, File};
use std::io::Write;
use std::process::{ChildStdin, Stdio};

use testkit::{Running, Scratch, start, wait_until};

const FAILED: &str = "svlogd: warning: processor failed, restart: d\n";

/// One that has finished a file with this processor.
fn rotated(scratch: &Scratch, processor: &str) -> (Running, ChildStdin) {
    scratch.write("d/config", format!("s10\n!{processor}\n"));
    let mut command = scratch.command("svlogd", &["-l", "5", "d"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut running = start(command.stderr(File::create(scratch.path("err")).expect("a file")));
    let mut input = running.child().stdin.take().expect("piped");
    input.write_all(b"123456789\na\n").expect("read");
    wait_until("it is read", || scratch.text("d/current") == "a\n");
    (running, input)
}

/// The texts of the finished files with this ending.
fn finished(scratch: &Scratch, ending: &str) -> Vec<String> {
    let names = fs::read_dir(scratch.path("d")).expect("the log directory").flatten();
    let files = names.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with(ending));
    files.map(|path| fs::read_to_string(path).expect("a file")).collect()
}

#[test]
fn it_is_started_again_after_a_second() {
    let scratch = Scratch::new();
    let (mut running, input) = rotated(&scratch, "date +%s%N >>times; [ $(wc -l <times) -ge 3 ] && cat");
    wait_until("it has succeeded", || !finished(&scratch, ".s").is_empty());
    drop(input);
    assert_eq!(running.end(), 0);
    assert_eq!((scratch.text("err"), finished(&scratch, ".s")), (FAILED.repeat(2), vec!["123456789\n".to_owned()]));
    let times: Vec<u64> = scratch.text("d/times").lines().map(|time| time.parse().expect("a number")).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 1_000_000_000), "{times:?}");
}

#[test]
fn after_term_there_is_one_more_try() {
    let scratch = Scratch::new();
    let (mut running, _input) = rotated(&scratch, "false");
    wait_until("it has failed", || !scratch.text("err").is_empty());
    running.signal("TERM");
    assert_eq!(running.end(), 111);
    let said = scratch.text("err");
    assert!(said.len() >= 2 * FAILED.len() && said.lines().all(|line| line == FAILED.trim_end()), "{said}");
    assert_eq!((finished(&scratch, ".u"), finished(&scratch, ".t")), (vec!["123456789\n".to_owned()], vec![]));
    assert_eq!(scratch.text("d/current"), "a\n");
}

#[test]
fn a_hangup_keeps_the_one_that_runs() {
    let scratch = Scratch::new();
    let (mut running, mut input) = rotated(&scratch, "until [ -e go ]; do sleep 0.01; done; tr 1-9 a-i");
    scratch.write("d/config", "pnew \n");
    running.signal("HUP");
    input.write_all(b"b\n").expect("read");
    wait_until("it is read", || scratch.text("d/current").ends_with("new b\n"));
    scratch.write("d/go", "");
    wait_until("it has succeeded", || finished(&scratch, ".s") == ["abcdefghi\n"]);
    drop(input);
    assert_eq!(running.end(), 0);
    assert_eq!((finished(&scratch, ".u"), scratch.text("err").as_str()), (vec![], ""));
}
