//! The directories `dependencies.d` and `wants.d`: which other services a start waits for.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{
    Finished, Running, Scratch, finish, holds_for, is_root, needs_program, signal, start, wait_rest, wait_until,
};

use super::super::deploy::helper;
use super::service::{LIVES, User, for_each_user, masked};
use super::world;

/// A `run` that says on descriptor 7 that it is ready as soon as there is a file `go`.
const READY: &str = "echo >>starts; while [ ! -e go ]; do sleep 0.02; done; echo >&7; exec sleep 1000";

const DOWN: &str = "down S seconds, normally up, want up";

/// However busy the machine is. Where nothing tells of changes there is a look each five seconds, but also a warning, and where something does there is none.
const AT_ONCE: Duration = Duration::from_secs(60);

/// A scan directory `scan`, whose supervises are started by hand.
struct Site {
    scratch: Scratch,
    user: User,
    supervises: RefCell<Vec<(String, Running)>>,
}

impl Site {
    fn new(user: User) -> Site {
        let site = Site { scratch: Scratch::new(), user, supervises: RefCell::default() };
        site.mkdir("scan");
        site
    }

    fn mkdir(&self, name: &str) -> PathBuf {
        match self.user {
            User::Own => self.scratch.mkdir(name),
            User::Ordinary => self.scratch.mkdir_given(name),
        }
    }

    /// Makes the service directory `path`, with the body of the script `run` and these other files.
    fn add_at(&self, path: &str, run: &str, files: &[(&str, &str)]) {
        self.mkdir(path);
        self.scratch.service(path, run);
        for (name, contents) in [("starts", ""), ("said", "")].iter().chain(files) {
            let name = format!("{path}/{name}");
            self.scratch.write(&name, contents);
            if self.user == User::Ordinary {
                self.scratch.give(&name);
            }
        }
    }

    fn add(&self, name: &str, run: &str, files: &[(&str, &str)]) {
        self.add_at(&format!("scan/{name}"), run, files);
    }

    /// Makes a service that lives and needs another one.
    fn add_needing(&self, name: &str, needed: &str) {
        self.add(name, LIVES, &[(&format!("dependencies.d/{needed}"), "")]);
    }

    fn put(&self, name: &str, contents: &str) {
        self.scratch.write(Path::new("scan").join(name), contents);
    }

    /// Starts the supervise of a service, in the scan directory.
    fn start(&self, name: &str) {
        self.start_in("scan", name);
    }

    fn start_in(&self, scan: &str, name: &str) {
        let mut command = match self.user {
            User::Own => self.scratch.command("supervise", &[name]),
            User::Ordinary => self.scratch.ordinary("supervise", &[name]),
        };
        command.current_dir(self.scratch.path(scan)).stdin(Stdio::null());
        let running = start(command.stdout(Stdio::null()).stderr(self.err(name)));
        self.supervises.borrow_mut().push((name.to_owned(), running));
        wait_until("a supervise runs", || self.scratch.run("svok", &[&format!("{scan}/{name}")]).code == 0);
    }

    fn err(&self, name: &str) -> File {
        let path = self.scratch.path(format!("{}.err", name.replace('/', "-")));
        OpenOptions::new().create(true).append(true).open(path).expect("a file")
    }

    /// Kills the supervise of a service, and waits for its end.
    fn kill(&self, name: &str) {
        let mut all = self.supervises.borrow_mut();
        let at = all.iter().position(|(known, _)| known == name).expect("it was started");
        let (_, mut running) = all.swap_remove(at);
        running.signal("KILL");
        assert_eq!(running.end(), 1009);
    }

    /// Tells supervise to take down the service and to exit, and waits for that.
    fn leave(&self, name: &str) {
        self.svc("-dx", name);
        let mut all = self.supervises.borrow_mut();
        let at = all.iter().position(|(known, _)| known == name).expect("it was started");
        let (_, mut running) = all.swap_remove(at);
        assert_eq!(running.end(), 0);
    }

    fn svc(&self, letters: &str, name: &str) {
        world::svc(&self.scratch, letters, &format!("scan/{name}"));
    }

    fn wait(&self, options: &[&str], name: &str) -> Finished {
        self.scratch.run("svc", &[options, &[&format!("scan/{name}")]].concat())
    }

    fn upgrade(&self, name: &str) {
        assert_eq!(self.wait(&["--reexec", "--wait=down", "--timeout=10ms"], name).code, 1, "it has heard of it");
    }

    fn svstat(&self, name: &str) -> String {
        masked(&world::svstat(&self.scratch, &format!("scan/{name}")))
    }

    #[track_caller]
    fn wait_svstat(&self, name: &str, expected: &str) {
        wait_until(&format!("svstat says {expected:?} of {name}, not {:?}", self.svstat(name)), || {
            self.svstat(name) == expected
        });
    }

    /// Waits until the start of one service waits for another.
    #[track_caller]
    fn wait_waiting(&self, name: &str, awaited: &str) {
        self.wait_svstat(name, &format!("{DOWN}, waiting for {awaited}"));
        assert_eq!(self.starts(name), 0);
    }

    /// Checks that a service goes on waiting.
    #[track_caller]
    fn waits_on(&self, name: &str, awaited: &str) {
        let expected = format!("{DOWN}, waiting for {awaited}");
        holds_for(Duration::from_millis(300), &format!("{name} waits for {awaited}"), || self.svstat(name) == expected);
    }

    fn starts(&self, name: &str) -> usize {
        world::lines(&self.scratch, &format!("scan/{name}/starts"))
    }

    /// Waits until the `run` of a service has noted so many starts.
    #[track_caller]
    fn wait_starts(&self, name: &str, count: usize) {
        wait_until(&format!("{name} was started {count} times"), || self.starts(name) == count);
    }

    #[track_caller]
    fn wait_up(&self, name: &str) -> u32 {
        world::wait_up(&self.scratch, &format!("scan/{name}"))
    }

    /// Waits until a service is up, which does not take until a look that nothing has asked for.
    #[track_caller]
    fn is_up_at_once(&self, name: &str) -> u32 {
        let begin = Instant::now();
        let pid = self.wait_up(name);
        assert!(begin.elapsed() < AT_ONCE, "{name} was started after {:?}", begin.elapsed());
        assert!(!self.said(name).contains("every 5 seconds"), "{}", self.said(name));
        pid
    }

