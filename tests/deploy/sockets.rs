//! Sockets that supervise holds for its service.

use std::fs::File;
use std::io::{Read, Result};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use testkit::{Jail, Running, Scratch, address, finish, needs_program, needs_root, start, state, wait_until};

use super::helper;
use super::world::{pid, svc, svstat, wait_down, wait_up};

/// A service that answers on its sockets.
fn server(scratch: &Scratch) {
    scratch.service("a", &format!("exec env {}", helper::run("serve", "")));
}

fn supervise(scratch: &Scratch) -> Running {
    scratch.start("supervise", "supervise", &["a"])
}

/// What the service answers; waits for it if it has to.
fn ask(port: &str) -> Result<String> {
    read(TcpStream::connect(port)?)
}

fn ask_unix(path: &Path) -> Result<String> {
    read(UnixStream::connect(path)?)
}

fn read(mut stream: impl Read) -> Result<String> {
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Waits until something listens: supervise has opened the socket.
#[track_caller]
fn wait_open(port: &str) -> TcpStream {
    testkit::wait_for("the port is open", || TcpStream::connect(port).ok())
}

#[test]
fn they_are_handed_over_in_the_order_of_their_names() {
    let scratch = Scratch::new();
    server(&scratch);
    let ports = [&address(), &address()];
    scratch.write("a/sockets/web", format!("tcp {}\n", ports[0]));
    scratch.write("a/sockets/admin", format!("tcp {} backlog=10\n", ports[1]));
    scratch.write("a/sockets/file", "unix web.sock mode=0600\n");
    scratch.write("a/sockets/.hidden", "nothing");
    let _supervise = supervise(&scratch);
    let answer = read(wait_open(ports[0])).expect("an answer");
    let own = wait_up(&scratch, "a");
    assert_eq!(answer, format!("{own} 3 admin:file:web"));
    assert_eq!(ask(ports[1]).expect("an answer"), answer);
    assert_eq!(ask_unix(&scratch.path("a/web.sock")).expect("an answer"), answer);
    assert_eq!(scratch.text("supervise.err"), "");
}

#[test]
fn one_with_a_number_stands_there_and_is_not_counted() {
    let scratch = Scratch::new();
    scratch.service("a", &format!("exec env {}", helper::run("serve", "stdin")));
    let port = &address();
    scratch.write("a/sockets/web", format!("tcp {port} fd=0"));
    let _supervise = supervise(&scratch);
    let answer = read(wait_open(port)).expect("an answer");
    assert_eq!(answer, format!("{} 1 ", wait_up(&scratch, "a")));
}

#[test]
fn who_connects_while_no_process_runs_waits_for_the_next() {
    let scratch = Scratch::new();
    server(&scratch);
    let port = &address();
    scratch.write("a/sockets/web", format!("tcp {port}"));
    let _supervise = supervise(&scratch);
    wait_up(&scratch, "a");
    for letter in ["-k", "-t", "-r"] {
        let before = ask(port).expect("an answer");
        svc(&scratch, letter, "a");
        wait_until("another one answers", || ask(port).is_ok_and(|answer| !answer.is_empty() && answer != before));
    }
    svc(&scratch, "-d", "a");
    wait_down(&scratch, "a");
    let waits = TcpStream::connect(port).expect("it is not refused");
    svc(&scratch, "-u", "a");
    let answer = read(waits).expect("an answer");
    assert!(answer.starts_with(&format!("{} ", wait_up(&scratch, "a"))), "{answer}");
}

#[test]
fn nobody_is_refused_while_it_is_restarted_under_load() {
    let scratch = Scratch::new();
    server(&scratch);
    let port = &address();
    scratch.write("a/sockets/web", format!("tcp {port}"));
    scratch.write("a/sockets/file", "unix web.sock");
    let _supervise = supervise(&scratch);
    drop(wait_open(port));
    let path = scratch.path("a/web.sock");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let (path, done) = (&path, &done);
                scope.spawn(move || {
                    let mut refused = Vec::new();
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        // That a process which is killed leaves a request unanswered is not the sockets' part.
                        let asked = if client % 2 == 0 { ask(port) } else { ask_unix(path) };
                        refused
                            .extend(asked.err().filter(|error| error.kind() == std::io::ErrorKind::ConnectionRefused));
                    }
                    refused
                })
            })
            .collect();
        for _ in 0..3 {
            let before = wait_up(&scratch, "a");
            svc(&scratch, "-t", "a");
            wait_until("another one is up", || pid(&scratch, "a").is_some_and(|pid| pid != before));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        for client in clients {
            let refused = client.join().expect("it does not panic");
            assert!(refused.is_empty(), "{refused:?}");
        }
    });
}

