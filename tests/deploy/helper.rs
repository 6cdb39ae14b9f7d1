//! Programs that the services of these tests run: parts of this test's own file, chosen by the environment.

use std::env;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};

/// Relative to the service directory: where a service that lives is told to hang.
pub const EAR: &str = "ear";

/// Shell words that run the part `role` with `word`. It is silent.
pub fn run(role: &str, word: &str) -> String {
    let program = env::current_exe().expect("the test has a path");
    format!(
        "DEPLOY_HELPER={role} DEPLOY_WORD='{word}' '{}' --exact deploy::helper::helper >/dev/null 2>&1",
        program.display()
    )
}

/// Sends a datagram as a service does.
pub fn tell(socket: &str, text: &[u8]) {
    speaker(socket).and_then(|sender| sender.send(text)).expect("it is sent");
}

/// A socket that is connected to one that services tell by.
fn speaker(socket: &str) -> std::io::Result<UnixDatagram> {
    let sender = UnixDatagram::unbound()?;
    match socket.strip_prefix('@') {
        Some(name) => sender.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => sender.connect(socket)?,
    }
    Ok(sender)
}

/// Says the same for ever, as fast as it can.
fn flood(text: &str) {
    let text = text.repeat(4000 / text.len());
    let sender = speaker(&env::var("NOTIFY_SOCKET").expect("it is set")).expect("it is there");
    std::fs::write("flooding", "").expect("a file of ours");
    while sender.send(text.as_bytes()).is_ok() {}
}

/// Starts another process, writes down which, says that it is the service now, and ends.
fn move_on(word: &str) {
    let daemon = std::process::Command::new("setsid").args(["sleep", "1000"]).spawn().expect("it is installed");
    std::fs::write("daemon.new", daemon.id().to_string()).expect("a file of ours");
    std::fs::rename("daemon.new", "daemon").expect("a file of ours");
    tell(&env::var("NOTIFY_SOCKET").expect("it is set"), format!("MAINPID={}\nREADY=1", daemon.id()).as_bytes());
    std::process::exit(word.parse().expect("a code"));
}

/// The same, but there is a worker too, which stays in its group, and nobody is ready.
fn move_on_and_leave_a_worker() {
    let start = |words: &[&str]| std::process::Command::new("env").args(words).spawn().expect("it is installed").id();
    let (worker, daemon) = (start(&["sleep", "1000"]), start(&["setsid", "sleep", "1000"]));
    std::fs::write("worker.daemon", daemon.to_string()).expect("a file of ours");
    std::fs::write("worker", worker.to_string()).expect("a file of ours");
    tell(&env::var("NOTIFY_SOCKET").expect("it is set"), format!("MAINPID={daemon}").as_bytes());
    std::process::exit(0);
}

/// Says that it is ready, and then that it is alive, until it hears anything on the socket [`EAR`].
fn live() {
    // Of the process before it.
    let _ = std::fs::remove_file(EAR);
    let ear = UnixDatagram::bind(EAR).expect("a socket of ours");
    ear.set_read_timeout(Some(std::time::Duration::from_millis(20))).expect("it is a socket");
    let socket = env::var("NOTIFY_SOCKET").expect("it is set");
    tell(&socket, b"READY=1");
    while ear.recv(&mut [0]).is_err() {
        tell(&socket, b"WATCHDOG=1");
    }
    loop {
        std::thread::park();
    }
}

