//! `fd-store`: descriptors that a service gives to supervise, and gets back.

use std::net::TcpStream;
use std::os::fd::AsFd;

use testkit::{Running, Scratch, address, wait_for, wait_until};

use super::helper;
use super::world::{pid, svc, svstat, wait_down, wait_up};

/// A service that keeps what it is told to keep.
struct Parking {
    scratch: Scratch,
    supervise: Option<Running>,
}

impl Parking {
    fn new(most: Option<&str>) -> Parking {
        Parking::with(most, &[])
    }

    fn with(most: Option<&str>, files: &[(&str, &str)]) -> Parking {
        let scratch = Scratch::new();
        scratch.service("a", &format!("exec env {}", helper::run("park", "")));
        scratch.write("a/sd-notify", "");
        for file in ["one", "two", "three"] {
            scratch.write(format!("a/{file}"), file);
        }
        for (name, contents) in files {
            scratch.write(format!("a/{name}"), contents);
        }
        if let Some(most) = most {
            scratch.write("a/fd-store", most);
        }
        let mut parking = Parking { scratch, supervise: None };
        parking.supervise();
        parking.wait_ready(0);
        parking
    }

    fn supervise(&mut self) {
        self.supervise = Some(self.scratch.start("supervise", "supervise", &["a"]));
    }

    /// Waits until another process than `old` is ready, and returns its pid.
    #[track_caller]
    fn wait_ready(&self, old: u32) -> u32 {
        let ready = || svstat(&self.scratch, "a").contains(", ready ");
        wait_for("another is ready", || pid(&self.scratch, "a").filter(|&pid| pid != old && ready()))
    }

    /// Lets the service do something, and waits until supervise has heard of it.
    #[track_caller]
    fn order(&self, order: &str) {
        let _ = std::fs::remove_file(self.scratch.path("a/done"));
        std::fs::rename(self.scratch.write("order", order), self.scratch.path("a/order")).expect("a file of ours");
        wait_until(&format!("it has done: {order}"), || self.scratch.path("a/done").exists());
    }

    /// What the process that runs was given: names and files.
    #[track_caller]
    fn given(&self) -> Vec<String> {
        let text = self.scratch.text("a/given");
        let mut lines = text.lines();
        assert_eq!(lines.next().map(str::to_owned), pid(&self.scratch, "a").map(|pid| pid.to_string()));
        let directory = format!("{}/", self.scratch.path("a").canonicalize().expect("it is there").display());
        lines.map(|line| line.replace(&directory, "")).collect()
    }

    /// Ends the process by this option of svc, and returns what the next one was given.
    #[track_caller]
    fn given_after(&self, option: &str) -> Vec<String> {
        let old = wait_up(&self.scratch, "a");
        svc(&self.scratch, option, "a");
        self.wait_ready(old);
        self.given()
    }

    /// Kills supervise and starts another one, or has it become its file again.
    fn succeed(&mut self, upgrade: bool) {
        if upgrade {
            svc(&self.scratch, "--reexec", "a");
            return self.wait_obeyed();
        }
        let mut first = self.supervise.take().expect("it runs");
        first.signal("KILL");
        first.end();
        self.supervise();
        wait_until("a supervise runs", || self.scratch.run("svok", &["a"]).code == 0);
    }

    #[track_caller]
    fn wait_obeyed(&self) {
        let told = self.scratch.run("svc", &["-u", "--wait=up", "a"]);
        assert_eq!((told.code, told.err().as_str()), (0, ""));
    }

    /// How many descriptors of this file of the service supervise has open. It opens others for a moment, so those are not counted.
    fn open(&self, file: &str) -> usize {
        let supervise = self.supervise.as_ref().expect("it runs").pid();
        let entries = std::fs::read_dir(format!("/proc/{supervise}/fd")).expect("it lives");
        let links = entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
        let file = self.scratch.path("a").canonicalize().expect("it is there").join(file);
        links.filter(|link| *link == file).count()
    }

    fn errors(&self) -> String {
        self.scratch.text("supervise.err")
    }

    fn is_listed(&self) -> bool {
        self.scratch.path("a/supervise/stored").exists()
    }
}

#[test]
fn they_come_back_under_their_names_and_in_their_order_whatever_ends_the_service() {
    let parking = Parking::new(Some("5\n"));
    assert_eq!(parking.given(), [""; 0]);
    parking.order("keep conn two one");
    parking.order("keep state three");
    for option in ["-t", "-k", "-r", "-R", "-R"] {
        assert_eq!(parking.given_after(option), ["conn two", "conn one", "state three"], "{option}");
    }
    // A process that ends by itself.
    let old = wait_up(&parking.scratch, "a");
    std::fs::rename(parking.scratch.write("order", "exit 3"), parking.scratch.path("a/order")).expect("a file of ours");
    parking.wait_ready(old);
    assert_eq!(parking.given(), ["conn two", "conn one", "state three"]);
    assert_eq!(parking.errors(), "");
}

