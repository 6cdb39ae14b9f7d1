//! Who is heard on the socket that a service tells of itself by, and what becomes of supervise when somebody does not stop to talk.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use testkit::{Scratch, holds_for, is_root, needs_program, needs_root, wait_until};

use super::helper::{self, tell};
use super::sd_notify::{Told, teller};
use super::world::{svc, svstat, wait_down};

/// Long enough to see that nothing happens.
const A_WHILE: Duration = Duration::from_millis(300);

fn mode(scratch: &Scratch, name: &str) -> u32 {
    std::fs::metadata(scratch.path(name)).expect("it exists").permissions().mode() & 0o777
}

#[test]
fn the_socket_has_a_name_that_only_the_service_knows() {
    let told = Told::new();
    let socket = told.socket();
    let directory = told.scratch.path("a/supervise/notify");
    let directory = std::fs::canonicalize(directory).expect("it exists");
    let name = socket.strip_prefix(&format!("{}/", directory.display())).expect("it is in there");
    assert_eq!(name.len(), 32);
    assert_eq!((mode(&told.scratch, "a/supervise/notify"), mode(&told.scratch, "a/supervise")), (0o711, 0o711));
    // Everybody can read these.
    let shown = std::fs::read_to_string("/proc/net/unix").expect("it is there");
    assert!(!shown.contains(name));
    if is_root() {
        let mut list = Command::new("ls");
        std::os::unix::process::CommandExt::uid(&mut list, 65_534);
        assert_ne!(testkit::finish(list.arg(&directory)).code, 0, "nobody else can list it");
    }
    svc(&told.scratch, "-dx", "a");
    let mut supervise = told.supervise.expect("it runs");
    supervise.end();
    assert!(!directory.exists());
}

#[test]
fn a_service_without_the_file_leaves_the_directory_as_it_was() {
    let scratch = Scratch::new();
    scratch.service("a", "exec sleep 1000");
    let _supervise = scratch.start("supervise", "supervise", &["a"]);
    super::world::wait_up(&scratch, "a");
    assert_eq!(mode(&scratch, "a/supervise"), 0o700);
    assert!(!scratch.path("a/supervise/notify").exists());
}

#[test]
fn a_service_of_another_user_and_one_without_our_network_are_heard() {
    let Some(unshare) = needs_program("unshare").filter(|_| needs_root()) else {
        return;
    };
    let scratch = Scratch::new();
    let program = scratch.path("helper");
    let own = std::env::current_exe().expect("the test has a path");
    assert_eq!(testkit::finish(Command::new("cp").arg(&own).arg(&program)).code, 0);
    let tell =
        helper::run("tell-and-linger", "READY=1").replace(&own.display().to_string(), &program.display().to_string());
    for (name, way) in [("user", "setuidgid nobody".to_owned()), ("network", format!("{} -n", unshare.display()))] {
        scratch.service(name, &format!("{way} env {tell}; exec sleep 1000"));
        scratch.write(format!("{name}/sd-notify"), "");
        let _supervise = scratch.start(name, "supervise", &[name]);
        wait_until("it is ready", || svstat(&scratch, name).contains(", ready "));
        assert_eq!(scratch.text(format!("{name}.err")), "");
    }
}

/// What the ordinary user finds who looks for sockets wherever anybody may look.
fn seen_by_another_user(scratch: &Scratch) -> String {
    let mut look = Command::new("sh");
    look.args(["-c", "cat /proc/net/unix; ls -aR a/supervise; ls -a a/supervise/notify; exit 0"]);
    testkit::finish(scratch.as_ordinary(look).current_dir(scratch.root())).out()
}

