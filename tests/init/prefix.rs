//! `svscan --prefix`: one stdout for all services.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use testkit::{Scratch, children, lives, needs_program, signal, start, wait_for, wait_until};

use super::world::{FOREVER, Init, MORTAL, lines};

fn out(scratch: &Scratch) -> Vec<String> {
    lines(scratch, "svscan.out")
}

#[test]
fn each_line_of_a_service_without_a_logger_gets_its_name() {
    let scratch = Scratch::new();
    scratch.service("scan/web", "echo one; echo; printf 'no newline'; echo >>started; exec sleep 100000");
    scratch.service("scan/logged", "echo logged; exec sleep 100000");
    scratch.service("scan/logged/log", "exec cat >lines");
    let init = Init::start(&scratch, &["--grace", FOREVER, "--prefix"]);
    init.wait_lines("scan/web/started", 1);
    init.wait_lines("scan/logged/log/lines", 1);
    wait_until("two lines", || out(&scratch) == ["web | one", "web | "]);
    assert_eq!((init.stop(), scratch.text("svscan.err").as_str()), (0, ""));
    assert_eq!(scratch.text("svscan.out"), "web | one\nweb | \nweb | no newline\n");
}

#[test]
fn without_it_a_service_has_the_stdout_of_svscan() {
    let scratch = Scratch::new();
    scratch.service("scan/web", "echo one; echo >>started; exec sleep 100000");
    let init = Init::start(&scratch, &["--grace", FOREVER]);
    init.wait_lines("scan/web/started", 1);
    assert_eq!((init.stop(), scratch.text("svscan.out").as_str()), (0, "one\n"));
}

/// Writes lines that are longer than what a pipe takes in one piece, and a short one on TERM.
const WRITER: &str = "trap 'echo last $i; exit' TERM
x=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
x=$x$x$x$x$x$x$x$x; x=$x$x$x$x$x$x$x$x; x=$x$x$x
i=0; while :; do i=$((i+1)); echo line $i $x end; done";

#[test]
fn no_line_is_lost_or_split_whoever_writes_at_the_same_time() {
    let scratch = Scratch::new();
    let names = ["a", "b", "c"];
    for name in names {
        scratch.service(&format!("scan/{name}"), WRITER);
    }
    let svscan = scratch.suite().path("svscan");
    // A pipe, which is full most of the time.
    let mut command = Command::new(svscan);
    command.args(["--grace", FOREVER, "--prefix", "scan"]).current_dir(scratch.root());
    command.env("PATH", scratch.suite().search_path()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut running = start(&mut command);
    let mut stdout = running.child().stdout.take().expect("piped");
    let (mut text, mut buffer) = (Vec::new(), vec![0; 100_000]);
    while text.len() < 4_000_000 || names.iter().any(|name| !contains(&text, format!("\n{name} | ").as_bytes())) {
        let count = stdout.read(&mut buffer).expect("a pipe");
        assert!(count > 0, "it does not end by itself");
        text.extend_from_slice(&buffer[..count]);
    }
    running.signal("TERM");
    stdout.read_to_end(&mut text).expect("a pipe");
    assert_eq!(running.end(), 0);
    let text = String::from_utf8(text).expect("ASCII");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ended = 0;
    for line in text.lines() {
        let (name, rest) = line.split_once(" | ").unwrap_or_else(|| panic!("no name: {line}"));
        let words: Vec<&str> = rest.split(' ').collect();
        let count = counts.entry(name).or_default();
        match words.as_slice() {
            ["line", number, x, "end"] => {
                *count += 1;
                assert_eq!((*number, x.len()), (count.to_string().as_str(), 64 * 8 * 8 * 3), "{name}");
            }
            // TERM may come between the count and the line.
            ["last", number] => {
                let number: usize = number.parse().expect("a number");
                assert!(number == *count || number == *count + 1, "{name}: last {number} after {count}");
                ended += 1;
            }
            _ => panic!("not a line: {line}"),
        }
    }
    assert_eq!((counts.len(), ended), (3, 3));
}

fn contains(text: &[u8], piece: &[u8]) -> bool {
    text.windows(piece.len()).any(|window| window == piece)
}

/// Makes the service `scan/a`, which copies a FIFO to its stdout. What is returned has it say a line.
fn teller(scratch: &Scratch) -> impl FnMut(&str) {
    scratch.service("scan/a", "exec cat <>fifo");
    let fifo = scratch.path("scan/a/fifo");
    sys::fd::make_fifo(&*fifo).expect("a FIFO");
    let mut fifo = File::options().read(true).write(true).open(&fifo).expect("it is there");
    move |word| std::io::Write::write_all(&mut fifo, format!("{word}\n").as_bytes()).expect("it is read")
}

#[test]
fn a_copier_that_is_killed_is_replaced() {
    let scratch = Scratch::new();
    let mut say = teller(&scratch);
    let init = Init::start(&scratch, &["--grace", FOREVER, "--prefix"]);
    say("one");
    wait_until("one line", || out(&scratch) == ["a | one"]);
    let first = copier(init.pid());
    signal(first, "KILL");
    // Until it is dead it may read the line and take it along.
    wait_until("it is dead", || copier(init.pid()) != first);
    say("two");
    wait_until("two lines", || out(&scratch) == ["a | one", "a | two"]);
    assert_eq!(init.stop(), 0);
}

/// The child of a svscan that is called so too.
fn copier(svscan: u32) -> u32 {
    let is_svscan = |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == b"svscan\0");
    wait_for("a copier", || children(svscan).into_iter().find(is_svscan))
}