    fn said(&self, name: &str) -> String {
        self.scratch.text(format!("{name}.err"))
    }

    #[track_caller]
    fn wait_said(&self, name: &str, expected: &str) {
        wait_until(&format!("it is said {expected:?}, not {:?}", self.said(name)), || self.said(name) == expected);
    }
}

#[test]
fn a_start_waits_for_a_service_that_is_linked_and_served_later() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.add_needing("web", "db");
        site.start("web");
        site.wait_waiting("web", "db");
        site.mkdir("sv");
        site.add_at("sv/db", LIVES, &[]);
        symlink("../sv/db", site.scratch.path("scan/db")).expect("a link");
        site.waits_on("web", "db");
        site.start("db");
        site.is_up_at_once("web");
        assert_eq!(site.said("web"), "");
    });
}

#[test]
fn nothing_that_comes_before_run_is_run_before() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.add_needing("web", "db");
        site.scratch.script("scan/web/start", "echo start >>said");
        site.scratch.script("scan/web/control/u", "echo u >>said");
        site.start("web");
        site.wait_waiting("web", "db");
        assert_eq!(site.scratch.text("scan/web/said"), "");
        site.add("db", LIVES, &[]);
        site.start("db");
        site.is_up_at_once("web");
        assert_eq!(site.scratch.text("scan/web/said"), "start\nu\n");
    });
}

/// What a needed service is, and what makes it ready.
type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)], fn(&Site));

#[test]
fn a_needed_service_is_waited_for_whatever_it_is_until_it_is_ready() {
    const ROWS: &[Row] = &[
        ("not ready", READY, &[("notification-fd", "7")], |site| site.put("db/go", "")),
        ("checked", LIVES, &[("check", "")], |site| {
            site.scratch.script("scan/db/check", "exit 0");
        }),
        ("normally down", LIVES, &[("down", "")], |site| site.svc("-u", "db")),
        (
            "failed",
            "echo >>starts; [ -e go ] || exit 7; echo >&7; exec sleep 1000",
            &[("final-exits", "any"), ("notification-fd", "7")],
            |site| {
                site.wait_svstat("db", "down S seconds, normally up, failed: exited 7");
                site.put("db/go", "");
                site.svc("-u", "db");
            },
        ),
        (
            "in the pace",
            "echo >>starts; [ -e go ] || exit 7; echo >&7; exec sleep 1000",
            &[("backoff", "1h"), ("notification-fd", "7")],
            |site| {
                wait_until("it is in a long pace", || site.svstat("db").contains("next start"));
                site.put("db/go", "");
                site.svc("-u", "db");
            },
        ),
        (
            "a one-shot",
            "echo >>starts; while [ ! -e go ]; do sleep 0.02; done; exit 0",
            &[("final-exits", "any"), ("notification-fd", "7")],
            |site| site.put("db/go", ""),
        ),
    ];
    for_each_user(|user| {
        testkit::for_each(ROWS, |&(row, run, files, ready)| {
            let site = Site::new(user);
            site.add("db", run, files);
            site.add_needing("web", "db");
            site.start("web");
            site.wait_waiting("web", "db");
            site.start("db");
            site.waits_on("web", "db");
            ready(&site);
            let begin = Instant::now();
            site.wait_up("web");
            assert!(begin.elapsed() < AT_ONCE || row == "checked", "{row}: after {:?}", begin.elapsed());
        });
    });
}

#[test]
fn a_service_that_its_start_has_set_up_is_ready() {
    let site = Site::new(User::Own);
    site.add_needing("web", "setup");
    site.mkdir("scan/setup");
    site.scratch.script("scan/setup/start", "while [ ! -e go ]; do sleep 0.02; done");
    site.start("setup");
    site.start("web");
    site.wait_waiting("web", "setup");
    site.put("setup/go", "");
    site.is_up_at_once("web");
}

/// Makes a directory that only names other services.
fn add_bundle(site: &Site, name: &str, names: &[&str]) {
    let dir = site.mkdir(&format!("scan/{name}"));
    for name in names {
        site.scratch.write(dir.join(name), "");
    }
}

const DONE: &str = "down S seconds, normally up, done";

#[test]
fn a_directory_that_only_names_others_is_done_when_they_are_ready() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.add("db", READY, &[("notification-fd", "7")]);
        site.add("cache", READY, &[("notification-fd", "7")]);
        add_bundle(&site, "all", &["dependencies.d/db", "wants.d/cache"]);
        site.add_needing("web", "all");
        ["db", "cache", "all", "web"].into_iter().for_each(|name| site.start(name));
        site.wait_waiting("web", "all");
        let waiting = format!("{DOWN}, waiting for");
        let svup = || site.scratch.run("svup", &["scan/all"]).code;
        site.wait_svstat("all", &format!("{waiting} db"));
        assert_eq!(svup(), 100);
        site.put("db/go", "");
        site.wait_svstat("all", &format!("{waiting} cache"));
        site.put("cache/go", "");
        let pid = site.is_up_at_once("web");
        assert_eq!((site.svstat("all").as_str(), svup()), (DONE, 0));
        assert_eq!(site.wait(&["--wait=ready", "--timeout=0"], "all").code, 0);
        let supervise = testkit::record(site.scratch.path("scan/all")).expect("there is one").observed.supervise.pid;
        assert_eq!(testkit::children(supervise), [0_u32; 0]);
        // It stays so, whatever becomes of the others or of its supervise.
        site.svc("-d", "db");
        site.wait_svstat("db", "down S seconds, normally up");
        site.kill("all");
        site.start("all");
        site.wait_svstat("all", DONE);
        assert_eq!(site.wait(&["--reexec", "--wait=ready"], "all").code, 0);
        site.wait_svstat("all", DONE);
        // Until it is told to be down, or up again.
        site.svc("-d", "all");
        site.wait_svstat("all", "down S seconds, normally up");
        signal(pid, "KILL");
        site.wait_svstat("web", &format!("{waiting} all"));
        site.svc("-u", "all");
        site.wait_svstat("all", &format!("{waiting} db"));
        site.svc("-u", "db");
        site.is_up_at_once("web");
        assert_eq!((site.svstat("all"), site.said("all")), (DONE.to_owned(), String::new()));
        site.leave("all");
    });
}