/// A queue holds some ten datagrams. Whoever keeps it full has the service ended as one that hangs, where it does not wait for room: so no other user may
/// find the socket.
#[test]
fn another_user_finds_no_queue_to_fill_and_a_service_that_tells_in_time_lives() {
    if !needs_root() {
        return;
    }
    let live = format!("echo $NOTIFY_SOCKET\nexec env {}", helper::run("live", ""));
    let is_found = |told: &Told| {
        wait_until("it is ready", || told.is_ready());
        let socket = told.socket();
        seen_by_another_user(&told.scratch).contains(socket.rsplit(['/', '@']).next().expect("a name"))
    };
    // What can be seen is seen: an abstract socket, which the service has asked for.
    assert!(is_found(&Told::by("abstract", &live, Some("2s"))));
    let told = Told::with(&live, Some("2s"));
    assert!(!is_found(&told), "{}", told.socket());
    let service = told.pid();
    holds_for(Duration::from_secs(3), "it lives", || told.pid_or_none() == Some(service));
    assert_eq!(told.errors(), "");
}

#[test]
fn a_path_that_is_too_long_for_a_socket_is_said_and_an_abstract_one_taken() {
    let scratch = Scratch::new();
    let long = "n".repeat(100);
    // It lives on: of one that has ended nothing would be known there.
    scratch.service(&long, &helper::run("live", ""));
    scratch.write(format!("{long}/sd-notify"), "");
    let _supervise = scratch.start("supervise", "supervise", &[&long]);
    wait_until("it is ready", || svstat(&scratch, &long).contains(", ready "));
    let line = format!(
        "supervise: warning: unable to make {long}/supervise/notify, taking an abstract socket: the path is too long for a socket\n"
    );
    assert_eq!(scratch.text("supervise.err"), line);
}

#[test]
fn an_abstract_socket_that_nobody_asks_for_lasts_as_long_as_who_knows_it() {
    let told = Told::by("abstract", &teller(), None);
    let old = told.pid();
    told.scratch.write("a/sd-notify", "");
    svc(&told.scratch, "--reexec", "a");
    svc(&told.scratch, "-t", "a");
    told.wait_other(old);
    wait_until("it has told its socket", || told.scratch.text("supervise.out").lines().count() == 2);
    let sockets = told.scratch.text("supervise.out");
    let sockets: Vec<&str> = sockets.lines().collect();
    assert!(sockets[0].starts_with('@') && sockets[1].starts_with('/'), "{sockets:?}");
    told.say("READY=1");
    wait_until("it is ready", || told.is_ready());
}

/// The service tells while supervise does not run, and the process that did so is gone when it does.
fn tell_and_end(told: &Told, words: &str) {
    let supervise = told.supervise.as_ref().expect("it runs");
    supervise.signal("STOP");
    told.say(words);
    supervise.signal("CONT");
}

#[test]
fn a_helper_that_has_ended_is_heard_only_where_nobody_else_could_have_told() {
    let told = Told::new();
    tell_and_end(&told, "READY=1");
    wait_until("it is ready", || told.is_ready());
    let told = Told::by("abstract", &teller(), None);
    assert!(told.socket().starts_with('@'));
    tell_and_end(&told, "READY=1");
    holds_for(A_WHILE, "it is not ready", || !told.is_ready());
    assert_eq!(told.errors(), "");
}

#[test]
fn a_process_of_another_pid_namespace_is_not_heard() {
    let Some(unshare) = needs_program("unshare").filter(|_| needs_root()) else {
        return;
    };
    let scratch = Scratch::new();
    scratch.service("a", "echo $NOTIFY_SOCKET >socket.new; mv socket.new socket; exec sleep 1000");
    scratch.write("a/sd-notify", "abstract");
    let supervise = scratch.suite().path("supervise");
    let mut command = scratch.command("setlock", &["-n", "lock"]);
    command.arg(unshare).args(["-p", "-f", "--kill-child", "--mount-proc"]).arg(supervise).arg("a");
    let _supervise = testkit::start(&mut command);
    wait_until("it runs", || scratch.path("a/socket").exists());
    // As this process is seen from there, it has no pid; and it is root, as the service is.
    tell(scratch.text("a/socket").trim(), b"READY=1");
    holds_for(A_WHILE, "it is not ready", || !svstat(&scratch, "a").contains(", ready "));
}