#[test]
fn a_copier_lives_on_when_all_that_is_called_svscan_is_told_to_upgrade_or_to_look_again() {
    let scratch = Scratch::new();
    let mut say = teller(&scratch);
    let init = Init::start(&scratch, &["--grace", FOREVER, "--prefix"]);
    say("one");
    wait_until("one line", || out(&scratch) == ["a | one"]);
    let first = copier(init.pid());
    for name in ["HUP", "USR2"] {
        signal(first, name);
        say(name);
    }
    wait_until("three lines", || out(&scratch) == ["a | one", "a | HUP", "a | USR2"]);
    assert_eq!(copier(init.pid()), first);
    assert_eq!((init.stop(), scratch.text("svscan.err").as_str()), (0, ""));
}

#[test]
fn a_service_that_is_removed_takes_its_copier_with_it() {
    let scratch = Scratch::new();
    // Opened both ways it has nothing to read for ever.
    scratch.service("scan/a", "trap 'echo last; exit' TERM; echo one; read line <>fifo");
    sys::fd::make_fifo(&*scratch.path("scan/a/fifo")).expect("a FIFO");
    scratch.service("scan/b", MORTAL);
    let init = Init::start(&scratch, &["--grace", FOREVER, "--prefix"]);
    wait_until("one line", || out(&scratch) == ["a | one"]);
    init.wait_up(&["a", "b"]);
    std::fs::rename(scratch.path("scan/a"), scratch.path("a")).expect("it can be renamed");
    assert_eq!(scratch.run("svc", &["-dx", "a"]).code, 0);
    // A copier and a supervise, both of b.
    wait_until("both processes of a are gone", || children(init.pid()).len() == 2);
    assert_eq!(out(&scratch), ["a | one", "a | last"]);
    assert_eq!(init.stop(), 0);
}

#[test]
fn a_logger_that_is_added_takes_the_place_of_the_copier() {
    let scratch = Scratch::new();
    scratch.service("scan/a", "echo one; exec sleep 100000");
    let init = Init::start(&scratch, &["--grace", FOREVER, "--prefix"]);
    wait_until("one line", || out(&scratch) == ["a | one"]);
    init.wait_up(&["a"]);
    scratch.service("scan/a/log", "exec cat >>lines");
    assert_eq!(init.svc("-dx", "a").code, 0);
    init.wait_lines("scan/a/log/lines", 1);
    init.wait_up(&["a", "a/log"]);
    wait_until("two supervises are left", || children(init.pid()).len() == 2);
    assert_eq!((init.stop(), scratch.text("svscan.err").as_str()), (0, ""));
    assert_eq!((out(&scratch), scratch.text("scan/a/log/lines").as_str()), (vec!["a | one".to_owned()], "one\n"));
}