#[test]
fn one_that_names_nobody_or_only_wants_somebody_is_done_at_once() {
    let site = Site::new(User::Own);
    add_bundle(&site, "wants", &["wants.d/nobody"]);
    site.mkdir("scan/nothing/dependencies.d");
    for name in ["wants", "nothing"] {
        site.start(name);
        site.wait_svstat(name, DONE);
        assert_eq!(site.said(name), "");
    }
}

#[test]
fn a_service_that_has_lost_its_run_and_a_logger_without_one_are_not_done() {
    let site = Site::new(User::Own);
    site.add("db", LIVES, &[]);
    site.add_needing("web", "db");
    ["db", "web"].into_iter().for_each(|name| site.start(name));
    let [run, away] = ["run", "away"].map(|name| site.scratch.path("scan/web").join(name));
    let pid = site.is_up_at_once("web");
    fs::rename(&run, &away).expect("it is there");
    signal(pid, "KILL");
    site.wait_svstat("web", &format!("{DOWN}, unable to start run: file does not exist"));
    fs::rename(&away, &run).expect("it is there");
    site.is_up_at_once("web");
    add_bundle(&site, "db/log", &["dependencies.d/web"]);
    site.start("db/log");
    site.wait_svstat("db/log", &format!("{DOWN}, unable to start run: file does not exist"));
}

#[test]
fn svscan_starts_what_only_names_others_when_its_directory_has_rested() {
    let scratch = Scratch::new();
    for name in ["all", "web"] {
        scratch.write(format!("scan/{name}/dependencies.d/db"), "");
    }
    let _svscan = scratch.start("svscan", "svscan", &["scan"]);
    // Its `run` may come.
    let svok = |name: &str| scratch.run("svok", &[&format!("scan/{name}")]).code;
    holds_for(Duration::from_millis(500), "it may be filled", || svok("web") == 100);
    scratch.service("ready", LIVES);
    fs::rename(scratch.path("ready/run"), scratch.path("scan/web/run")).expect("it can be moved");
    let svstat = |name: &str| masked(&world::svstat(&scratch, name));
    wait_until("it waits", || svstat("scan/all") == format!("{DOWN}, waiting for db"));
    scratch.service("db", LIVES);
    fs::rename(scratch.path("db"), scratch.path("scan/db")).expect("it can be moved");
    wait_until("it is done", || svstat("scan/all") == DONE);
    wait_until("it is up", || svstat("scan/web").starts_with("up "));
}

#[test]
fn a_wanted_service_is_waited_for_only_if_it_is_coming() {
    for_each_user(|user| {
        let wanting = |run: &str, files: &[(&str, &str)]| {
            let site = Site::new(user);
            site.add("cache", run, files);
            site.add("web", LIVES, &[("wants.d/cache", "")]);
            site
        };
        // None there.
        let site = Site::new(user);
        site.add("web", LIVES, &[("wants.d/cache", "")]);
        site.start("web");
        site.is_up_at_once("web");
        // Down, failed, up.
        for files in [&[("down", "")][..], &[("final-exits", "any")], &[]] {
            let site = wanting(if files.is_empty() { LIVES } else { "exit 7" }, files);
            site.start("cache");
            match files {
                [("final-exits", _)] => site.wait_svstat("cache", "down S seconds, normally up, failed: exited 7"),
                [] => drop(site.wait_up("cache")),
                _ => {}
            }
            site.start("web");
            site.is_up_at_once("web");
        }
        // Not ready yet.
        let site = wanting(READY, &[("notification-fd", "7")]);
        site.start("cache");
        site.wait_up("cache");
        site.start("web");
        site.wait_waiting("web", "cache");
        site.put("cache/go", "");
        site.is_up_at_once("web");
        // Nor in time.
        let site = wanting(READY, &[("notification-fd", "7"), ("timeout-ready", "2s")]);
        site.start("cache");
        site.wait_up("cache");
        let begin = Instant::now();
        site.start("web");
        site.wait_up("web");
        assert!(begin.elapsed() > Duration::from_millis(1500), "{:?}", begin.elapsed());
        // No supervise runs it: svscan may be about to start one.
        let site = wanting(LIVES, &[]);
        site.start("web");
        site.wait_up("web");
    });
}

#[test]
fn a_running_service_is_left_alone_and_a_crash_waits_again() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.add("db", LIVES, &[]);
        site.add_needing("web", "db");
        ["db", "web"].into_iter().for_each(|name| site.start(name));
        let pid = site.is_up_at_once("web");
        site.wait_starts("web", 1);
        site.svc("-d", "db");
        site.wait_svstat("db", "down S seconds, normally up");
        holds_for(Duration::from_millis(300), "it is left alone", || site.wait_up("web") == pid);
        signal(pid, "KILL");
        site.wait_svstat("web", &format!("{DOWN}, waiting for db"));
        assert_eq!(site.starts("web"), 1);
        site.svc("-u", "db");
        site.is_up_at_once("web");
        site.wait_starts("web", 2);
        // No start was counted that was none.
        assert_eq!(testkit::record(site.scratch.path("scan/web")).map(|it| it.decided.pace.starts), Some(2));
        // A new copy waits for nobody: the service runs already.
        site.svc("-d", "db");
        site.wait_svstat("db", "down S seconds, normally up");
        site.put("web/warmup", "1ms");
        assert_eq!(site.wait(&["-R", "--wait=replaced"], "web").code, 0);
    });
}

#[test]
fn a_service_that_is_removed_and_made_anew_is_still_waited_for() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.add("db", READY, &[("notification-fd", "7")]);
        site.add_needing("web", "db");
        ["db", "web"].into_iter().for_each(|name| site.start(name));
        site.wait_waiting("web", "db");
        for round in 0..3 {
            site.leave("db");
            fs::remove_dir_all(site.scratch.path("scan/db")).expect("it is there");
            site.waits_on("web", "db");
            site.add("db", READY, &[("notification-fd", "7")]);
            if round > 0 {
                site.start("db");
                site.waits_on("web", "db");
            } else {
                site.start("db");
            }
        }
        site.put("db/go", "");
        site.is_up_at_once("web");
    });
}