/// How long it takes until the service is down.
#[track_caller]
fn time_to_end(told: &Told) -> Duration {
    let begun = Instant::now();
    svc(&told.scratch, "-d", "a");
    wait_down(&told.scratch, "a");
    begun.elapsed()
}

/// Says that it is ready, and hands over a connection that its peer does not read from, so that it takes a minute to close. Its own copies
/// are closed first: the last one who has it waits.
const LINGER: &str = r#"
import os, socket, struct, time
listener = socket.create_server(("127.0.0.1", 0))
stream = socket.create_connection(listener.getsockname())
peer = listener.accept()
stream.setblocking(False)
try:
    while True: stream.send(bytes(65536))
except BlockingIOError: pass
stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
name = os.environ["NOTIFY_SOCKET"]
teller = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
teller.connect("\0" + name[1:] if name[0] == "@" else name)
os.kill(os.getppid(), 19)
socket.send_fds(teller, [b"READY=1"], [stream.fileno()])
stream.close()
os.kill(os.getppid(), 18)
open("lingering", "w").close()
time.sleep(1000)
"#;

#[test]
fn a_descriptor_whose_close_takes_long_keeps_supervise_from_nothing() {
    if needs_program("python3").is_none() {
        return;
    }
    for kind in ["", "abstract"] {
        let told = Told::by(kind, &format!("echo start\nexec python3 -c '{LINGER}'"), None);
        wait_until("it has told", || told.scratch.path("a/lingering").exists());
        wait_until("it is ready", || told.is_ready());
        assert!(time_to_end(&told) < Duration::from_secs(5));
        assert_eq!(told.errors(), "");
    }
}

/// The same, where supervise is to keep the connection: the service takes that back, or ends.
#[test]
fn a_kept_descriptor_whose_close_takes_long_keeps_supervise_from_nothing() {
    if needs_program("python3").is_none() {
        return;
    }
    let kept = LINGER.replace("b\"READY=1\"", "b\"FDSTORE=1\\nFDNAME=a\\nREADY=1\"");
    let removed = kept.replace("open(\"lingering", "teller.send(b\"FDSTOREREMOVE=1\\nFDNAME=a\"); open(\"lingering");
    assert!(kept != LINGER && removed != kept);
    for program in [kept, removed] {
        // Its first run makes the file, which the next one needs.
        let first = "test -e fd-store || { echo 1 >fd-store; exit; }";
        let told = Told::with(&format!("{first}\necho start\nexec python3 -c '{program}'"), None);
        wait_until("it has told", || told.scratch.path("a/lingering").exists());
        wait_until("it is ready", || told.is_ready());
        assert!(time_to_end(&told) < Duration::from_secs(5));
        assert_eq!(told.errors(), "");
    }
}

#[test]
fn a_datagram_full_of_processes_without_an_environment_keeps_supervise_from_nothing() {
    let told = Told::new();
    let mut bare = Command::new("sleep");
    let bare = testkit::start(bare.arg("1000").env_clear());
    told.say(&format!("MAINPID={}\n", bare.pid()).repeat(250));
    assert!(time_to_end(&told) < Duration::from_secs(3));
    let line =
        format!("supervise: warning: unable to follow a to pid {}: it is no process of the service\n", bare.pid());
    assert_eq!(told.errors(), line);
}

#[test]
fn a_service_that_does_not_stop_talking_keeps_supervise_from_nothing() {
    for words in ["READY=1\nRELOADING=1\n", "WATCHDOG=1\n", "MAINPID=1\n"] {
        // Two of them, so that there always is something.
        let flood = helper::run("flood", words);
        let told = Told::with(&format!("echo start\n{flood} &\nexec env {flood}"), None);
        wait_until("it talks", || told.scratch.path("a/flooding").exists());
        let took = time_to_end(&told);
        assert!(took < Duration::from_secs(2), "{words:?} {took:?}");
        svc(&told.scratch, "-x", "a");
        told.supervise.expect("it runs").end();
        wait_until("nobody talks any more", || told.scratch.processes().is_empty());
    }
}
