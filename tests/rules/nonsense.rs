//! The same nonsense in every file with a value at once: each is told once, the default holds, and the service goes on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use testkit::{Scratch, holds_for, lives, signal, wait_until};

use super::service::{LIVES, Service, User, for_each_user};
use super::world::{svstat, wait_up};

/// The files with a value, and what supervise takes where it cannot use one. `health-fails` is read when `health` has failed, and has tests of its own.
const KNOBS: [(&str, &str); 14] = [
    ("down-signal", "TERM"),
    ("reload-signal", "HUP"),
    ("timeout-kill", "none"),
    ("timeout-ready", "60s"),
    ("warmup", "1s"),
    ("notification-fd", "none"),
    ("timeout-finish", "5s"),
    ("final-exits", "none"),
    ("backoff", "1s"),
    ("max-restarts", "no limit"),
    ("max-death-tally", "none"),
    ("fd-store", "none"),
    ("watchdog", "none"),
    ("health-interval", "30s"),
];

/// Makes a service that has what is needed for all of these files to be read.
fn reader(user: User) -> Service {
    let service = Service::finishing(user, LIVES, "exit 0");
    service.put("sd-notify", "");
    for script in ["check", "health"] {
        service.scratch.script(format!("web/{script}"), "exit 0");
    }
    service
}

/// Makes what stands for a value, at this place.
type Nonsense = fn(&Service, &str);

const NONSENSE: [(&str, Nonsense); 8] = [
    ("nothing", |service, name| service.put(name, "")),
    ("a negative number", |service, name| service.put(name, "-5")),
    ("NULs", |service, name| service.put(name, "\0\0\0")),
    ("two values", |service, name| service.put(name, "1 2")),
    ("two lines", |service, name| service.put(name, "1\n2\n")),
    ("100 kB", |service, name| service.put(name, &"1".repeat(100_000))),
    ("a directory", |service, name| drop(service.scratch.mkdir(format!("web/{name}")))),
    ("a FIFO", |service, name| {
        let path = service.scratch.path("web").join(name);
        sys::fd::make_fifo(&path).expect("a FIFO");
        if service.user() == User::Ordinary {
            service.scratch.give(&format!("web/{name}"));
        }
    }),
];

/// Lets supervise read every knob, twice, and checks that the service lives as one without these files.
fn live(service: &Service) {
    for _ in 0..2 {
        let pid = service.wait_up();
        // It ends by itself.
        signal(pid, "KILL");
        let pid = service.wait_restart(pid);
        service.svc("-r");
        let next = service.wait_restart(pid);
        assert_eq!(service.wait(&["-R", "--wait=replaced"]).code, 0, "another copy takes its place");
        service.wait_restart(next);
    }
}

#[test]
fn the_same_nonsense_in_every_file_is_told_once_for_each() {
    for_each_user(|user| {
        testkit::for_each(&NONSENSE, |(what, make)| {
            let service = reader(user);
            for (name, _) in KNOBS {
                make(&service, name);
            }
            let service = service.start();
            live(&service);
            let said = service.said();
            for (name, default) in KNOBS {
                let begin = format!("supervise: warning: unable to use web/{name}, taking {default}: ");
                let told: Vec<&str> = said.lines().filter(|line| line.starts_with(&begin)).collect();
                assert_eq!(told.len(), 1, "{what} in {name}: {said}");
            }
            assert_eq!(said.lines().count(), KNOBS.len(), "{what}: {said}");
            // What supervise has found out one after another, svstat finds at one look.
            let mut warned: Vec<String> = said.lines().map(as_shown).collect();
            let mut shown: Vec<String> = long(&service).iter().map(|line| without_value(line)).collect();
            warned.sort();
            shown.sort();
            assert_eq!(shown, warned, "{what}");
        });
    });
}

/// What `svstat --long` says of the knobs, in the lines behind the first, which is that of svstat and goes on.
fn long(service: &Service) -> Vec<String> {
    let long = service.scratch.run("svstat", &["--long", "web"]);
    let (out, err) = (long.out(), long.err());
    let mut lines = out.lines();
    let first = lines.next().unwrap_or_default();
    assert!((long.code, err.as_str()) == (0, "") && first.contains(", supervise pid "), "{out}{err}");
    let knob = |line: &str| line.strip_prefix("web: ").unwrap_or_else(|| panic!("{out}")).to_owned();
    lines.map(knob).collect()
}