#[test]
fn a_link_that_leads_nowhere_for_a_while_is_waited_for() {
    for_each_user(|user| {
        let site = Site::new(user);
        symlink("../sv/db", site.scratch.path("scan/db")).expect("a link");
        site.add_needing("web", "db");
        site.start("web");
        site.wait_waiting("web", "db");
        site.mkdir("sv");
        site.add_at("sv/db", READY, &[("notification-fd", "7")]);
        site.start("db");
        site.wait_up("db");
        site.leave("db");
        fs::rename(site.scratch.path("sv/db"), site.scratch.path("sv/old")).expect("it is there");
        site.waits_on("web", "db");
        site.add_at("sv/db", LIVES, &[]);
        site.start("db");
        site.is_up_at_once("web");
    });
}

#[test]
fn it_waits_on_whatever_becomes_of_either_supervise() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.add("db", READY, &[("notification-fd", "7")]);
        site.add_needing("web", "db");
        ["db", "web"].into_iter().for_each(|name| site.start(name));
        site.wait_waiting("web", "db");
        let since = |site: &Site| testkit::record(site.scratch.path("scan/web")).and_then(|record| record.decided.gate);
        let waited = since(&site).expect("it waits");
        for (name, upgrade) in [("web", false), ("db", false), ("web", true), ("db", true), ("web", false)] {
            if upgrade {
                site.upgrade(name);
            } else {
                site.kill(name);
                site.start(name);
            }
            site.waits_on("web", "db");
            assert_eq!(since(&site), Some(waited), "it waits since then");
        }
        site.put("db/go", "");
        site.is_up_at_once("web");
        ["web", "db"].into_iter().for_each(|name| site.wait_starts(name, 1));
    });
}

#[test]
fn a_service_that_got_ready_while_nobody_supervised_it_is_ready_when_it_is_taken_over() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.add("db", LIVES, &[]);
        site.add_needing("web", "db");
        site.start("db");
        let pid = site.wait_up("db");
        site.kill("db");
        site.start("web");
        site.wait_waiting("web", "db");
        site.start("db");
        site.is_up_at_once("web");
        assert_eq!(site.wait_up("db"), pid);
    });
}

#[test]
fn down_and_exit_end_the_wait_and_up_and_once_do_not() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.add_needing("web", "db");
        site.start("web");
        site.wait_waiting("web", "db");
        for letters in ["-u", "-o", "-R", "-u"] {
            site.svc(letters, "web");
            holds_for(Duration::from_millis(100), "it waits", || site.svstat("web").ends_with(", waiting for db"));
        }
        site.svc("-d", "web");
        site.wait_svstat("web", "down S seconds, normally up");
        site.svc("-o", "web");
        site.wait_svstat("web", "down S seconds, normally up, waiting for db");
        site.kill("web");
        site.start("web");
        site.wait_svstat("web", "down S seconds, normally up, waiting for db");
        site.add("db", LIVES, &[]);
        site.start("db");
        let pid = site.is_up_at_once("web");
        site.wait_starts("web", 1);
        site.leave("db");
        signal(pid, "KILL");
        site.wait_svstat("web", "down S seconds, normally up");
        assert_eq!(site.starts("web"), 1, "it was started once");
        site.svc("-u", "web");
        site.wait_svstat("web", &format!("{DOWN}, waiting for db"));
        site.svc("-x", "web");
        let (_, mut supervise) = site.supervises.borrow_mut().pop().expect("it was started");
        assert_eq!(supervise.end(), 0);
    });
}

#[test]
fn a_client_that_waits_is_told_what_the_service_waits_for() {
    let site = Site::new(User::Own);
    site.add_needing("web", "db");
    site.start("web");
    let told = site.wait(&["-u", "--wait=ready", "--timeout=200ms"], "web");
    let line = "svc: warning: unable to wait for scan/web to be ready: timed out, it waits for db\n";
    assert_eq!((told.code, told.err().as_str()), (1, line));
    // Somebody who looks on is told after a second.
    if let Some(python) = needs_program("python3") {
        let mut command = Command::new(python);
        command.args(["-c", "import pty, sys; pty.spawn(sys.argv[1:])"]).arg(site.scratch.suite().path("svc"));
        command.args(["--wait=ready", "--timeout=2s", "scan/web"]).current_dir(site.scratch.root());
        let shown = finish(&mut command).out().replace('\r', "");
        assert_eq!(shown, format!("svc: waiting for scan/web to be ready: it waits for db\n{line}"));
    }
    let seconds = site.scratch.run("svstat", &["scan/web"]).out();
    assert!(seconds.ends_with(", normally up, want up, waiting for db\n"), "{seconds}");
}

#[test]
fn the_last_name_is_let_go_of_when_its_file_is_removed() {
    for_each_user(|user| {
        for whole in [false, true] {
            let site = Site::new(user);
            site.add_needing("web", "db");
            site.start("web");
            site.wait_waiting("web", "db");
            let directory = site.scratch.path("scan/web/dependencies.d");
            if whole {
                fs::remove_dir_all(directory).expect("it is there");
            } else {
                fs::remove_file(directory.join("db")).expect("it is there");
            }
            site.is_up_at_once("web");
        }
    });
}

#[test]
fn several_are_waited_for_one_after_the_other() {
    let site = Site::new(User::Own);
    site.add("web", LIVES, &[("dependencies.d/a", ""), ("dependencies.d/b", ""), ("wants.d/c", "")]);
    site.add("c", READY, &[("notification-fd", "7")]);
    site.start("c");
    site.start("web");
    site.wait_waiting("web", "a");
    site.add("b", LIVES, &[]);
    site.start("b");
    site.waits_on("web", "a");
    site.add("a", LIVES, &[]);
    site.start("a");
    site.wait_waiting("web", "c");
    site.put("c/go", "");
    site.is_up_at_once("web");
}