/// Lets a client wait in the socket's queue, ends the service, and looks who answers: only the same socket has the client.
#[track_caller]
fn keeps_its_socket(scratch: &Scratch, port: &str) {
    let before = wait_up(scratch, "a");
    svc(scratch, "-p", "a");
    wait_until("it is paused", || svstat(scratch, "a").contains("paused"));
    wait_until("it stands still", || stands_still(before));
    let waits = TcpStream::connect(port).expect("it is not refused");
    svc(scratch, "-k", "a");
    let answer = read(waits).expect("an answer");
    assert!(!answer.is_empty() && !answer.starts_with(&format!("{before} ")), "{answer}");
}

/// Whether all threads of a process are stopped: a signal takes a moment to arrive on another processor.
pub fn stands_still(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let number = |thread: std::fs::DirEntry| thread.file_name().to_string_lossy().parse().expect("a number");
    threads.map(|thread| number(thread.expect("it is there"))).all(|thread| state(thread) == Some('T'))
}

#[test]
fn they_outlive_an_upgrade_and_a_kill_of_supervise() {
    let scratch = Scratch::new();
    server(&scratch);
    let port = &address();
    scratch.write("a/sockets/web", format!("tcp {port} fd=5"));
    scratch.service("a", &format!("exec env LISTEN_FDS=3 LISTEN_PID=$$ {}", helper::run("serve", "")));
    // Number 5 is the third of three that it takes; the others are sockets too.
    scratch.write("a/sockets/b", "unix b.sock fd=3");
    scratch.write("a/sockets/c", "unix c.sock fd=4");
    let mut first = supervise(&scratch);
    drop(wait_open(port));
    keeps_its_socket(&scratch, port);
    svc(&scratch, "--reexec", "a");
    keeps_its_socket(&scratch, port);
    let child = wait_up(&scratch, "a");
    first.signal("KILL");
    first.end();
    assert!(ask(port).expect("an answer").starts_with(&format!("{child} ")));
    let _second = supervise(&scratch);
    wait_until("a supervise runs", || scratch.run("svok", &["a"]).code == 0);
    assert_eq!(pid(&scratch, "a"), Some(child));
    keeps_its_socket(&scratch, port);
    assert_eq!(scratch.text("supervise.err"), "");
    assert!(ask_unix(&scratch.path("a/b.sock")).is_ok_and(|answer| !answer.is_empty()));
}

#[test]
fn they_are_opened_anew_where_supervise_and_service_were_both_killed() {
    let scratch = Scratch::new();
    server(&scratch);
    let port = &address();
    scratch.write("a/sockets/web", format!("tcp {port}"));
    scratch.write("a/sockets/file", "unix web.sock");
    let mut first = supervise(&scratch);
    drop(wait_open(port));
    let child = wait_up(&scratch, "a");
    first.signal("KILL");
    first.end();
    testkit::signal(child, "KILL");
    wait_until("it is gone", || !testkit::lives(child));
    // One of its threads may be gone after the first, and have the sockets until then.
    wait_until("nobody listens", || ask(port).is_err() && ask_unix(&scratch.path("a/web.sock")).is_err());
    let _second = supervise(&scratch);
    assert!(read(wait_open(port)).is_ok_and(|answer| !answer.is_empty()));
    assert!(ask_unix(&scratch.path("a/web.sock")).is_ok_and(|answer| !answer.is_empty()));
    assert_eq!(scratch.text("supervise.err"), "");
}

