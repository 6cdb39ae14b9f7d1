//! `uphold status NAME`: the page about one service; and what has changed since a service was started, wherever that is told.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use testkit::{for_each, is_root, wait_for, wait_until};

use super::world::{World, masked, users};

const LIVES: &str = "exec sleep 100000";

/// A text with `N` in place of each number, whether a span is one of seconds or of minutes: a machine may be slow.
fn in_seconds(text: &str) -> String {
    masked(text).replace("Nm", "Ns")
}

/// The lines of a page, each with its label, and with `N` in place of each number.
fn lines(page: &str) -> Vec<(String, String)> {
    let column = page
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("NAME"))
        .map_or(0, |rest| page.len().min("NAME".len() + rest.len() - rest.trim_start().len()));
    let mut last = String::new();
    page.lines()
        .map(|line| {
            let (label, text) = line.split_at_checked(column).expect("it is aligned");
            if !label.trim().is_empty() {
                last = label.trim_end().to_owned();
            }
            (last.clone(), in_seconds(text))
        })
        .collect()
}

/// The page about a service.
fn page(world: &World, words: &[&str]) -> Vec<(String, String)> {
    let said = world.uphold(&[&["status"], words].concat());
    assert_eq!((said.code, said.err().as_str()), (0, ""), "{words:?}");
    lines(&said.out())
}

/// What a page has behind a label.
fn behind<'a>(page: &'a [(String, String)], label: &str) -> Vec<&'a str> {
    page.iter().filter(|(found, _)| found == label).map(|(_, text)| text.as_str()).collect()
}

#[test]
fn the_page_of_a_plain_service_is_short() {
    for_each(users(), |&ordinary| {
        let mut world = World::new(ordinary);
        world.service("web", LIVES, &[]);
        world.serve();
        world.wait_line("web", "web up Ns N - N N% NM");
        let plain = [
            ("NAME", "web"),
            ("DIRECTORY", "scan/web"),
            ("STATE", "up"),
            ("SINCE", "N-N-N N:N:N, Ns ago"),
            ("PID", "N"),
            ("CPU", "N%"),
            ("MEMORY", "NM"),
            ("STARTS", "N"),
            ("SUPERVISE", "pid N, version N"),
        ];
        for words in [&["web"][..], &["-l", "web"], &["--interval", "10ms", "web"]] {
            let mut page = page(&world, words);
            let (label, lines) = page.pop().expect("a line");
            assert!(label == "LOG" && lines.starts_with("web has no logger: its lines go to "), "{lines}");
            assert_eq!(page, plain.map(|(label, text)| (label.to_owned(), text.to_owned())));
        }
        // A pattern is answered by a table, whatever it matches.
        assert!(world.uphold(&["status", "we?"]).out().starts_with("NAME  STATE"));
    });
}

#[test]
fn the_page_has_all_that_is_known() {
    for_each(users(), |&ordinary| {
        let mut world = World::new(ordinary);
        if ordinary {
            world.scratch.lend("multilog");
        }
        let run = "mkdir first 2>/dev/null && exit 3; for n in 1 2 3 4 5 6 7 8 9 10 11 12; do echo \"line $n\"; done; echo >&3; exec sleep 100000";
        world.service(
            "web",
            run,
            &[
                ("notification-fd", "3"),
                ("max-death-tally", "9"),
                ("dependencies.d/db", ""),
                ("wants.d/cache", ""),
                ("health", "#!\nexit 0"),
                ("timeout-kill", "soon"),
                ("log/run", "#!\nexec multilog t ./main"),
            ],
        );
        world.service("db", LIVES, &[]);
        world.service("api", LIVES, &[("dependencies.d/web", "")]);
        world.serve();
        world.wait_supervised("web");
        let expected = [
            ("NAME", "web"),
            ("DIRECTORY", "scan/web"),
            ("STATE", "ready"),
            ("SINCE", "N-N-N N:N:N, Ns ago"),
            ("PID", "N"),
            ("READY", "N-N-N N:N:N, Ns ago"),
            ("HEALTH", "has not failed"),
            ("CPU", "N%"),
            ("MEMORY", "NM"),
            ("STARTS", "N"),
            ("LAST EXIT", "exited N"),
            ("DEATHS", "N-N-N N:N:N, Ns ago: exited N"),
            ("NEEDS", "db: up"),
            ("WANTS", "cache: broken, there is no such service"),
            ("NEEDED BY", "api: up"),
            ("KNOBS", "timeout-kill: soon: not a number with ms, s, m, h or nothing behind it (none holds)"),
            ("SUPERVISE", "pid N, version N"),
            ("LOGGER", "up, pid N"),
        ];
        let expected: Vec<(String, String)> =
            expected.iter().map(|(label, text)| ((*label).to_owned(), (*text).to_owned())).collect();
        let mut last = Vec::new();
        let found = wait_for("the page", || {
            let found = page(&world, &["web"]);
            let has_log = behind(&found, "LOG").len() == 10;
            last = found.iter().filter(|(label, _)| !label.starts_with("LOG") || label == "LOGGER").cloned().collect();
            (has_log && behind(&found, "NEEDED BY") == ["api: up"]).then_some(found)
        });
        assert_eq!(last, expected);
        assert!(behind(&found, "LOGS IN")[0].ends_with("/scan/web/log/main"), "{found:?}");
        assert!(behind(&found, "LOG").iter().all(|line| *line == "N-N-N N:N:N line N"), "{found:?}");
        let text = world.uphold(&["status", "web"]).out();
        assert!(text.lines().last().is_some_and(|line| line.ends_with(" line 12")), "{text}");
        // A logger has a page too, and it is its own log.
        let logger = page(&world, &["web/log"]);
        assert_eq!(behind(&logger, "STATE"), ["up"]);
        assert_eq!(behind(&logger, "LOG").len(), 10);
    });
}