#[test]
fn the_time_for_what_is_only_wanted_begins_when_all_that_is_needed_is_ready() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.add("db", READY, &[("notification-fd", "7")]);
        site.add("cache", READY, &[("notification-fd", "7"), ("timeout-ready", "2s")]);
        site.add("web", LIVES, &[("dependencies.d/db", ""), ("wants.d/cache", "")]);
        ["db", "cache", "web"].iter().for_each(|name| site.start(name));
        site.wait_waiting("web", "db");
        holds_for(Duration::from_secs(3), "it waits for what it needs", || site.starts("web") == 0);
        let begin = Instant::now();
        site.put("db/go", "");
        site.wait_up("web");
        assert!(begin.elapsed() > Duration::from_millis(1500), "{:?}", begin.elapsed());
    });
}

#[test]
fn where_nothing_can_be_watched_it_is_looked_every_five_seconds_which_is_said_once() {
    // Root may read everything.
    let site = Site::new(if is_root() { User::Ordinary } else { User::Own });
    site.add_needing("web", "db");
    let allow = |mode| {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(site.scratch.path("scan"), permissions).expect("it is ours");
    };
    allow(0o311);
    site.start("web");
    site.wait_waiting("web", "db");
    let said =
        "supervise: warning: unable to watch for web what becomes of db, looking every 5 seconds: access denied\n";
    site.wait_said("web", said);
    site.add("db", LIVES, &[]);
    site.start("db");
    site.wait_up("web");
    assert_eq!(site.said("web"), said);
    // So that it can be removed.
    allow(0o755);
}

#[test]
fn what_was_said_is_said_again_when_it_comes_back() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.add_needing("a", "b");
        site.add_needing("b", "a");
        site.start("b");
        site.start("a");
        let mut pid = site.is_up_at_once("a");
        let cycle = "supervise: warning: a: not waiting for b, which waits for a\n";
        let mut restart = || {
            signal(pid, "KILL");
            wait_until("it is started again", || site.wait_up("a") != pid);
            pid = site.wait_up("a");
        };
        fs::remove_file(site.scratch.path("scan/a/dependencies.d/b")).expect("it is there");
        restart();
        assert_eq!(site.said("a"), cycle);
        site.put("a/dependencies.d/b", "");
        restart();
        assert_eq!(site.said("a"), cycle.repeat(2));
        // A file in the place of the directory.
        let directory = site.scratch.path("scan/a/dependencies.d");
        let refused = "supervise: warning: unable to start a: dependencies.d: not a directory\n";
        fs::remove_dir_all(&directory).expect("it is there");
        for times in 1..=2 {
            assert_eq!(site.wait(&["-d", "--wait=down"], "a").code, 0);
            fs::write(&directory, "").expect("it is ours");
            site.svc("-u", "a");
            site.wait_said("a", &(cycle.repeat(2) + &refused.repeat(times)));
            fs::remove_file(&directory).expect("it is there");
            site.wait_up("a");
        }
    });
}

#[test]
fn a_wanted_service_is_coming_while_its_pace_runs_and_is_not_when_it_is_told_to_be_down() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.add("cache", "exit 1", &[("backoff", "1h"), ("notification-fd", "7")]);
        site.add("web", LIVES, &[("wants.d/cache", "")]);
        site.start("cache");
        site.start("web");
        site.wait_waiting("web", "cache");
        site.waits_on("web", "cache");
        site.svc("-d", "cache");
        site.is_up_at_once("web");
    });
}

#[test]
fn one_that_does_not_get_ready_in_time_is_waited_for_all_the_same_where_it_is_needed() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.add("db", READY, &[("notification-fd", "7"), ("timeout-ready", "200ms")]);
        site.add_needing("web", "db");
        site.start("db");
        site.start("web");
        wait_until("it was started again and again", || site.starts("db") >= 3);
        site.wait_waiting("web", "db");
        site.put("db/timeout-ready", "0");
        site.put("db/go", "");
        site.is_up_at_once("web");
    });
}

#[test]
fn being_up_is_enough_where_nothing_says_when_a_service_is_ready_and_one_that_tells_is_waited_for() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.add("plain", LIVES, &[("warmup", "1h")]);
        let tells = format!("while [ ! -e go ]; do sleep 0.02; done; {}; {LIVES}", helper::run("tell", "READY=1"));
        site.add("telling", &tells, &[("sd-notify", "")]);
        site.add("a", LIVES, &[("dependencies.d/plain", "")]);
        site.add("b", LIVES, &[]);
        // An entry may be a link, wherever that leads.
        site.mkdir("scan/b/dependencies.d");
        symlink("nowhere", site.scratch.path("scan/b/dependencies.d/telling")).expect("a link");
        ["plain", "telling", "a", "b"].iter().for_each(|name| site.start(name));
        site.is_up_at_once("a");
        site.wait_waiting("b", "telling");
        site.put("telling/go", "");
        site.is_up_at_once("b");
    });
}

#[test]
fn one_that_is_told_to_be_down_while_it_waits_to_be_started_again_takes_down_what_start_has_set_up() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.add("db", LIVES, &[]);
        site.add("web", LIVES, &[("dependencies.d/db", ""), ("ends", "")]);
        for script in ["start", "stop"] {
            site.scratch.script(format!("scan/web/{script}"), &format!("echo {script} >>ends"));
        }
        site.start("db");
        site.start("web");
        let pid = site.wait_up("web");
        assert_eq!(site.wait(&["-d", "--wait=down"], "db").code, 0);
        signal(pid, "KILL");
        site.wait_svstat("web", &format!("{DOWN}, waiting for db"));
        assert_eq!(site.scratch.text("scan/web/ends"), "start\n");
        assert_eq!(site.wait(&["-d", "--wait=down"], "web").code, 0);
        assert_eq!(site.scratch.text("scan/web/ends"), "start\nstop\n");
    });
}

#[test]
fn of_ten_thousand_names_a_thousand_are_waited_for() {
    let site = Site::new(User::Own);
    site.add("web", LIVES, &[]);
    let directory = site.mkdir("scan/web/dependencies.d");
    (0..10_000).for_each(|number| fs::write(directory.join(number.to_string()), "").expect("a file"));
    site.start("web");
    wait_until("it waits for one of them", || site.svstat("web").starts_with(&format!("{DOWN}, waiting for ")));
    assert_eq!(site.said("web"), "supervise: warning: taking 1000 names in web/dependencies.d: there are more\n");
    fs::remove_dir_all(&directory).expect("it is there");
    site.wait_up("web");
}