/// The warning of supervise in the words of svstat, without the value.
fn as_shown(warning: &str) -> String {
    let warned = warning.strip_prefix("supervise: warning: unable to use web/").expect("about a knob");
    let (name, rest) = warned.split_once(", taking ").expect("what holds");
    let (holds, why) = rest.split_once(": ").expect("a reason");
    format!("{name}: {why} ({holds} holds)")
}

/// What svstat says of a knob, without the value between its name and the reason.
fn without_value(line: &str) -> String {
    const VALUES: [&str; 4] = ["-5", "1 2", "1\\n2", "\\x00\\x00\\x00"];
    let (name, rest) = line.split_once(": ").expect("a name");
    let much = "1".repeat(64) + "...";
    let why = VALUES.into_iter().chain([much.as_str()]).find_map(|value| rest.strip_prefix(value)?.strip_prefix(": "));
    format!("{name}: {}", why.unwrap_or(rest))
}

/// What stands in a knob, and what `svstat --long` says of it.
const WRONG: [(&str, &str, &str); 22] = [
    ("down-signal", "SIGNONE\n", "SIGNONE: not a signal (TERM holds)"),
    ("reload-signal", "0", "0: not a signal (HUP holds)"),
    ("timeout-kill", "soon", "soon: not a number with ms, s, m, h or nothing behind it (none holds)"),
    ("notification-fd", "0", "0: it is stdin (none holds)"),
    ("notification-fd", "2000000000", "2000000000: past the limit on descriptors (none holds)"),
    ("fd-store", "257", "257: not a number from 1 to 256 (none holds)"),
    ("watchdog", "5 s", "5 s: it holds a blank or a second line (none holds)"),
    ("timeout-ready", "\n\n", "it is empty (60s holds)"),
    ("warmup", "-1", "-1: negative number (1s holds)"),
    ("timeout-finish", "99999999999999999999", "99999999999999999999: too large (5s holds)"),
    (
        "final-exits",
        "256",
        "256: not exit codes from 0 to 255, ranges of them, signals or any, with commas between (none holds)",
    ),
    ("backoff", "30", "30: it has no unit: say ms, s, m or h (1s holds)"),
    ("max-restarts", "5", "5: not a number from 1 to 100, a slash and a time (no limit holds)"),
    ("max-restarts", "5/3s", "5/3s: it is never reached, since 5 ends take at least 4s"),
    ("kill-mode", "cgroup", "cgroup: not known"),
    ("kill-mode", "mixed group", "it holds a blank or a second line"),
    ("flag-newpidns", "", "not supported, see kill-mode"),
    ("max-death-tally", "4097", "4097: not a number from 0 to 4096 (none holds)"),
    ("health-interval", "0s", "0s: there must be some time between two runs (30s holds)"),
    ("health-fails", "256", "256: not a number from 1 to 255 (3 holds)"),
    ("warmup", "\x1b[2J\t'\u{e9}\n1", "\\x1b[2J\\t\\'\\xc3\\xa9\\n1: it holds a blank or a second line (1s holds)"),
    ("kill-mode", "\x1b\0", "\\x1b\\x00: not known"),
];

#[test]
fn svstat_shows_what_stands_in_a_knob_and_why_it_does_not_hold() {
    for_each_user(|user| {
        let service = Service::new(user, LIVES, &[]).start();
        service.wait_up();
        // supervise reads none of what follows: no command is sent, and nothing ends.
        let line = service.svstat();
        for (name, contents, why) in WRONG {
            service.put(name, contents);
            assert_eq!(long(&service), [format!("{name}: {why}")], "{contents:?}");
            assert_eq!(service.svstat(), line, "{name}");
            service.remove(name);
        }
        // Much is cut.
        let cut = "7,".repeat(32);
        for (name, contents, why) in [
            (
                "final-exits",
                "7,".repeat(60),
                "not exit codes from 0 to 255, ranges of them, signals or any, with commas between (none holds)",
            ),
            ("backoff", "7,".repeat(100_000), "too large (1s holds)"),
        ] {
            service.put(name, &contents);
            assert_eq!(long(&service), [format!("{name}: {cut}...: {why}")]);
            service.remove(name);
        }
        assert_eq!((long(&service), service.said()), (vec![], String::new()));
    });
}