#[test]
fn a_new_svscan_finds_the_pipe_and_waits_for_the_old_copier() {
    let scratch = Scratch::new();
    let mut say = teller(&scratch);
    let start = || {
        let file = |name: &str| File::options().create(true).append(true).open(scratch.path(name)).expect("a file");
        let mut command = scratch.command("svscan", &["--prefix", "scan"]);
        start(command.stdin(Stdio::null()).stdout(file("svscan.out")).stderr(file("svscan.err")))
    };
    let mut first = start();
    say("one");
    wait_until("one line", || out(&scratch) == ["a | one"]);
    let old = copier(first.pid());
    first.signal("KILL");
    assert_eq!(first.end(), 1009);
    let _second = start();
    say("two");
    wait_until("two lines", || out(&scratch) == ["a | one", "a | two"]);
    signal(old, "KILL");
    wait_until("it is dead", || !lives(old));
    say("three");
    wait_until("three lines", || out(&scratch) == ["a | one", "a | two", "a | three"]);
    assert_eq!(scratch.text("svscan.err"), "");
}

#[test]
fn a_copier_does_not_read_what_it_writes() {
    let scratch = Scratch::new();
    scratch.service("scan/a", "exec cat <>fifo");
    let fifo = scratch.path("scan/a/fifo");
    sys::fd::make_fifo(&*fifo).expect("a FIFO");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    // As older supervises ran below svscan: they recorded whatever pipe stood there.
    let mut supervise = scratch.command("supervise", &["a"]);
    supervise.current_dir(scratch.path("scan")).env("UPHOLD_SVSCAN", "1");
    let _supervise = start(supervise.stdin(Stdio::null()).stdout(writer.try_clone().expect("a copy")));
    wait_until("it runs", || scratch.run("svok", &["scan/a"]).code == 0);
    let svscan = start(scratch.command("svscan", &["--prefix", "scan"]).stdin(Stdio::null()).stdout(writer));
    let copier = copier(svscan.pid());
    let leads_to = |number| std::fs::read_link(format!("/proc/{copier}/fd/{number}")).expect("it lives");
    assert_ne!(leads_to(0), leads_to(1));
    drop(reader);
}

#[test]
fn a_removed_service_takes_its_copier_with_it_after_an_upgrade_too() {
    let scratch = Scratch::new();
    scratch.service("scan/a", "echo one; exec sleep 100000");
    let built = std::fs::read(scratch.suite().path("svscan")).expect("it was built");
    let mut command = Command::new(scratch.install("bin/svscan", &built));
    command.args(["--grace", FOREVER, "--prefix", "scan"]).current_dir(scratch.root());
    let out = File::create(scratch.path("svscan.out")).expect("a file");
    let mut svscan = start(command.env("PATH", scratch.suite().search_path()).stdin(Stdio::null()).stdout(out));
    let is_said = |line: &str| lines(&scratch, "svscan.out").iter().any(|said| said == line);
    wait_until("a has said its line", || is_said("a | one"));
    std::fs::rename(scratch.path("scan/a"), scratch.path("a")).expect("it can be renamed");
    // It has seen that when it serves what came later.
    scratch.service("scan/b", "echo two; exec sleep 100000");
    wait_until("b has said its line", || is_said("b | two"));
    scratch.install("bin/svscan", &built);
    svscan.signal("USR2");
    let file = || std::fs::read_link(format!("/proc/{}/exe", svscan.pid())).expect("it lives");
    wait_until("it is the new file", || !file().to_string_lossy().ends_with(" (deleted)"));
    assert_eq!(scratch.run("svc", &["-dx", "a"]).code, 0);
    // A copier and a supervise, both of b.
    wait_until("both processes of a are gone", || children(svscan.pid()).len() == 2);
    svscan.signal("TERM");
    assert_eq!(svscan.end(), 0);
}