#[test]
fn a_cycle_is_said_once_and_broken() {
    for_each_user(|user| {
        for names in [&["a", "b"][..], &["a", "b", "c"]] {
            let site = Site::new(user);
            for (at, name) in names.iter().enumerate() {
                site.add_needing(name, names[(at + 1) % names.len()]);
            }
            names.iter().rev().for_each(|name| site.start(name));
            let line = |at: usize| {
                let way: Vec<&str> = names.iter().cycle().skip(at + 1).take(names.len()).copied().collect();
                format!("supervise: warning: {}: not waiting for {}\n", names[at], way.join(", which waits for "))
            };
            for (at, name) in names.iter().enumerate() {
                site.is_up_at_once(name);
                assert_eq!(site.said(name), line(at));
            }
            for _ in 0..2 {
                let pid = site.wait_up("a");
                signal(pid, "KILL");
                wait_until("it is started again", || site.wait_up("a") != pid);
            }
            assert_eq!(site.said("a"), line(0), "once");
        }
        // Two cycles with a service that is in both, and one that is in none.
        let site = Site::new(user);
        site.add("a", LIVES, &[("dependencies.d/b", ""), ("dependencies.d/c", "")]);
        ["b", "c", "d"].into_iter().for_each(|name| site.add_needing(name, "a"));
        ["d", "c", "b", "a"].into_iter().for_each(|name| site.start(name));
        for name in ["a", "b", "c", "d"] {
            site.is_up_at_once(name);
        }
        let line =
            |name, other| format!("supervise: warning: {name}: not waiting for {other}, which waits for {name}\n");
        assert_eq!(site.said("a"), line("a", "b") + &line("a", "c"));
        assert_eq!(["b", "c", "d"].map(|name| site.said(name)), [line("b", "a"), line("c", "a"), String::new()]);
        // One that is only wanted is the one that is not waited for.
        let site = Site::new(user);
        site.add_needing("a", "b");
        site.add("b", LIVES, &[("wants.d/a", "")]);
        site.start("a");
        site.wait_waiting("a", "b");
        site.start("b");
        site.is_up_at_once("a");
        assert_eq!(site.said("b"), "supervise: warning: b: not waiting for a, which waits for b\n");
        assert_eq!(site.said("a"), "");
    });
}

#[test]
fn services_that_get_ready_only_together_come_up() {
    let site = Site::new(User::Own);
    for (name, other) in [("a", "b"), ("b", "a")] {
        let run = format!("echo >up; while [ ! -e ../{other}/up ]; do sleep 0.02; done; echo >&7; exec sleep 1000");
        site.add(name, &run, &[("notification-fd", "7"), (&format!("dependencies.d/{other}"), "")]);
    }
    ["b", "a"].into_iter().for_each(|name| site.start(name));
    for name in ["a", "b"] {
        assert_eq!(site.wait(&["--wait=ready", "--timeout=60s"], name).code, 0, "{}", site.svstat(name));
    }
}

#[test]
fn a_cycle_that_is_closed_while_one_waits_holds_nobody() {
    let site = Site::new(User::Own);
    site.add_needing("web", "db");
    site.start("web");
    site.wait_waiting("web", "db");
    site.add_needing("db", "web");
    site.start("db");
    for name in ["db", "web"] {
        site.is_up_at_once(name);
    }
    assert_eq!(site.said("db"), "supervise: warning: db: not waiting for web, which waits for db\n");
    assert_eq!(site.said("web"), "supervise: warning: web: not waiting for db, which waits for web\n");
}

#[test]
fn a_cycle_is_said_too_where_the_start_has_waited_for_a_name_before_it() {
    let site = Site::new(User::Own);
    site.add("web", LIVES, &[("dependencies.d/db", ""), ("dependencies.d/peer", "")]);
    site.add_needing("peer", "web");
    site.start("peer");
    site.is_up_at_once("peer");
    site.start("web");
    site.wait_waiting("web", "db");
    site.add("db", LIVES, &[]);
    site.start("db");
    site.is_up_at_once("web");
    assert_eq!(site.said("web"), "supervise: warning: web: not waiting for peer, which waits for web\n");
}

#[test]
fn names_that_are_none_are_ignored_and_others_are_shown_as_text() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.add(
            "web",
            LIVES,
            &[("dependencies.d/web", ""), ("dependencies.d/.hidden", ""), ("dependencies.d/a\nb", "")],
        );
        site.start("web");
        site.is_up_at_once("web");
        let lines = "supervise: warning: ignoring web/dependencies.d/a\\nb: no service has such a name\n\
                     supervise: warning: ignoring web/dependencies.d/web: it is this service itself\n";
        site.wait_said("web", lines);
        let long = "x".repeat(255);
        for (name, shown) in [(&b"db\xff\x1b"[..], "db\\xff\\x1b"), (long.as_bytes(), &*format!("{}...", &long[..61]))]
        {
            let site = Site::new(user);
            site.add("web", LIVES, &[]);
            let directory = site.scratch.mkdir("scan/web/dependencies.d");
            fs::write(directory.join(OsStr::from_bytes(name)), "").expect("a file");
            site.start("web");
            site.wait_waiting("web", shown);
        }
    });
}

#[test]
fn no_more_than_a_thousand_are_taken() {
    let site = Site::new(User::Own);
    site.add("web", LIVES, &[]);
    let directory = site.scratch.mkdir("scan/web/wants.d");
    (0..1100).for_each(|number| fs::write(directory.join(format!("none-{number}")), "").expect("a file"));
    site.start("web");
    site.wait_up("web");
    assert_eq!(site.said("web"), "supervise: warning: taking 1000 names in web/wants.d: there are more\n");
}