#[test]
fn each_way_in_which_a_service_can_be_has_its_page() {
    for_each(users(), |&ordinary| {
        let world = World::in_every_state(ordinary);
        for (name, label, texts) in [
            ("backs-off", "WHY", &["next try in Ns"][..]),
            ("done", "STATE", &["done"]),
            ("down", "WANTED", &["down, normally down"]),
            ("failed", "WHY", &["killed by SIGSEGV"]),
            ("no-mode", "WHY", &["run is not executable", "chmod +x scan/no-mode/run helps."]),
            ("no-run", "WHY", &["run does not exist"]),
            ("nowhere", "DIRECTORY", &["scan/nowhere -> /nonexistent"]),
            ("nowhere", "WHY", &["it is a link to a directory that does not exist", "It leads to /nonexistent."]),
            ("once", "WANTED", &["once"]),
            ("ready", "READY", &["N-N-N N:N:N, Ns ago"]),
            ("refused", "WHY", &["kill-mode: cgroup: not known"]),
            ("replaced", "SECOND COPY", &["pid N, for Ns: the new copy, which is not ready yet"]),
            ("sick", "HEALTH", &["failed N times in a row, the first time Ns ago"]),
            ("to-file", "WHY", &["it is not a directory"]),
            ("told", "WANTED", &["down"]),
            ("told", "LAST EXIT", &["TERM"]),
            ("waits", "WAITS FOR", &["nobody, Ns until now"]),
            ("waits", "NEEDS", &["nobody: broken, there is no such service"]),
        ] {
            wait_for(&format!("{name}: {label} {texts:?}"), || {
                (behind(&page(&world, &[name]), label) == texts).then_some(())
            });
        }
        let broken: Vec<String> = page(&world, &["nowhere"]).into_iter().map(|(label, _)| label).collect();
        assert_eq!(broken, ["NAME", "DIRECTORY", "STATE", "WHY", "WHY"]);
    });
}

#[test]
fn a_terminal_gets_what_fits_and_nothing_that_it_would_obey() {
    let world = World::new(!is_root());
    world.service("web", LIVES, &[]);
    world.scratch.script("scan/web/log/run", "exec multilog ./main");
    let long = "x".repeat(300);
    world.scratch.write("scan/web/log/main/current", format!("a\x1b[2Jb\tc\n{long}\n"));
    let piped = world.uphold(&["status", "web"]);
    let found = lines(&piped.out());
    assert_eq!(behind(&found, "LOG"), ["a\\xNb[NJb c", &long]);
    assert_eq!(behind(&found, "LOGGER"), ["broken"]);
    assert_eq!(behind(&found, "WHY"), ["no supervise runs", "No svscan serves scan: svscan scan starts one."]);
    assert!(!piped.out().contains('\x1b'));
    let typed = |columns: u32, colour: bool| {
        let shown = world.on_terminal(columns, &["status", "web"], |command| {
            if !colour {
                command.env("NO_COLOR", "1");
            }
        })?;
        // What stands before it is for stderr.
        Some(shown[shown.find("NAME")?..].to_owned())
    };
    let Some(wide) = typed(200, true) else { return };
    assert!(wide.contains("STATE      \x1b[31mbroken\x1b[0m\n"), "{wide:?}");
    for columns in [200, 80, 30, 12, 5] {
        let plain = typed(columns, false).expect("a terminal");
        assert!(!plain.contains('\x1b') && plain.lines().count() == found.len(), "{plain:?}");
        assert!(plain.lines().all(|line| line.chars().count() <= columns as usize), "{plain}");
        assert_eq!(plain.lines().last().map(|line| line.ends_with("...")), Some(columns > 12), "{plain}");
    }
}