#[test]
fn they_come_behind_the_sockets() {
    let port = &address();
    let parking = Parking::with(Some("2"), &[("sockets/web", &format!("tcp {port}")), ("sockets/x", "unix x fd=9")]);
    parking.order("keep conn one two");
    let given = parking.given_after("-t");
    assert!(given[0].starts_with("web socket:["), "{given:?}");
    assert_eq!(given[1..], ["conn one", "conn two"]);
}

#[test]
fn they_go_over_to_the_next_supervise() {
    for upgrade in [true, false] {
        let mut parking = Parking::new(Some("3"));
        let (port, own) = (&address(), wait_up(&parking.scratch, "a"));
        parking.order("keep conn one two");
        parking.order(&format!("listen port {port}"));
        for _ in 0..2 {
            parking.succeed(upgrade);
            wait_until("it is taken over", || parking.open("one") == 1);
            assert_eq!(pid(&parking.scratch, "a"), Some(own), "upgrade: {upgrade}");
        }
        // What is kept already is known again.
        parking.order("nameless");
        svc(&parking.scratch, "-k", "a");
        parking.wait_ready(own);
        // While no process runs too, nobody is refused.
        TcpStream::connect(port).expect("somebody listens");
        let given = parking.given();
        assert_eq!(given[..2], ["conn one", "conn two"], "upgrade: {upgrade}");
        assert!(given[2].starts_with("port socket:[") && given.len() == 3, "{given:?}");
        assert_eq!(parking.errors(), "");
    }
}

#[test]
fn a_successor_says_what_was_lost_with_the_one_that_was_killed() {
    let mut parking = Parking::new(Some("5"));
    parking.order("keep conn one two");
    parking.order("close");
    parking.order("keep state three");
    parking.succeed(false);
    assert_eq!(parking.given_after("-t"), ["state three"]);
    let why = "the service does not have them open itself";
    let line = format!("supervise: warning: unable to take over 2 of 3 descriptors that were kept for a: {why}\n");
    assert_eq!(parking.errors(), line);
}

#[test]
fn one_open_file_is_kept_once_and_without_a_name_it_is_called_stored() {
    let parking = Parking::new(Some("9"));
    parking.order("keep conn one");
    for _ in 0..3 {
        parking.order("nameless");
    }
    assert_eq!(parking.given_after("-t"), ["conn one"]);
    parking.order("nameless");
    parking.order("keep a:b two");
    assert_eq!(parking.given_after("-t"), ["conn one", "stored two"]);
    assert_eq!(parking.errors(), "");
}

#[test]
fn what_is_removed_does_not_come_back() {
    let parking = Parking::new(Some("4"));
    parking.order("keep conn one two");
    parking.order("keep state three");
    parking.order("remove conn");
    parking.order("remove nothing");
    wait_until("it is closed", || parking.open("one") == 0);
    assert_eq!(parking.given_after("-t"), ["state three"]);
    parking.order("remove state");
    wait_until("it is closed", || parking.open("three") == 0);
    assert!(!parking.is_listed());
    assert_eq!(parking.given_after("-t"), [""; 0]);
}

#[test]
fn without_the_file_nothing_is_kept() {
    let range = "not a number from 1 to 256";
    let cases = [
        (None, ""),
        (Some("0"), range),
        (Some("257"), range),
        (Some("many"), "not a number"),
        (Some(""), "it is empty"),
        (Some("-1"), "negative number"),
        (Some("2 3"), "it holds a blank or a second line"),
        (Some("3\0"), "not a number"),
        (Some("99999999999999999999"), "too large"),
    ];
    testkit::for_each(&cases, |&(most, why)| {
        let parking = Parking::new(most);
        parking.order("keep conn one two");
        parking.order("many conn one 300");
        assert_eq!(["one", "two"].map(|file| parking.open(file)), [0, 0]);
        assert_eq!(parking.given_after("-t"), [""; 0]);
        let line = most.map(|_| format!("supervise: warning: unable to use a/fd-store, taking none: {why}\n"));
        assert_eq!(parking.errors(), line.unwrap_or_default());
        assert!(!parking.is_listed());
    });
}

#[test]
fn no_more_are_kept_than_the_file_says_and_that_is_said_once() {
    let parking = Parking::new(Some("7"));
    for _ in 0..5 {
        parking.order("many conn one 450");
        wait_until("the others are closed", || parking.open("one") == 7);
    }
    let line = "supervise: warning: unable to keep all descriptors of a, closing the others: fd-store allows 7\n";
    assert_eq!(parking.errors(), line);
    assert_eq!(parking.given_after("-t"), ["conn one"; 7]);
    // Fewer from the next start on: what came last is closed.
    parking.order("remove conn");
    parking.order("keep x one two three");
    parking.scratch.write("a/fd-store", "2");
    assert_eq!(parking.given_after("-t"), ["x one", "x two"]);
    std::fs::remove_file(parking.scratch.path("a/fd-store")).expect("it is there");
    assert_eq!(parking.given_after("-t"), [""; 0]);
    wait_until("all are closed", || parking.open("one") == 0);
    assert_eq!(parking.errors(), line);
}