/// Says that it is ready, and on each HUP what the file `how` says of the reload: it `tells` of it, and is ready again when there is no `holdN` for
/// the N-th; is `silent`; tells of one in the `past`, or of a `timeless` one; or `dies`.
fn reload() {
    use sys::process::Signal;
    let signals = sys::signals::Signals::catch(&[Signal::SIGHUP]).expect("it can be caught");
    let socket = env::var("NOTIFY_SOCKET").expect("it is set");
    let mut heard = std::fs::OpenOptions::new().append(true).create(true).open("heard").expect("a file of ours");
    tell(&socket, b"READY=1");
    let mut reload = 0;
    loop {
        let _ = sys::poll::readable([signals.fd()], None);
        signals.drain();
        if !signals.arrived(Signal::SIGHUP) {
            continue;
        }
        reload += 1;
        let began = match std::fs::read_to_string("how").expect("a file of ours").as_str() {
            "tells" => format!("MONOTONIC_USEC={}\n", sys::clock::monotonic() / 1000),
            "past" => "MONOTONIC_USEC=7\n".to_owned(),
            "timeless" => String::new(),
            "silent" => {
                writeln!(heard).expect("a file of ours");
                continue;
            }
            _ => std::process::exit(1),
        };
        writeln!(heard).expect("a file of ours");
        tell(&socket, format!("{began}RELOADING=1").as_bytes());
        while std::path::Path::new(&format!("hold{reload}")).exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        tell(&socket, b"READY=1");
    }
}

/// Writes down what it was given: its pid, then each descriptor by name and file. Then it is ready, and obeys whatever somebody writes into `order`.
fn park() {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names = names.split(':').filter(|name| !name.is_empty());
    let count: i32 = env::var("LISTEN_FDS").map_or(0, |count| count.parse().expect("a number"));
    let mut held: Vec<OwnedFd> =
        (3..3 + count).map(|number| sys::sealed::inherit(number).expect("it is open")).collect();
    let file = |number: i32| std::fs::read_link(format!("/proc/self/fd/{number}")).expect("it is open");
    let given: String =
        names.zip(3..3 + count).map(|(name, number)| format!("{name} {}\n", file(number).display())).collect();
    std::fs::write("given.new", format!("{}\n{given}", std::process::id())).expect("a file of ours");
    std::fs::rename("given.new", "given").expect("a file of ours");
    let name = env::var("NOTIFY_SOCKET").expect("it is set");
    std::fs::write("socket", &name).expect("a file of ours");
    let say = |text: &str, descriptors: &[OwnedFd]| {
        let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        // Another supervise has another socket of that name.
        let socket = speaker(&name).expect("it is there");
        sys::notify::send(socket.as_fd(), text.as_bytes(), &descriptors).expect("it is sent");
    };
    say("READY=1", &[]);
    loop {
        if std::fs::rename("order", "taken").is_err() {
            std::thread::sleep(std::time::Duration::from_millis(5));
            continue;
        }
        let order = std::fs::read_to_string("taken").expect("it is there");
        let words: Vec<&str> = order.split(' ').collect();
        match words[..] {
            // The descriptors of these files, which are open here too from then on.
            ["keep", name, ref files @ ..] => {
                let open = |file: &&str| OwnedFd::from(std::fs::File::open(file).expect("it is there"));
                let files: Vec<OwnedFd> = files.iter().map(open).collect();
                say(&format!("FDSTORE=1\nFDNAME={name}"), &files);
                held.extend(files);
            }
            ["listen", name, port] => {
                let listener: OwnedFd = TcpListener::bind(port).expect("it is free").into();
                say(&format!("FDSTORE=1\nFDNAME={name}"), std::slice::from_ref(&listener));
                held.push(listener);
            }
            ["nameless"] => say("FDSTORE=1", &held),
            // As many open files as that, all of the same file, a hundred at a time.
            ["many", name, file, count] => {
                let count: usize = count.parse().expect("a number");
                let many: Vec<OwnedFd> =
                    (0..count).map(|_| std::fs::File::open(file).expect("it is there").into()).collect();
                many.chunks(100).for_each(|some| say(&format!("FDSTORE=1\nFDNAME={name}"), some));
            }
            ["remove", name] => say(&format!("FDSTOREREMOVE=1\nFDNAME={name}"), &[]),
            ["close"] => held.clear(),
            ["exit", code] => std::process::exit(code.parse().expect("a code")),
            _ => panic!("there is no {order}"),
        }
        // When the pipe has no other end, all that was said before has been heard.
        let (reader, writer) = sys::fd::pipe().expect("a pipe");
        say("BARRIER=1", &[writer]);
        let _ = sys::fd::read(reader.as_fd(), &mut [0]);
        std::fs::rename("taken", "done").expect("a file of ours");
    }
}