#[test]
fn what_cannot_be_read_holds_the_start_back_only_where_others_are_needed() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.add("web", LIVES, &[("dependencies.d", "")]);
        site.start("web");
        site.wait_svstat("web", &format!("{DOWN}, dependencies.d: not a directory"));
        let line = "supervise: warning: unable to start web: dependencies.d: not a directory\n";
        assert_eq!(site.said("web"), line);
        fs::remove_file(site.scratch.path("scan/web/dependencies.d")).expect("it is there");
        site.is_up_at_once("web");
        let site = Site::new(user);
        site.add("web", LIVES, &[("wants.d", "")]);
        site.start("web");
        site.is_up_at_once("web");
        let line = "supervise: warning: unable to read web/wants.d, going on without: not a directory\n";
        assert_eq!(site.said("web"), line);
        // Root may read everything.
        if user == User::Own && is_root() {
            return;
        }
        let site = Site::new(user);
        site.add_needing("web", "db");
        let directory = site.scratch.path("scan/web/dependencies.d");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o000)).expect("it is ours");
        site.start("web");
        site.wait_svstat("web", &format!("{DOWN}, dependencies.d: access denied"));
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("it is ours");
        site.wait_waiting("web", "db");
    });
}

#[test]
fn the_scan_directory_may_be_renamed_and_the_service_be_linked_from_elsewhere() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.mkdir("sv");
        site.add_at("sv/web", LIVES, &[("dependencies.d/db", "")]);
        // One of this name stands beside it, and is another one.
        site.add_at("sv/db", LIVES, &[]);
        symlink("../sv/web", site.scratch.path("scan/web")).expect("a link");
        site.start_in("sv", "db");
        site.start("web");
        site.wait_waiting("web", "db");
        let [scan, moved] = ["scan", "moved"].map(|name| site.scratch.path(name));
        fs::rename(&scan, &moved).expect("it is ours");
        site.mkdir("scan");
        site.add("db", LIVES, &[]);
        site.start("db");
        let web = |site: &Site| masked(&world::svstat(&site.scratch, "moved/web"));
        let waits = format!("{DOWN}, waiting for db");
        holds_for(Duration::from_millis(300), "it waits", || web(&site) == waits);
        // An upgrade keeps the descriptor.
        let sent = site.scratch.run("svc", &["--reexec", "--wait=down", "--timeout=10ms", "moved/web"]);
        assert_eq!(sent.code, 1);
        holds_for(Duration::from_millis(300), "it waits", || web(&site) == waits);
        site.add_at("moved/db", LIVES, &[]);
        site.start_in("moved", "db");
        let begin = Instant::now();
        world::wait_up(&site.scratch, "moved/web");
        assert!(begin.elapsed() < AT_ONCE);
    });
}

#[test]
fn a_logger_waits_for_nobody() {
    let site = Site::new(User::Own);
    site.add("web", LIVES, &[]);
    site.add("web/log", LIVES, &[("dependencies.d/db", "")]);
    site.start("web/log");
    site.is_up_at_once("web/log");
    let line = "supervise: warning: ignoring web/log/dependencies.d: a logger waits for no other service\n";
    assert_eq!(site.said("web-log"), line);
}

#[test]
fn the_files_of_supervise_may_be_elsewhere() {
    for relative in [false, true] {
        let site = Site::new(User::Own);
        let state = if relative { PathBuf::from("state") } else { site.scratch.mkdir("state") };
        let start_there = |name: &str| {
            let mut command = site.scratch.command("supervise", &[name]);
            command.current_dir(site.scratch.path("scan")).env("SUPERVISEDIR", &state).stdin(Stdio::null());
            start(command.stdout(Stdio::null()).stderr(site.err(name)))
        };
        let is_up = |name: &str| {
            let mut command = site.scratch.command("svstat", &[&format!("scan/{name}")]);
            testkit::finish(command.env("SUPERVISEDIR", &state)).out().contains(": up (pid ")
        };
        site.add("db", READY, &[("notification-fd", "7")]);
        site.add_needing("web", "db");
        let _web = start_there("web");
        let _db = start_there("db");
        wait_until("db is up", || is_up("db"));
        holds_for(Duration::from_millis(300), "it waits", || !is_up("web"));
        site.put("db/go", "");
        let begin = Instant::now();
        wait_until("web is up", || is_up("web"));
        assert!(begin.elapsed() < AT_ONCE, "relative: {relative}");
    }
}

impl Site {
    /// The lines of `svstat --order`, without the times.
    fn order(&self, names: &[&str]) -> Vec<String> {
        let dirs: Vec<String> = names.iter().map(|name| format!("scan/{name}")).collect();
        let words: Vec<&str> = std::iter::once("--order").chain(dirs.iter().map(String::as_str)).collect();
        let shown = self.scratch.run("svstat", &words);
        assert_eq!((shown.code, shown.err().as_str()), (0, ""));
        shown.out().lines().map(masked).collect()
    }

    /// What `svstat --order` says of a service.
    fn waited(&self, name: &str) -> String {
        let line = self.scratch.run("svstat", &["--order", &format!("scan/{name}")]).out();
        line.strip_prefix(&format!("scan/{name}: ")).expect("its name").trim_end().to_owned()
    }
}

/// The seconds in a text of `svstat --order`.
fn seconds(text: &str) -> f64 {
    text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no time in {text}"))
}

