//! Sockets that hupwatch opens and hands over.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use testkit::{address, is_root};

use super::world::{BRIEF, NOTING, Watch};

/// Tells what it got, and ends.
const TELLING: &str =
    "for fd in 0 3 4 5; do readlink /proc/$$/fd/$fd | grep -q ^socket && sockets=\"$sockets $fd\"; done
[ \"$LISTEN_PID\" = $$ ] && own=yes
echo \"$sockets|$LISTEN_FDS|$LISTEN_FDNAMES|$own|$LISTEN_PID\"";

/// What `TELLING` tells below hupwatch with these options, or of another command.
fn told(options: &[&str], command: &[&str]) -> String {
    let scratch = testkit::Scratch::new();
    scratch.script("command", TELLING);
    let words = [options, &["--"], command].concat();
    let told = testkit::finish(scratch.command("hupwatch", &words).env_remove("LISTEN_FDS").env("LISTEN_PID", "1"));
    assert_eq!((told.code, told.err().as_str()), (0, ""));
    told.out().trim_end().to_owned()
}

#[test]
fn sockets_are_told_of_as_systemd_does() {
    let own = |told: String| told.rsplit_once('|').map(|(told, _)| told.to_owned());
    let tcp = format!("tcp:{}", address());
    let options = ["--listen", &tcp, "--listen", "unix:s,fd=0", "--listen=unix:t"];
    assert_eq!(own(told(&options, &["./command"])).as_deref(), Some(" 0 3 4|2|unknown:unknown|yes"));
    // One with a number of its own needs no variable, and what stood in them was for somebody else.
    assert_eq!(told(&["--listen", "unix:s,fd=5"], &["./command"]), " 5||||");
    assert_eq!(told(&[], &["./command"]), "||||1");
}

#[test]
fn sockets_from_above_are_passed_on() {
    let told = told(&["--listen", "unix:s", "--listen", "unix:t"], &["hupwatch", "--", "./command"]);
    assert!(told.starts_with(" 3 4|2|unknown:unknown|yes|"), "{told}");
}

#[test]
fn readiness_takes_the_place_of_no_socket_from_above() {
    let scratch = testkit::Scratch::new();
    let below = ["hupwatch", "--ready", "fd:4", "--", "./command"];
    let ran = scratch.run("hupwatch", &[&["--listen", "unix:s", "--listen", "unix:t", "--"], &below[..]].concat());
    assert_eq!((ran.code, ran.err().as_str()), (100, "hupwatch: fatal: descriptor 4 is given twice\n"));
    let told = told(&["--listen", "unix:s"], &below);
    assert!(told.starts_with(" 3|1|unknown|yes|"), "{told}");
}

#[test]
fn unix_socket_has_its_mode_and_owner() {
    let owner = if is_root() { ",owner=65534,group=65534" } else { "" };
    let watch = Watch::begun(&["--listen", &format!("unix:web.sock,mode=0620{owner}")], NOTING);
    let made = std::fs::metadata(watch.scratch.path("web.sock")).expect("it is there");
    assert_eq!(made.permissions().mode() & 0o7777, 0o620);
    if is_root() {
        use std::os::unix::fs::MetadataExt;
        assert_eq!((made.uid(), made.gid()), (65534, 65534));
    }
    UnixStream::connect(watch.scratch.path("web.sock")).expect("it listens, whether anybody accepts or not");
}

#[test]
fn socket_stays_while_copies_come_and_go() {
    let address = address();
    let watch = Watch::begun(&["-w", BRIEF, "--listen", &format!("tcp:{address}")], NOTING);
    // Nobody accepts: a connection waits, over reloads too.
    let waiting = TcpStream::connect(&address).expect("a connection");
    for reload in 1..=3 {
        watch.hup();
        watch.wait_for_reloads(reload);
    }
    assert!(waiting.peer_addr().is_ok());
    TcpStream::connect(&address).expect("a connection");
}

fn refused(words: &[&str], reason: &str) {
    let scratch = testkit::Scratch::new();
    scratch.script("command", "echo ran >notes");
    refused_in(&scratch, words, reason);
}

fn refused_in(scratch: &testkit::Scratch, words: &[&str], reason: &str) {
    let told = scratch.run("hupwatch", &[words, &["--", "./command"]].concat());
    assert_eq!((told.code, told.err()), (111, format!("hupwatch: fatal: unable to listen on {reason}\n")), "{words:?}");
    assert_eq!(scratch.text("notes"), "");
}

#[test]
fn address_that_cannot_be_had_is_said() {
    let taken = address();
    let _listener = std::net::TcpListener::bind(&taken).expect("a socket");
    let tcp = format!("tcp:{taken}");
    refused(&["--listen", &tcp], &format!("{tcp}: address already used"));
    refused(
        &["--listen", "tcp:no-such-host.invalid:80"],
        "tcp:no-such-host.invalid:80: unknown host no-such-host.invalid",
    );
    refused(&["--listen", "tcp:192.0.2.1:80"], "tcp:192.0.2.1:80: address not available");
    refused(&["--listen", "unix:s,owner=no-such-one"], "unix:s: unknown account no-such-one");
    refused(&["--listen", "unix:no/s"], "unix:no/s: file does not exist");
}

#[test]
fn sockets_before_one_that_cannot_be_had_leave_no_file() {
    let scratch = testkit::Scratch::new();
    let options = ["--listen", "unix:a", "--listen=unix:b,fd=0"];
    refused_in(&scratch, &[&options[..], &["--listen", "unix:no/s"]].concat(), "unix:no/s: file does not exist");
    // The second of the same name knocks at the first one's.
    refused_in(&scratch, &[&options[..], &["--listen", "unix:a"]].concat(), "unix:a: address already used");
    let told = scratch.run("hupwatch", &[&options[..], &["--pidfile", "no/pid", "--", "true"]].concat());
    let expected = "hupwatch: fatal: unable to write no/pid: file does not exist\n";
    assert_eq!((told.code, told.err().as_str()), (111, expected));
    for socket in ["a", "b"] {
        assert!(!scratch.path(socket).exists(), "{socket} is left");
    }
    let live = UnixListener::bind(scratch.path("b")).expect("a socket");
    refused_in(&scratch, &options, "unix:b: address already used");
    UnixStream::connect(scratch.path("b")).expect("it still listens");
    drop(live);
    assert!(!scratch.path("a").exists());
}

#[test]
fn live_socket_is_refused_and_a_stale_one_taken_over() {
    let scratch = testkit::Scratch::new();
    scratch.script("command", "echo ran >notes");
    let live = UnixListener::bind(scratch.path("s")).expect("a socket");
    refused_in(&scratch, &["--listen", "unix:s"], "unix:s: address already used");
    UnixStream::connect(scratch.path("s")).expect("it still listens");
    drop(live);
    // A process that another test starts in this moment has the socket open until it has executed its program.
    let hupwatch = || scratch.run("hupwatch", &["--listen", "unix:s", "--", "./command"]);
    testkit::wait_until("the stale one is taken over", || hupwatch().code == 0);
    assert_eq!(scratch.text("notes"), "ran\n");
    scratch.write("f", "x");
    std::fs::remove_file(scratch.path("notes")).expect("it is there");
    refused_in(&scratch, &["--listen", "unix:f"], "unix:f: not a socket");
    assert_eq!(scratch.text("f"), "x");
}

#[test]
fn privileged_port_is_denied_to_an_ordinary_user() {
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    if first.trim().parse().unwrap_or(0) <= 80 {
        return testkit::skip("every port may be used by everybody here");
    }
    let scratch = testkit::Scratch::new();
    let told = testkit::finish(&mut scratch.ordinary("hupwatch", &["--listen", "tcp:127.0.0.1:80", "--", "true"]));
    let expected = "hupwatch: fatal: unable to listen on tcp:127.0.0.1:80: access denied\n";
    assert_eq!((told.code, told.err().as_str()), (111, expected));
}

/// How many sockets and pipes a command has, started with these words.
fn descriptors(words: &[&str]) -> usize {
    let scratch = testkit::Scratch::new();
    scratch.script("command", "ls -l /proc/self/fd");
    let (program, words) = words.split_first().expect("a word");
    let out = std::fs::File::create(scratch.path("out")).expect("a file");
    let mut command = scratch.command(program, words);
    command.env("PATH", scratch.suite().search_path());
    if *program == "./command" {
        command = Command::new(scratch.path("command"));
        command.current_dir(scratch.root());
    }
    let mut running = testkit::start(command.stdin(std::process::Stdio::null()).stdout(out));
    assert_eq!(running.end(), 0);
    scratch.text("out").lines().filter(|line| line.contains("socket:") || line.contains("pipe:")).count()
}

#[test]
fn no_descriptor_of_hupwatch_reaches_the_command() {
    let options = ["--listen", "unix:s", "--ready", "notify", "--", "./command"];
    // But for what the test itself was given, there is the one socket.
    assert_eq!(descriptors(&[&["hupwatch"], &options[..]].concat()), descriptors(&["./command"]) + 1);
}