/// Answers on every socket that it was given, by its pid and the names of the sockets: on stdin if `word` says so, else on those that
/// the variables tell of.
fn serve(word: &str) {
    let own = std::process::id();
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut sockets: Vec<OwnedFd> = Vec::new();
    if word == "stdin" {
        sockets.push(std::io::stdin().as_fd().try_clone_to_owned().expect("it is open"));
    }
    if let Ok(count) = env::var("LISTEN_FDS") {
        assert_eq!(env::var("LISTEN_PID"), Ok(own.to_string()));
        let count: i32 = count.parse().expect("a number");
        sockets.extend((3..3 + count).map(|number| sys::sealed::inherit(number).expect("it is open")));
    }
    let answer = format!("{own} {} {names}", sockets.len());
    std::thread::scope(|scope| {
        for socket in sockets {
            scope.spawn(|| answer_on(socket, &answer));
        }
    });
}

/// Shuts the first socket down, for all who have it.
fn shut() {
    let socket = TcpStream::from(sys::sealed::inherit(3).expect("it is open"));
    socket.shutdown(std::net::Shutdown::Both).expect("anybody may");
}

/// Answers on the first socket, says when it is ready, and on TERM ends when the client that it is at has its answer.
fn serve_gently() {
    use sys::process::Signal;
    let signals = sys::signals::Signals::catch(&[Signal::SIGTERM]).expect("it can be caught");
    let listener = TcpListener::from(sys::sealed::inherit(3).expect("it is open"));
    listener.set_nonblocking(true).expect("a socket");
    let answer = format!("{} 1 {}", std::process::id(), env::var("LISTEN_FDNAMES").unwrap_or_default());
    tell(&env::var("NOTIFY_SOCKET").expect("it is set"), b"READY=1");
    while !signals.arrived(Signal::SIGTERM) {
        let _ = sys::poll::readable([listener.as_fd(), signals.fd()], None);
        while let Ok((mut client, _)) = listener.accept() {
            client.set_nonblocking(false).expect("a socket");
            let _ = client.write_all(answer.as_bytes());
        }
    }
}

fn answer_on(socket: OwnedFd, answer: &str) {
    let copy = socket.try_clone().expect("a descriptor");
    if TcpListener::from(copy).local_addr().is_ok() {
        let listener = TcpListener::from(socket);
        while let Ok((mut client, _)) = listener.accept() {
            let _ = client.write_all(answer.as_bytes());
        }
    } else {
        let listener = UnixListener::from(socket);
        while let Ok((mut client, _)) = listener.accept() {
            let _ = client.write_all(answer.as_bytes());
        }
    }
}

#[test]
fn helper() {
    let (Ok(role), Ok(word)) = (env::var("DEPLOY_HELPER"), env::var("DEPLOY_WORD")) else {
        return;
    };
    match role.as_str() {
        "flood" => flood(&word),
        "live" => live(),
        "move-on" => move_on(&word),
        "move-on-and-leave-a-worker" => move_on_and_leave_a_worker(),
        "park" => park(),
        "reload" => reload(),
        "serve" => serve(&word),
        "shut" => shut(),
        "serve-gently" => serve_gently(),
        "tell" => tell(&env::var("NOTIFY_SOCKET").expect("it is set"), word.as_bytes()),
        "tell-and-stay" => {
            tell(&env::var("NOTIFY_SOCKET").expect("it is set"), word.as_bytes());
            // Who has ended is heard only where nobody else could have told.
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        "tell-and-linger" => {
            tell(&env::var("NOTIFY_SOCKET").expect("it is set"), word.as_bytes());
            std::thread::sleep(std::time::Duration::from_secs(20));
        }
        other => panic!("there is no {other}"),
    }
}