#[test]
fn files_that_come_and_go_are_seen_at_the_next_start() {
    let scratch = Scratch::new();
    server(&scratch);
    let ports = [&address(), &address()];
    let _supervise = supervise(&scratch);
    wait_up(&scratch, "a");
    scratch.write("a/sockets/one", format!("tcp {}", ports[0]));
    assert!(ask(ports[0]).is_err());
    svc(&scratch, "-t", "a");
    assert!(read(wait_open(ports[0])).is_ok_and(|answer| answer.ends_with(" 1 one")));
    // Another name for the same place: it is the same socket.
    std::fs::rename(scratch.path("a/sockets/one"), scratch.path("a/sockets/uno")).expect("it is there");
    scratch.write("a/sockets/two", format!("tcp {}", ports[1]));
    svc(&scratch, "-t", "a");
    assert!(read(wait_open(ports[1])).is_ok_and(|answer| answer.ends_with(" 2 two:uno")));
    std::fs::remove_dir_all(scratch.path("a/sockets")).expect("it is there");
    svc(&scratch, "-t", "a");
    wait_until("nobody listens", || ask(ports[0]).is_err() && ask(ports[1]).is_err());
    assert_eq!(scratch.text("supervise.err"), "");
}

#[test]
fn an_address_may_become_one_that_includes_it() {
    let scratch = Scratch::new();
    server(&scratch);
    // Of all addresses only a port that others have not can be had.
    let number = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let port = &format!("127.0.0.1:{number}");
    scratch.write("a/sockets/web", format!("tcp {port}"));
    scratch.write("a/sockets/file", "unix web.sock");
    let _supervise = supervise(&scratch);
    for (tcp, unix) in
        [("*", scratch.path("a/web.sock")), ("localhost", "web.sock".into()), ("127.0.0.1", "./web.sock".into())]
    {
        let before = read(wait_open(port)).expect("an answer");
        scratch.write("a/sockets/web", format!("tcp {tcp}:{number}"));
        scratch.write("a/sockets/file", format!("unix {}", unix.display()));
        svc(&scratch, "-t", "a");
        let another = |answer: Result<String>| answer.is_ok_and(|answer| !answer.is_empty() && answer != before);
        wait_until("another one answers", || another(ask(port)) && another(ask_unix(&scratch.path("a/web.sock"))));
    }
    assert_eq!(scratch.text("supervise.err"), "");
}

#[test]
fn a_replacement_that_is_given_up_leaves_the_old_sockets() {
    let scratch = Scratch::new();
    let ports = [&address(), &address()];
    let service = format!("test -e bad && exit 3; exec env {}", helper::run("serve", ""));
    scratch.service("a", &service);
    scratch.write("a/sockets/web", format!("tcp {}", ports[0]));
    let _supervise = supervise(&scratch);
    let old = read(wait_open(ports[0])).expect("an answer");
    scratch.write("a/bad", "");
    scratch.write("a/sockets/web", format!("tcp {}", ports[1]));
    assert_eq!(scratch.run("svc", &["-R", "--wait=replaced", "a"]).code, 1);
    assert_eq!(ask(ports[0]).expect("an answer"), old);
    std::fs::remove_file(scratch.path("a/bad")).expect("it is there");
    scratch.write("a/sockets/web", format!("tcp {}", ports[0]));
    let replaced = scratch.run("svc", &["-R", "--wait=replaced", "a"]);
    assert_eq!((replaced.code, replaced.err().as_str()), (0, ""));
    wait_until("the new one answers alone", || ask(ports[0]).is_ok_and(|answer| !answer.is_empty() && answer != old));
    assert!(ask(ports[1]).is_err(), "nobody needs it any more");
}

#[test]
fn what_is_wrong_gets_one_clear_line_and_svstat_says_why_it_is_down() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("it has one").port();
    let long = format!("unix {}", "p".repeat(108));
    let in_use = format!("tcp 127.0.0.1:{port}");
    let too_much = "x".repeat(5000);
    let cases: [(&str, &str, &str); 13] = [
        ("web", &in_use, "web: address already used"),
        ("web", "unix live", "web: address already used"),
        ("web", "unix file", "web: not a socket"),
        ("web", "unix missing/s", "web: file does not exist"),
        ("web", "tcp no-such-host.invalid:80", "web: unknown host no-such-host.invalid"),
        ("web", "tcp 127.0.0.1:99999", "web: wrong port: 99999"),
        ("web", "tcp 127.0.0.1:80 color=red", "web: unknown option: color=red"),
        ("web", "sctp 127.0.0.1:80", "web: neither tcp, udp nor unix: sctp"),
        ("web", "", "web: it is empty"),
        ("web", &too_much, "web: it is too long"),
        ("web", &long, "web: path too long for a socket: "),
        ("web", "unix s owner=no-such-account", "web: unknown account no-such-account"),
        ("w:b", "unix s", "w:b: the name has a colon, a blank or an odd byte in it"),
    ];
    thread::scope(|scope| {
        for (name, contents, why) in cases {
            scope.spawn(move || is_wrong(name, contents, why));
        }
    });
}