/// The names of the files that svdir(5) calls knobs.
fn knobs_of_the_page() -> Vec<String> {
    let page = include_str!("../../man/svdir.5").replace('\\', "");
    let items = page.split("\n.TP\n.I ").filter_map(|item| item.split_once('\n'));
    items.filter(|(_, text)| text.starts_with("Knob: ")).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn svstat_names_every_knob_that_is_wrong_at_one_look() {
    for_each_user(|user| {
        let service = Service::new(user, LIVES, &[]).start();
        service.wait_up();
        let names = knobs_of_the_page();
        assert!(KNOBS.iter().all(|(name, _)| names.iter().any(|known| known == name)), "{names:?}");
        // `uphold check` knows them by this list.
        assert!(names.iter().all(|name| svdir::names::FILES.contains(&name.as_str())), "{names:?}");
        for name in &names {
            service.put(name, "no value");
        }
        let said = long(&service);
        for name in &names {
            let begin = format!("{name}: ");
            assert_eq!(said.iter().filter(|line| line.starts_with(&begin)).count(), 1, "{name}: {said:?}");
        }
        assert_eq!(said.len(), names.len(), "{said:?}");
        // Others are shown as well.
        let both = service.scratch.run("svstat", &["--long", "web", "nowhere", "web"]).out();
        assert_eq!(both.lines().count(), 2 * (1 + names.len()) + 1, "{both}");
    });
}

#[test]
fn svstat_has_nothing_to_say_of_knobs_that_are_right() {
    let right = [
        ("down-signal", "int\n"),
        ("reload-signal", "SIGUSR1"),
        ("timeout-kill", "0"),
        ("timeout-ready", "1.5m"),
        ("warmup", "10"),
        ("notification-fd", "3"),
        ("timeout-finish", "20s\n\n"),
        ("final-exits", "0,100-103,SIGSEGV"),
        ("backoff", "1m"),
        ("max-restarts", "5/2m"),
        ("max-death-tally", "4096"),
        ("fd-store", "256"),
        ("watchdog", "60s"),
        ("health-interval", "10s"),
        ("health-fails", "255"),
        ("kill-mode", "mixed"),
        ("flag-timeout-killpg", "whatever"),
    ];
    for_each_user(|user| {
        let service = Service::new(user, LIVES, &right).start();
        service.wait_up();
        assert_eq!(long(&service), [""; 0]);
        for (name, _) in right {
            service.remove(name);
            // A link that leads nowhere is no file, but for one that asks for isolation.
            if name != "kill-mode" {
                symlink("nowhere", service.scratch.path("web").join(name)).expect("a link");
            }
        }
        assert_eq!(long(&service), [""; 0]);
        symlink("nowhere", service.scratch.path("web/kill-mode")).expect("a link");
        assert_eq!(long(&service), ["kill-mode: file does not exist"]);
    });
}

#[test]
fn svstat_says_once_why_a_kill_mode_holds_the_start_back() {
    for_each_user(|user| {
        // The third is longer than the reason in the line.
        let much = "much".repeat(15);
        for mode in ["cgroup", "\0\x1b", &much] {
            let service = Service::new(user, LIVES, &[("kill-mode", mode), ("backoff", "30")]).start();
            let shown = mode.replace('\0', "?").as_bytes().escape_ascii().to_string();
            let why = format!("kill-mode: {shown}: not known");
            let line = format!("down S seconds, normally up, want up, {}", &why[..why.len().min(64)]);
            service.wait_svstat(&line);
            assert_eq!(long(&service), ["backoff: 30: it has no unit: say ms, s, m or h (1s holds)"], "{mode:?}");
        }
    });
}

#[test]
fn svstat_says_once_why_a_kill_mode_keeps_a_service_from_being_replaced() {
    for_each_user(|user| {
        let service = Service::new(user, LIVES, &[]).start();
        service.wait_up();
        let why = "kill-mode: tree-house: not known";
        service.put("kill-mode", "tree-house");
        assert_eq!(long(&service), [why]);
        assert_eq!(service.wait(&["-R", "--wait=replaced"]).code, 1);
        let told = service.scratch.run("svstat", &["--long", "web"]).out();
        assert!(told.ends_with(&format!(", not replaced: {why}\n")) && told.lines().count() == 1, "{told}");
        // It is another now, of which nothing was said.
        service.put("kill-mode", "grove");
        assert_eq!(long(&service), ["kill-mode: grove: not known"]);
    });
}

#[test]
fn svstat_judges_a_descriptor_by_the_limit_of_supervise() {
    let scratch = Scratch::new();
    scratch.service("web", LIVES);
    scratch.write("web/notification-fd", "40");
    let _supervise = scratch.start("supervise", "softlimit", &["-o40", "supervise", "web"]);
    wait_up(&scratch, "web");
    let past = "past the limit on descriptors";
    let said = format!("supervise: warning: unable to use web/notification-fd, taking none: {past}\n");
    assert_eq!(scratch.text("supervise.err"), said);
    let long = || scratch.run("svstat", &["--long", "web"]).out();
    assert!(long().ends_with(&format!("\nweb: notification-fd: 40: {past} (none holds)\n")), "{}", long());
    scratch.write("web/notification-fd", "39");
    assert_eq!(long().lines().count(), 1, "{}", long());
}

/// The other user may read it, or may not: this one cannot know.
#[test]
fn svstat_says_that_a_knob_may_not_be_read_only_of_its_own_users_supervise() {
    use std::os::unix::fs::PermissionsExt;
    for_each_user(|user| {
        let service = Service::new(user, LIVES, &[]).start();
        service.wait_up();
        for name in ["warmup", "kill-mode"] {
            forbid(&service, name);
            if user == User::Ordinary {
                service.scratch.give(&format!("web/{name}"));
            }
        }
        service.put("backoff", "30");
        for (name, mode) in [("web/supervise", 0o711), ("web/supervise/ok", 0o622)] {
            fs::set_permissions(service.scratch.path(name), fs::Permissions::from_mode(mode)).expect("it is ours");
        }
        let told = testkit::finish(&mut service.scratch.ordinary("svstat", &["--long", "web"])).out();
        let told: Vec<&str> = told.lines().skip(1).collect();
        let mut expected = vec![
            "web: warmup: access denied (1s holds)",
            "web: backoff: 30: it has no unit: say ms, s, m or h (1s holds)",
            "web: kill-mode: access denied",
        ];
        if reads_everything(user) {
            expected.retain(|line| line.contains("backoff"));
        }
        assert_eq!(told, expected);
    });
}

/// It may know other files than ours by these names, and says nothing in its status.
#[test]
fn svstat_says_nothing_of_the_knobs_of_another_suites_supervise() {
    let service = Service::new(User::Own, LIVES, &[("backoff", "30")]).start();
    service.wait_up();
    assert_eq!(long(&service).len(), 1);
    service.remove("supervise/record");
    let told = service.scratch.run("svstat", &["--long", "web"]).out();
    assert!(told.starts_with("web: up (pid ") && told.lines().count() == 1, "{told}");
}

#[test]
fn a_link_that_leads_nowhere_is_no_file() {
    for_each_user(|user| {
        let service = reader(user);
        for (name, _) in KNOBS {
            symlink("nowhere", service.scratch.path("web").join(name)).expect("a link");
        }
        let service = service.start();
        live(&service);
        assert_eq!(service.said(), "");
    });
}

/// Makes what nobody may read.
fn forbid(service: &Service, name: &str) {
    use std::os::unix::fs::PermissionsExt;
    service.put(name, "1");
    let path = service.scratch.path("web").join(name);
    fs::set_permissions(path, fs::Permissions::from_mode(0o0)).expect("it is ours");
}

/// Returns whether the user may read what nobody may.
fn reads_everything(user: User) -> bool {
    user == User::Own && testkit::is_root()
}

#[test]
fn what_nobody_may_read_is_told_once_for_each() {
    for_each_user(|user| {
        if reads_everything(user) {
            return;
        }
        let service = reader(user);
        for (name, _) in KNOBS {
            forbid(&service, name);
        }
        let service = service.start();
        live(&service);
        for (name, default) in KNOBS {
            let line = format!("supervise: warning: unable to use web/{name}, taking {default}: access denied");
            assert_eq!(service.said().lines().filter(|said| *said == line).count(), 1, "{}", service.said());
        }
    });
}

/// Makes a service that `health` finds unhealthy.
fn unhealthy(user: User) -> Service {
    let service = Service::new(user, LIVES, &[("health-interval", "100ms")]);
    service.scratch.script("web/health", "exit 1");
    service
}

#[test]
fn with_nonsense_for_health_fails_three_failures_are_enough() {
    for_each_user(|user| {
        testkit::for_each(&NONSENSE, |(what, make)| {
            let service = unhealthy(user);
            make(&service, "health-fails");
            let service = service.start();
            service.wait_starts(3);
            let said = service.said();
            let mut lines = said.lines();
            let first = lines.next().unwrap_or_default();
            assert!(
                first.starts_with("supervise: warning: unable to use web/health-fails, taking 3: "),
                "{what}: {said}"
            );
            let ended = "supervise: warning: web/health has failed 3 times in a row, ending pid ";
            assert!(lines.all(|line| line.starts_with(ended)), "{what}: {said}");
        });
    });
}

#[test]
fn a_health_fails_that_leads_nowhere_or_that_nobody_may_read_is_three() {
    for_each_user(|user| {
        testkit::for_each(&[true, false], |&leads_nowhere| {
            let service = unhealthy(user);
            let mut begin = String::new();
            if leads_nowhere {
                symlink("nowhere", service.scratch.path("web/health-fails")).expect("a link");
            } else if reads_everything(user) {
                return;
            } else {
                forbid(&service, "health-fails");
                begin += "supervise: warning: unable to use web/health-fails, taking 3: access denied\n";
            }
            let service = service.start();
            service.wait_starts(2);
            begin += "supervise: warning: web/health has failed 3 times in a row, ending pid ";
            assert!(service.said().starts_with(&begin), "{}", service.said());
        });
    });
}

/// Makes what stands for a file, at this path.
type Stands = fn(&Path);

#[test]
fn an_essential_of_any_kind_counts_and_a_link_that_leads_nowhere_is_none() {
    let kinds: [(&str, Stands); 4] = [
        ("a directory", |path| fs::create_dir(path).expect("a directory")),
        ("a FIFO", |path| sys::fd::make_fifo(path).expect("a FIFO")),
        ("a link to a directory", |path| symlink(".", path).expect("a link")),
        ("a dangling link", |path| symlink("nowhere", path).expect("a link")),
    ];
    testkit::for_each(&kinds, |(kind, make)| {
        let scratch = Scratch::new();
        scratch.service("scan/web", "until [ -e go ]; do sleep 0.02; done; exit 7");
        scratch.write("scan/web/final-exits", "any");
        make(&scratch.path("scan/web/essential"));
        let mut svscan = scratch.start("svscan", "svscan", &["--init", "scan"]);
        wait_up(&scratch, "scan/web");
        scratch.write("scan/web/go", "");
        let said = "supervise: warning: not starting web again: exited 7\n";
        if *kind == "a dangling link" {
            let is_failed = || svstat(&scratch, "scan/web").ends_with(", failed: exited 7");
            wait_until("it has failed", || is_failed() && scratch.text("svscan.err") == said);
            holds_for(Duration::from_secs(1), "svscan stays", || lives(svscan.pid()));
        } else {
            assert_eq!(svscan.end(), 7);
        }
        assert_eq!(scratch.text("svscan.err"), said);
    });
}

/// Calls `test` with what makes another thread do this many times over, beside what `test` does next.
fn meanwhile(again: impl Fn() + Send, test: impl FnOnce(Sender<()>)) {
    thread::scope(|scope| {
        let (begin, begins) = mpsc::channel();
        scope.spawn(move || begins.iter().for_each(|()| (0..500).for_each(|_| again())));
        test(begin);
    });
}

#[test]
fn a_knob_that_changes_while_it_is_read_is_never_worse_than_none() {
    let knobs = [("timeout-kill", "60s", "none"), ("backoff", "1s", "1s")];
    for_each_user(|user| {
        testkit::for_each(&knobs, |&(name, value, default)| {
            testkit::for_each(&[true, false], |&in_place| {
                let service = Service::new(user, LIVES, &[(name, value)]).start();
                let path = service.scratch.path("web").join(name);
                let change = || {
                    if in_place {
                        // Whoever reads in between finds nothing.
                        ["", value].iter().for_each(|contents| fs::write(&path, contents).expect("it is ours"));
                    } else {
                        service.put(name, value);
                    }
                };
                meanwhile(change, |begin| {
                    for _ in 0..8 {
                        let run = service.wait_up();
                        begin.send(()).expect("it listens");
                        if name == "timeout-kill" {
                            service.svc("-r");
                        } else {
                            signal(run, "KILL");
                        }
                        service.wait_restart(run);
                    }
                });
                let empty = format!("supervise: warning: unable to use web/{name}, taking {default}: it is empty");
                let said = service.said();
                assert!(said.lines().all(|line| in_place && line == empty), "{said}");
            });
        });
    });
}