/// Puts another `run` in place of the one that is there, with a time of modification that is long past.
fn deploy(world: &World, run: &str, body: &str) {
    let new = world.scratch.script(format!("{run}.new"), body);
    let long_ago = SystemTime::now() - Duration::from_secs(100_000);
    File::options().write(true).open(&new).and_then(|file| file.set_modified(long_ago)).expect("it is ours");
    fs::rename(new, world.scratch.path(run)).expect("it is ours");
}

/// Waits until the line about a service that is up ends so. `change` is made each time: file systems count time in steps.
fn wait_changed(world: &World, name: &str, expected: &str, change: impl Fn()) {
    wait_until(expected, || {
        change();
        let table = world.uphold(&["status"]).out();
        let line = table.lines().find(|line| line.split(' ').next() == Some(name)).map(masked);
        line.is_some_and(|line| line.starts_with(&format!("{name} up ")) && line.ends_with(&format!("M {expected}")))
    });
}

#[test]
fn what_has_changed_since_a_service_was_started_is_told() {
    for_each(users(), |&ordinary| {
        let mut world = World::new(ordinary);
        const BODY: &str = "trap '' HUP; exec sleep 100000";
        world.service("web", BODY, &[("timeout-kill", "1000")]);
        world.service("app", LIVES, &[("sockets/lines", "unix lines.sock\n")]);
        for release in ["1", "2"] {
            world.scratch.script(format!("releases/{release}/run"), LIVES);
        }
        symlink("releases/2", world.scratch.path("current")).expect("a link");
        fs::remove_file(world.scratch.path("scan/app/run")).expect("it is ours");
        symlink("../../current/run", world.scratch.path("scan/app/run")).expect("a link");
        world.serve();
        world.wait_line("app", "app up Ns N - N N% NM");
        world.wait_line("web", "web up Ns N - N N% NM");
        // What is read when it is needed holds already.
        for (file, contents) in [("timeout-kill", "2000"), ("down-signal", "INT"), ("final-exits", "0"), ("data", "")] {
            world.scratch.write(format!("scan/web/{file}"), contents);
        }
        world.wait_line("web", "web up Ns N - N N% NM");
        assert_eq!(behind(&page(&world, &["web"]), "CHANGED"), [""; 0]);
        wait_changed(&world, "web", "run has changed since it started", || deploy(&world, "scan/web/run", BODY));
        let advice = "run has changed since it started: uphold restart web takes that up\n";
        let said = |words: &[&str]| {
            let said = world.uphold(words);
            (said.code, said.out(), said.err())
        };
        assert_eq!(said(&["start", "web"]), (0, format!("web: up; {advice}"), String::new()));
        let reloaded = format!("web: told to reload; it does not tell when it has; {advice}");
        assert_eq!(said(&["reload", "web"]), (0, reloaded, String::new()));
        assert_eq!(said(&["cont", "web"]), (0, "web: continued\n".to_owned(), String::new()));
        let (code, why, _) = said(&["why", "web"]);
        let as_wanted = "web is as wanted: up for Ns, pid N, run has changed since it started.";
        assert_eq!((code, in_seconds(&why).as_str()), (0, as_wanted));
        assert!(said(&["status", "--json", "web"]).1.contains(",\"changed\":[\"run\"]"));
        assert!(!said(&["status", "--json", "app"]).1.contains("changed"));
        let found = page(&world, &["web"]);
        assert_eq!(behind(&found, "CHANGED"), ["run, since it started: uphold restart web takes that up"]);
        assert_eq!(behind(&found, "WHY"), [""; 0]);
        // One that is replaced by the next start has nothing to say.
        let (code, restarted, _) = said(&["restart", "web"]);
        assert_eq!((code, restarted.contains("changed")), (0, false), "{restarted}");
        world.wait_line("web", "web up Ns N - N INT N% NM");
        assert_eq!(said(&["start", "web"]).1, "web: up\n");
        wait_changed(&world, "web", "run, kill-mode have changed since it started", || {
            deploy(&world, "scan/web/run", BODY);
            world.scratch.write("scan/web/kill-mode", "group");
        });
        // A step back to files that are older than the process.
        wait_changed(&world, "app", "run has changed since it started", || {
            symlink("releases/1", world.scratch.path("next")).expect("a link");
            fs::rename(world.scratch.path("next"), world.scratch.path("current")).expect("it is ours");
        });
        wait_changed(&world, "app", "run, sockets have changed since it started", || {
            world.scratch.write("scan/app/sockets/lines", "unix lines.sock mode=0600\n");
        });
    });
}