/// Checks what is said and shown of a socket that cannot be had, and that the service is up when it is wanted no more.
fn is_wrong(name: &str, contents: &str, why: &str) {
    let scratch = Scratch::new();
    scratch.service("a", "exec sleep 1000");
    let _live = UnixListener::bind(scratch.path("a/live")).expect("a socket");
    scratch.write("a/file", "");
    let file = Path::new("a/sockets").join(name);
    scratch.write(&file, contents);
    let _supervise = supervise(&scratch);
    // A name service may take a moment.
    let is_known = |line: &str| line.contains(", sockets/") && !line.contains(" is still being looked up");
    wait_until(why, || svstat(&scratch, "a").starts_with("down ") && is_known(&svstat(&scratch, "a")));
    let line = svstat(&scratch, "a");
    let expected = format!(", normally up, want up, sockets/{why}");
    let shown = line.split_once("seconds").map(|(_, rest)| rest).expect("a time");
    assert!(expected.starts_with(shown) || shown.starts_with(&expected), "{line}");
    std::fs::remove_file(scratch.path(&file)).expect("it is there");
    wait_up(&scratch, "a");
    assert!(!svstat(&scratch, "a").contains("sockets"));
    // It was tried again each second, and said once.
    let said = scratch.text("supervise.err");
    // But for a name service that took its time.
    let lines: Vec<&str> = said.lines().filter(|line| !line.ends_with(" is still being looked up")).collect();
    let [line] = lines[..] else { panic!("{said}") };
    assert!(line.starts_with(&format!("supervise: warning: unable to listen for a/sockets/{why}")), "{said}");
}

#[test]
fn a_stale_file_is_taken_over() {
    let scratch = Scratch::new();
    server(&scratch);
    drop(UnixListener::bind(scratch.path("a/web.sock")).expect("a socket"));
    scratch.write("a/sockets/web", "unix web.sock mode=0640");
    let _supervise = supervise(&scratch);
    wait_until("it answers", || ask_unix(&scratch.path("a/web.sock")).is_ok_and(|answer| !answer.is_empty()));
}

/// As a scan directory is locked for as long as its svscan lives. To wait for that lock took a fifth of a second for each socket there, and
/// meanwhile supervise obeyed nobody.
#[test]
fn a_lock_on_their_directory_is_not_waited_for() {
    const COUNT: usize = 100;
    for ordinary in [false, true] {
        let scratch = Scratch::new();
        scratch.service("a", "exec sleep 1000");
        let (directory, _) = (scratch.mkdir_given("there"), scratch.mkdir_given("a/sockets"));
        scratch.give("a");
        let mut command =
            if ordinary { scratch.ordinary("supervise", &["a"]) } else { scratch.command("supervise", &["a"]) };
        let _supervise = start(&mut command);
        let old = wait_up(&scratch, "a");
        let lock = File::open(&directory).expect("it is there");
        lock.lock().expect("nobody has it");
        for number in 0..COUNT {
            scratch.write(format!("a/sockets/s{number}"), format!("unix ../there/s{number}"));
            // Every second one is there already, and nobody has it.
            if number % 2 == 0 {
                drop(UnixListener::bind(directory.join(format!("s{number}"))).expect("a socket"));
                scratch.give(&format!("there/s{number}"));
            }
        }
        let begun = Instant::now();
        svc(&scratch, "-t", "a");
        wait_until("another one runs", || pid(&scratch, "a").is_some_and(|pid| pid != old));
        svc(&scratch, "-d", "a");
        wait_down(&scratch, "a");
        assert!(begun.elapsed() < Duration::from_secs(15), "it took {:?}", begun.elapsed());
        for number in 0..COUNT {
            UnixStream::connect(directory.join(format!("s{number}"))).expect("supervise has it");
        }
        // Nothing else was left there.
        assert_eq!(std::fs::read_dir(&directory).expect("it is there").count(), COUNT);
    }
}