#[test]
fn nobody_waits_for_a_terminal_that_has_hung_up() {
    let Some(script) = needs_program("script") else { return };
    let scratch = Scratch::new();
    // More than the pipe to the copier takes.
    let run = "echo one; read line <>fifo; i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i $PWD/$PWD/$PWD; done
echo >>done; exec sleep 100000";
    scratch.service("scan/a", run);
    sys::fd::make_fifo(&*scratch.path("scan/a/fifo")).expect("a FIFO");
    let svscan = scratch.suite().path("svscan");
    let line = format!("exec {} --grace {FOREVER} --prefix scan 2>err", svscan.display());
    let mut command = Command::new(script);
    command.args(["-qc", &line, "/dev/null"]).current_dir(scratch.root()).env("SHELL", "/bin/sh");
    let out = File::create(scratch.path("svscan.out")).expect("a file");
    let mut terminal = start(command.env("PATH", scratch.suite().search_path()).stdin(Stdio::null()).stdout(out));
    wait_until("one line", || scratch.text("svscan.out").contains("a | one"));
    let svscan = children(terminal.pid()).first().copied().expect("it runs");
    terminal.signal("KILL");
    assert_eq!(terminal.end(), 1009);
    std::fs::write(scratch.path("scan/a/fifo"), "\n").expect("it reads");
    wait_until("all is written", || !scratch.text("scan/a/done").is_empty());
    signal(svscan, "TERM");
    wait_until("all is stopped", || scratch.processes().is_empty());
    let said = "svscan: warning: unable to write the output of a, dropping it: input/output error\n";
    assert_eq!(scratch.text("err"), said);
}

#[test]
fn a_lock_on_the_common_stdout_keeps_no_line_back() {
    let scratch = Scratch::new();
    let mut say = teller(&scratch);
    // A service has the stdout of svscan if that is its stderr too. This test is such a service.
    let (reader, writer) = sys::fd::pipe().expect("a pipe");
    let mut command = scratch.command("svscan", &["--prefix", "scan"]);
    let _svscan = start(command.stdin(Stdio::null()).stdout(writer.try_clone().expect("a copy")));
    sys::fd::lock_for_process(writer.as_fd(), true).expect("a lock");
    say("one");
    let expected = b"a | one\n";
    let unread = || sys::fd::has_unread(reader.as_fd());
    wait_until("the line comes", unread);
    let mut line = [0; 100];
    let count = sys::fd::read(reader.as_fd(), &mut line).expect("a pipe");
    assert_eq!(&line[..count], expected);
}

/// Locks its stderr in both ways that there are, says so, and keeps the locks.
const LOCKER: &str = r#"
import fcntl, time
fcntl.flock(2, fcntl.LOCK_EX)
fcntl.lockf(2, fcntl.LOCK_EX)
open("locked", "w").close()
time.sleep(100000)
"#;

#[test]
fn a_service_that_locks_the_common_stderr_keeps_no_line_of_the_others_back() {
    if needs_program("python3").is_none() {
        return;
    }
    for same in [true, false] {
        let scratch = Scratch::new();
        let mut say = teller(&scratch);
        scratch.service("scan/locker", &format!("exec python3 -c '{LOCKER}'"));
        let mut command = scratch.command("svscan", &["--prefix", "scan"]);
        let (reader, writer) = sys::fd::pipe().expect("a pipe");
        let (_other_reader, other) = sys::fd::pipe().expect("a pipe");
        let stderr = if same { writer.try_clone().expect("a copy") } else { other };
        let _svscan = start(command.stdin(Stdio::null()).stdout(writer).stderr(stderr));
        // The command has its own copies of them.
        drop(command);
        wait_until("it is locked", || scratch.path("scan/locker/locked").exists());
        for word in ["one", "two"] {
            say(word);
            wait_until("the line comes", || sys::fd::has_unread(reader.as_fd()));
            let mut line = [0; 100];
            let count = sys::fd::read(reader.as_fd(), &mut line).expect("a pipe");
            assert_eq!(String::from_utf8_lossy(&line[..count]), format!("a | {word}\n"));
        }
    }
}