#[test]
fn the_order_of_a_boot_is_shown_with_the_longest_chain_first() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.add("db", READY, &[("notification-fd", "7")]);
        site.add("app", READY, &[("notification-fd", "7"), ("dependencies.d/db", "")]);
        // What comes before `run` is waited with, too.
        site.scratch.script("scan/app/start", "exit 0");
        site.add_needing("web", "app");
        add_bundle(&site, "all", &["dependencies.d/web"]);
        site.add("lone", LIVES, &[]);
        site.add("idle", LIVES, &[]);
        let begin = Instant::now();
        // Whoever begins to wait first waits longest.
        for (name, awaited) in [("all", "web"), ("web", "app"), ("app", "db")] {
            site.start(name);
            site.wait_svstat(name, &format!("{DOWN}, waiting for {awaited}"));
        }
        ["db", "lone"].into_iter().for_each(|name| site.start(name));
        let names = ["idle", "lone", "db", "app", "web", "all", "none"];
        let rest = [
            "scan/lone: waited for nothing",
            "scan/db: waited for nothing",
            "scan/idle: unable to open supervise/ok: file does not exist",
            "scan/none: unable to chdir: file does not exist",
        ];
        let lines = |doing: &str| {
            let chain = [("all", "web"), ("web", "app"), ("app", "db")];
            let chain = chain.map(|(name, awaited)| format!("scan/{name}: {doing} S seconds for {awaited}"));
            chain.into_iter().chain(rest.map(str::to_owned)).collect::<Vec<String>>()
        };
        assert_eq!(site.order(&names), lines("waiting"));
        let least = seconds(&site.waited("app"));
        for name in ["db", "app"] {
            site.put(&format!("{name}/go"), "");
        }
        site.wait_svstat("all", DONE);
        let most = begin.elapsed().as_secs_f64();
        assert_eq!(site.order(&names), lines("waited"));
        let waited = ["all", "web", "app"].map(|name| seconds(&site.waited(name)));
        assert!(most >= waited[0] && waited.is_sorted_by(|a, b| a >= b) && waited[2] >= least, "{waited:?}");
        // It is a fact of the start, and does not grow.
        assert_eq!(["all", "web", "app"].map(|name| seconds(&site.waited(name))), waited);
    });
}

#[test]
fn the_last_wait_is_known_until_another_start_waits_and_to_every_successor() {
    for_each_user(|user| {
        let site = Site::new(user);
        site.add("db", LIVES, &[]);
        site.add_needing("web", "db");
        site.start("web");
        site.wait_waiting("web", "db");
        assert_eq!(masked(&site.waited("web")), "waiting S seconds for db");
        site.start("db");
        let pid = site.is_up_at_once("web");
        let waited = site.waited("web");
        assert_eq!(masked(&waited), "waited S seconds for db");
        // A restart that need not wait.
        signal(pid, "KILL");
        wait_until("it is started again", || site.wait_up("web") != pid);
        assert_eq!(site.waited("web"), waited);
        for upgrade in [false, true, false] {
            if upgrade {
                site.upgrade("web");
                assert_eq!(site.wait(&["--wait=up"], "web").code, 0);
            } else {
                site.kill("web");
                site.start("web");
            }
            assert_eq!(site.waited("web"), waited, "upgrade: {upgrade}");
        }
        // One that waits for another service, also over a kill in the middle of it.
        site.put("web/dependencies.d/cache", "");
        let pid = site.wait_up("web");
        signal(pid, "KILL");
        site.wait_svstat("web", &format!("{DOWN}, waiting for cache"));
        let least = seconds(&site.waited("web"));
        site.kill("web");
        site.start("web");
        site.wait_svstat("web", &format!("{DOWN}, waiting for cache"));
        let later = site.waited("web");
        assert!(masked(&later) == "waiting S seconds for cache" && seconds(&later) >= least, "{later}, {least}");
        site.add("cache", LIVES, &[]);
        site.start("cache");
        site.is_up_at_once("web");
        let last = site.waited("web");
        assert!(masked(&last) == "waited S seconds for cache" && seconds(&last) >= seconds(&later), "{last}, {later}");
        // A record of an older release does not tell.
        site.kill("web");
        testkit::change_record(site.scratch.path("scan/web"), |record| record.decided.waited = None);
        site.start("web");
        assert_eq!(site.waited("web"), "waited for nothing");
        assert_eq!(site.said("web"), "");
    });
}

#[test]
fn a_wait_that_is_called_off_is_none_and_a_long_name_is_shown_as_far_as_it_goes() {
    let site = Site::new(User::Own);
    let long = "x".repeat(100);
    site.add("db", LIVES, &[("down", "")]);
    site.add("web", LIVES, &[("dependencies.d/db", ""), (&format!("dependencies.d/{long}"), "")]);
    ["db", "web"].into_iter().for_each(|name| site.start(name));
    site.wait_waiting("web", "db");
    site.svc("-d", "web");
    site.wait_svstat("web", "down S seconds, normally up");
    assert_eq!(site.waited("web"), "waited for nothing");
    site.svc("-u", "web");
    site.wait_waiting("web", "db");
    site.svc("-u", "db");
    let shown = format!("{}...", "x".repeat(61));
    site.wait_waiting("web", &shown);
    fs::remove_file(site.scratch.path(format!("scan/web/dependencies.d/{long}"))).expect("it is there");
    site.is_up_at_once("web");
    assert_eq!(masked(&site.waited("web")), format!("waited S seconds for {shown}"));
}

/// How often a process has slept so far.
fn sleeps(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())
}

/// A user may have 128 inotify instances on most systems.
#[test]
fn very_many_wait_for_one_and_none_wakes_up_for_nothing() {
    const MANY: usize = 150;
    let site = Site::new(User::Own);
    site.add("db", READY, &[("notification-fd", "7")]);
    site.start("db");
    let names: Vec<String> = (0..MANY).map(|number| format!("web-{number}")).collect();
    for name in &names {
        site.add_needing(name, "db");
        let mut command = site.scratch.command("supervise", &[name]);
        command.current_dir(site.scratch.path("scan")).stdin(Stdio::null());
        let running = start(command.stdout(Stdio::null()).stderr(site.err("web")));
        site.supervises.borrow_mut().push((name.clone(), running));
    }
    let gates = || names.iter().filter_map(|name| testkit::record(site.scratch.path("scan").join(name))?.decided.gate);
    wait_until("all wait", || gates().count() == MANY);
    let pids: Vec<u32> = site.supervises.borrow().iter().map(|(_, running)| running.pid()).skip(1).collect();
    let slept = || pids.iter().map(|&pid| sleeps(pid).expect("it lives")).sum::<u64>();
    let before = wait_rest("all rest", Duration::from_millis(500), || Some(slept()));
    holds_for(Duration::from_secs(1), "nobody wakes up", || slept() == before);
    site.put("db/go", "");
    let begin = Instant::now();
    wait_until("all are started", || names.iter().all(|name| site.starts(name) == 1));
    assert!(begin.elapsed() < AT_ONCE, "{:?}", begin.elapsed());
    assert_eq!(site.said("web"), "");
}