/// The kernel takes the mark away by which supervise is known in its service directory as soon as supervise closes any descriptor of that.
#[test]
fn one_in_the_service_directory_leaves_supervise_its_mark() {
    let scratch = Scratch::new();
    scratch.service("a", "echo start >>starts; exec sleep 1000");
    scratch.write("a/sockets/web", "unix web.sock");
    drop(UnixListener::bind(scratch.path("a/web.sock")).expect("a socket"));
    let _supervise = supervise(&scratch);
    let own = wait_up(&scratch, "a");
    std::fs::remove_dir_all(scratch.path("a/supervise")).expect("it is there");
    let second = scratch.run("supervise", &["a"]);
    assert!(second.code == 111 && second.err().ends_with(", and its files were removed\n"), "{}", second.err());
    assert_eq!((wait_up(&scratch, "a"), scratch.text("a/starts").as_str()), (own, "start\n"));
}

#[test]
fn one_that_a_new_copy_shuts_down_listens_again_when_that_copy_has_ended() {
    let scratch = Scratch::new();
    let port = &address();
    let (serve, shut) = (helper::run("serve-gently", ""), helper::run("shut", ""));
    scratch.service("a", &format!("test -e bad || exec env {serve}; rm bad; env {shut}; exit 6"));
    scratch.write("a/sockets/web", format!("tcp {port}"));
    scratch.write("a/sd-notify", "");
    let _supervise = supervise(&scratch);
    wait_until("it answers", || ask(port).is_ok());
    let own = wait_up(&scratch, "a");
    scratch.write("a/bad", "");
    let ran = scratch.run("svc", &["-R", "--wait=replaced", "a"]);
    assert_eq!(ran.code, 1);
    wait_until("it answers again", || ask(port).is_ok_and(|answer| answer == format!("{own} 1 web")));
    let said = scratch.text("supervise.err");
    let line = "supervise: warning: a/sockets/web was shut down by a process of the service, listening again\n";
    assert!(said.starts_with(line) && said.ends_with(" exited 6 before it was ready\n"), "{said}");
}

#[test]
fn a_number_that_two_shall_have_is_said() {
    for (socket, notification) in [("fd=7", "7"), ("", "3")] {
        let scratch = Scratch::new();
        scratch.service("a", "exec sleep 1000");
        scratch.write("a/sockets/web", format!("unix web.sock {socket}"));
        scratch.write("a/notification-fd", notification);
        let _supervise = supervise(&scratch);
        let why = format!("descriptor {notification} is given twice, see sockets/ and notification-fd");
        let line = format!("supervise: warning: unable to start a: {why}\n");
        wait_until("it is said", || scratch.text("supervise.err") == line);
        wait_until("it is shown", || svstat(&scratch, "a").contains(", want up, descriptor "));
        scratch.write("a/notification-fd", "9");
        wait_up(&scratch, "a");
    }
}

#[test]
fn a_privileged_port_is_not_for_everybody() {
    let (true, Some(setpriv)) = (needs_root(), needs_program("setpriv")) else {
        return;
    };
    let scratch = Scratch::new();
    scratch.service("a", "exec sleep 1000");
    scratch.write("a/sockets/web", "tcp 127.0.0.1:81");
    let chown = finish(Command::new("chown").args(["-R", "64322", "."]).current_dir(scratch.root()));
    assert_eq!(chown.code, 0);
    let mut command = Command::new(setpriv);
    command.args(["--reuid=64322", "--regid=64322", "--clear-groups", "--bounding-set=-all"]);
    command.arg(scratch.suite().path("supervise")).arg("a").current_dir(scratch.root());
    command.stderr(std::fs::File::create(scratch.path("err")).expect("a file"));
    let _supervise = start(&mut command);
    let line = "supervise: warning: unable to listen for a/sockets/web: access denied\n";
    wait_until("it is said", || scratch.text("err") == line || scratch.text("err").contains("unprivileged"));
}

#[test]
fn a_thousand_are_held() {
    let scratch = Scratch::new();
    scratch.service("a", "echo $LISTEN_FDS; exec sleep 1000");
    for number in 0..1000 {
        scratch.write(format!("a/sockets/s{number}"), format!("unix s{number}.sock"));
    }
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 1024; exec \"$0\" a"]).arg(scratch.suite().path("supervise"));
    command.current_dir(scratch.root()).stderr(std::fs::File::create(scratch.path("err")).expect("a file"));
    command.stdout(std::fs::File::create(scratch.path("out")).expect("a file"));
    let _supervise = start(&mut command);
    wait_until("they are handed over", || scratch.text("out") == "1000\n" || !scratch.text("err").is_empty());
    assert_eq!(scratch.text("err"), "");
    assert!(UnixStream::connect(scratch.path("a/s999.sock")).is_ok());
}