#[test]
fn two_hundred_are_given_back_too() {
    let mut parking = Parking::new(Some("256"));
    parking.order("many conn one 200");
    assert_eq!(parking.given_after("-t"), ["conn one"; 200]);
    parking.succeed(true);
    assert_eq!(parking.given_after("-k"), ["conn one"; 200]);
    assert_eq!(parking.errors(), "");
}

#[test]
fn nothing_is_kept_for_a_service_that_nobody_wants_up() {
    let parking = Parking::with(Some("3"), &[("final-exits", "0,7")]);
    let scratch = &parking.scratch;
    let order = |order: &str| {
        std::fs::rename(scratch.write("order", order), scratch.path("a/order")).expect("a file of ours");
    };
    let endings: [(&str, &dyn Fn()); 4] = [
        ("told to be down", &|| svc(scratch, "-d", "a")),
        ("done", &|| order("exit 0")),
        ("failed", &|| order("exit 7")),
        ("once", &|| {
            svc(scratch, "-o", "a");
            order("exit 3");
        }),
    ];
    for (ending, end) in endings {
        parking.order("keep conn one");
        assert!(parking.is_listed() && parking.open("one") == 1);
        end();
        wait_down(scratch, "a");
        wait_until("it is closed", || parking.open("one") == 0);
        assert!(!parking.is_listed(), "{ending}");
        svc(scratch, "-u", "a");
        parking.wait_ready(0);
        assert_eq!(parking.given(), [""; 0], "{ending}");
    }
}

#[test]
fn nothing_is_left_when_supervise_exits() {
    let mut parking = Parking::new(Some("3"));
    parking.order("keep conn one");
    svc(&parking.scratch, "-x", "a");
    svc(&parking.scratch, "-k", "a");
    let mut supervise = parking.supervise.take().expect("it runs");
    assert_eq!(supervise.end(), 0);
    assert!(!parking.is_listed());
    parking.supervise();
    parking.wait_ready(0);
    assert_eq!(parking.given(), [""; 0]);
}

#[test]
fn a_stranger_keeps_and_removes_nothing() {
    let parking = Parking::new(Some("3"));
    parking.order("keep conn one");
    let socket = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
    socket.connect(parking.scratch.text("a/socket")).expect("it listens");
    let two = std::fs::File::open(parking.scratch.path("a/two")).expect("it is there");
    for text in ["FDSTORE=1\nFDNAME=conn", "FDSTOREREMOVE=1\nFDNAME=conn"] {
        sys::notify::send(socket.as_fd(), text.as_bytes(), &[two.as_fd()]).expect("it is sent");
    }
    // What comes behind that was heard.
    parking.order("keep conn three");
    assert_eq!((parking.open("two"), parking.given_after("-t")), (0, vec!["conn one".into(), "conn three".into()]));
}

#[test]
fn nobody_but_run_gets_them() {
    let parking = Parking::with(Some("3"), &[("health-interval", "100ms")]);
    for program in ["finish", "health"] {
        let note = format!("readlink /proc/self/fd/* >{program}.new; mv {program}.new {program}.fds");
        parking.scratch.script(format!("a/{program}"), &note);
    }
    parking.order("keep conn one two");
    for _ in 0..2 {
        assert_eq!(parking.given_after("-t"), ["conn one", "conn two"]);
    }
    for program in ["finish", "health"] {
        let fds = parking.scratch.path(format!("a/{program}.fds"));
        wait_until("it has run", || fds.exists());
        let open = std::fs::read_to_string(fds).expect("it is there");
        assert!(!open.contains("/one") && !open.contains("/two"), "{program}: {open}");
    }
}

#[test]
fn what_is_in_the_way_of_some_does_not_keep_the_service_down() {
    let parking = Parking::with(Some("3"), &[("notification-fd", "4")]);
    parking.order("keep conn one two three");
    assert_eq!(parking.given_after("-t"), ["conn one"]);
    let why = "descriptor 4 is given to it as something else, see sockets/ and notification-fd";
    let line = format!("supervise: warning: unable to give a all descriptors that are kept for it: {why}\n");
    assert_eq!(parking.errors(), line);
    std::fs::remove_file(parking.scratch.path("a/notification-fd")).expect("it is there");
    assert_eq!(parking.given_after("-t"), ["conn one", "conn two", "conn three"]);
}

#[test]
fn a_list_that_is_left_from_another_time_is_nobodys() {
    let mut parking = Parking::new(Some("3"));
    let supervise = parking.supervise.as_ref().expect("it runs").pid();
    // The service has this file open, but the list is not that of the supervise that is killed.
    parking.order("keep conn one");
    let list = parking.scratch.text("a/supervise/stored");
    parking.order("remove conn");
    let head = format!("stored by {supervise}\n");
    assert!(list.starts_with(&head), "{list}");
    parking.scratch.write("a/supervise/stored", list.replace(&head, "stored by 1\n"));
    parking.succeed(false);
    assert_eq!(parking.given_after("-t"), [""; 0]);
    assert_eq!((parking.errors().as_str(), parking.is_listed()), ("", false));
}