#[test]
fn a_name_service_that_does_not_answer_keeps_supervise_from_nothing() {
    let Some(jail) = Jail::new(&["supervise", "svc", "svstat"]) else {
        return;
    };
    let scratch = jail.scratch();
    for fifo in ["answer", "hold"] {
        finish(Command::new("mkfifo").arg(scratch.path(fifo)));
    }
    scratch.script("usr/bin/getent", "read line </answer; echo \"$line\"");
    scratch.service("a", "echo start >>/starts; read line </hold");
    scratch.write("a/sockets/s", "unix s.sock owner=remote");
    let said = std::fs::File::create(scratch.path("said")).expect("a file of ours");
    let mut supervise = start(jail.command(&["/bin/supervise", "/a"]).stderr(said));
    let status = || finish(&mut jail.command(&["/bin/svstat", "--long", "/a"])).out();
    wait_until("it says why", || status().contains("account remote is still being looked up"));
    wait_until("it tells", || scratch.text("said").contains("account remote is still being looked up"));
    let svc = |words: &[&str]| finish(&mut jail.command(&[&["/bin/svc"], words].concat()));
    assert_eq!(svc(&["--wait=down", "--timeout=5", "-d", "/a"]).code, 0);
    std::fs::write(scratch.path("answer"), "remote:x:7:8:::\n").expect("it is read");
    svc(&["-u", "/a"]);
    wait_until("it is started", || scratch.text("starts") == "start\n");
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(scratch.path("a/s.sock")).expect("it exists"));
    assert_eq!(owner, 7);
    assert_eq!(scratch.text("said").matches("is still being looked up").count(), 1, "{}", scratch.text("said"));
    svc(&["-dx", "/a"]);
    assert_eq!(supervise.end(), 0);
}

#[test]
fn a_name_service_that_does_not_answer_keeps_no_successor_from_the_sockets() {
    let Some(unshare) = needs_program("unshare").filter(|_| needs_root()) else {
        return;
    };
    if !Path::new("/usr/bin/getent").exists() {
        return testkit::skip("there is no /usr/bin/getent");
    }
    let scratch = Scratch::new();
    let root = scratch.root().display();
    sys::fd::make_fifo(&*scratch.path("never")).expect("a FIFO");
    let hang = format!("[ -e {root}/hang ] && read line <{root}/never");
    let getent = scratch.script("getent", &format!("echo >>{root}/asked\n{hang}\necho $2:x:7:8:::"));
    scratch.service("a", "exec sleep 1000");
    scratch.write("a/sockets/s", "unix s.sock owner=uphold-remote");
    // In a place where it is the getent of the system.
    let supervise = || {
        let mut command = Command::new(&unshare);
        command.args(["--mount", "sh", "-c", "mount --bind \"$1\" /usr/bin/getent && exec \"$0\" a"]);
        command.arg(scratch.suite().path("supervise")).arg(&getent).current_dir(scratch.root());
        let said = std::fs::File::options().create(true).append(true).open(scratch.path("said"));
        start(command.stderr(said.expect("a file of ours")))
    };
    let file = || std::fs::metadata(scratch.path("a/s.sock")).map(|file| (file.uid(), file.ino())).expect("it exists");
    let mut first = supervise();
    let service = wait_up(&scratch, "a");
    let socket = file();
    assert_eq!(socket.0, 7);
    scratch.write("hang", "");
    first.signal("KILL");
    first.end();
    let mut second = supervise();
    wait_until("another supervise runs", || scratch.run("svok", &["a"]).code == 0);
    assert_eq!(pid(&scratch, "a"), Some(service));
    // It obeys, sees the end of the service, and starts another one with the socket that it has found.
    svc(&scratch, "-t", "a");
    wait_until("it is started again", || pid(&scratch, "a").is_some_and(|pid| pid != service));
    svc(&scratch, "-dx", "a");
    assert_eq!(second.end(), 0);
    assert_eq!((file(), scratch.text("said").as_str()), (socket, ""));
    assert_eq!(scratch.text("asked").lines().count(), 1, "nobody was asked again");
}
