//! `uphold log`: what loggers have written.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use tai::Label;
use testkit::{Running, finish, for_each, is_root, needs_program, wait_for, wait_until};

use super::world::{World, users};

const LIVES: &str = "exec sleep 100000";
/// 2026-11-28 21:00:00 UTC.
const NINE: i64 = 1_795_899_600;

fn label(seconds: i64) -> String {
    String::from_utf8_lossy(&Label::from_unix(seconds, 0).text()).into_owned()
}

/// Lines with stamps, one each second.
fn lines(from: i64, count: i64, text: &str) -> String {
    (from..from + count).fold(String::new(), |mut lines, second| {
        let _ = writeln!(lines, "{} {text} {}", label(second), second - NINE);
        lines
    })
}

/// A service whose logger is not running; `run` of the logger does not matter unless it names a directory.
fn dead(world: &World, name: &str, files: &[(String, String)]) {
    world.service(name, LIVES, &[]);
    world.scratch.script(format!("scan/{name}/log/run"), "exec multilog t ./main");
    for (file, contents) in files {
        world.scratch.write(format!("scan/{name}/log/main/{file}"), contents);
    }
}

fn current(contents: &str) -> (String, String) {
    ("current".to_owned(), contents.to_owned())
}

/// What `uphold log` shows in UTC.
fn log(world: &World, words: &[&str]) -> testkit::Finished {
    world.uphold(&[&["log", "--utc"], words].concat())
}

/// The numbers at the ends of lines.
fn numbers(text: &str) -> Vec<i64> {
    text.lines().map(|line| line.rsplit(' ').next().expect("a word").parse().expect("a number")).collect()
}

#[test]
fn a_million_lines_over_twenty_files_are_in_order() {
    let world = World::new(!is_root());
    let of_each = 50_000;
    let files: Vec<(String, String)> = (0..20)
        .map(|file| {
            let from = NINE + file * of_each;
            let name = if file == 19 { "current".to_owned() } else { format!("@{}.s", &label(from + of_each)[1..]) };
            (name, lines(from, of_each, "line"))
        })
        .collect();
    dead(&world, "web", &files);
    let all = log(&world, &["-n", "all", "web"]);
    assert_eq!((all.code, all.err().as_str()), (0, ""));
    assert!(numbers(&all.out()).into_iter().eq(0..1_000_000));
    for count in [1, 20, of_each, of_each + 1] {
        let last = log(&world, &["web", "-n", &count.to_string()]);
        assert!(numbers(&last.out()).into_iter().eq(1_000_000 - count..1_000_000), "{count}");
    }
    assert!(numbers(&log(&world, &[]).out()).into_iter().eq(999_980..1_000_000));
    assert_eq!(log(&world, &["-n", "0"]).out(), "");
    assert_eq!(numbers(&log(&world, &["-g", "line 77777", "-n", "3"]).out()), [777_777, 777_778, 777_779]);
}

#[test]
fn the_end_is_shown_whatever_was_written_before() {
    // Nobody reads so much within the time that a test has.
    const ENDLESS: u64 = 1 << 40;
    let world = World::new(!is_root());
    dead(&world, "web", &[]);
    for name in ["current".to_owned(), format!("{}.s", label(NINE))] {
        let mut file = File::create(world.scratch.mkdir("scan/web/log/main").join(name)).expect("a file");
        if file.set_len(ENDLESS).is_err() {
            return testkit::skip("no file of this length here");
        }
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).expect("it seeks");
        file.write_all(format!("\n{}", lines(NINE, 100, "line")).as_bytes()).expect("it is written");
    }
    assert!(numbers(&log(&world, &[]).out()).into_iter().eq(80..100));
    assert!(numbers(&log(&world, &["-n", "3", "-g", "line 5"]).out()).into_iter().eq(57..60));
    fs::rename(world.scratch.path("scan/web/log/main/current"), world.scratch.path("scan/web/log/main/other"))
        .expect("renames");
    world.scratch.write("scan/web/log/main/current", lines(NINE + 50, 50, "line"));
    // The name of the file says that it ended before.
    assert!(numbers(&log(&world, &["--since", "2026-11-28T21:00:50Z"]).out()).into_iter().eq(50..100));
}

#[test]
fn a_line_of_any_length_is_not_held() {
    let world = World::new(!is_root());
    let length = 100 << 20;
    dead(&world, "web", &[]);
    let file = File::create(world.scratch.mkdir("scan/web/log/main").join("current")).expect("a file");
    file.set_len(length).expect("it is made");
    let uphold = world.command("uphold", &[]).get_program().to_owned();
    let mut shell = Command::new("/bin/sh");
    let line = "ulimit -v 50000; \"$0\" -C scan log web | wc -c";
    shell.args(["-c", line]).arg(uphold).current_dir(world.scratch.root());
    let said = finish(&mut shell);
    assert_eq!((said.err().as_str(), said.out().trim()), ("", (length + 1).to_string().as_str()));
}

#[test]
fn stamps_are_shown_as_is_asked() {
    let world = World::new(!is_root());
    // 2100 is beyond 32 bits.
    let year_2100 = format!("{}.s", label(4_107_542_400));
    let text = format!("{} a\nno stamp\n{} b\n\n{}0 c\n", label(NINE), label(4_107_456_000), label(NINE));
    dead(&world, "web", &[(year_2100, text), current("last")]);
    let shown = |words: &[&str]| {
        let mut command = world.command("uphold", &[&["-C", "scan", "log"], words].concat());
        finish(command.env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")).out()
    };
    let rest = format!("\n{}0 c\nlast\n", label(NINE));
    let utc = "2026-11-28 21:00:00.000000000 a\nno stamp\n2100-02-28 00:00:00.000000000 b\n";
    assert_eq!(shown(&["--utc", "web"]), format!("{utc}{rest}"));
    let local = "2026-11-28 22:00:00.000000000 a\nno stamp\n2100-02-28 01:00:00.000000000 b\n";
    assert_eq!(shown(&["web"]), format!("{local}{rest}"));
    let raw = format!("{} a\nno stamp\n{} b\n", label(NINE), label(4_107_456_000));
    assert_eq!(shown(&["--raw", "web/log"]), format!("{raw}{rest}"));
    // s6-log counts the leap seconds.
    world.scratch.script("scan/web/log/run", "exec s6-log t ./main");
    assert!(shown(&["--utc", "web"]).starts_with("2026-11-28 20:59:33.000000000 a\nno stamp\n"));
}

#[test]
fn a_line_that_the_end_of_a_file_cuts() {
    let world = World::new(!is_root());
    let file = |second: i64, end: &str, text: String| (format!("{}{end}", label(second)), text);
    dead(
        &world,
        "web",
        &[
            file(NINE + 1, ".s", format!("{} a long", label(NINE))),
            file(NINE + 2, ".s", format!("er line\n{} whole\n{} killed", label(NINE), label(NINE))),
            file(NINE + 3, ".u", format!("{} cut", label(NINE))),
            file(NINE + 4, ".s", "no stamp\n".to_owned()),
            current(""),
        ],
    );
    let at = "2026-11-28 21:00:00.000000000";
    let lines = ["a longer line", "whole", "killed", "cut"].map(|line| format!("{at} {line}"));
    let all = [&lines[..], &["no stamp".to_owned()]].concat();
    for count in 1..=6 {
        let said = log(&world, &["-n", &count.to_string()]).out();
        let said: Vec<&str> = said.lines().collect();
        assert_eq!(said, all[all.len().saturating_sub(count)..], "{count}");
    }
}

#[test]
fn ten_services_are_merged_by_time() {
    let world = World::new(!is_root());
    for number in 0..10 {
        let text = (0..200).fold(String::new(), |text, step| text + &lines(NINE + step * 10 + number, 1, "at"));
        let old = (format!("{}.s", label(NINE + 1000)), text[..text.len() / 2].to_owned());
        dead(&world, &format!("web{number}"), &[old, current(&text[text.len() / 2..])]);
    }
    world.service("lone", LIVES, &[]);
    let said = log(&world, &["-n", "all"]);
    assert_eq!((said.code, said.err().as_str()), (0, ""));
    assert!(numbers(&said.out()).into_iter().eq(0..2000));
    for (number, line) in said.out().lines().enumerate() {
        assert!(line.starts_with(&format!("web{} | 2026-11-28 21:", number % 10)), "{line}");
    }
    assert!(numbers(&log(&world, &["-n", "33", "web*"]).out()).into_iter().eq(1967..2000));
    assert!(numbers(&log(&world, &["web3", "web7", "-n4"]).out()).into_iter().eq([1983, 1987, 1993, 1997]));
    assert!(!log(&world, &["web3"]).out().contains('|'));
}

#[test]
fn lines_are_chosen_by_time_and_text() {
    let world = World::new(!is_root());
    let old = (format!("{}.s", label(NINE + 60)), lines(NINE, 60, "old"));
    dead(&world, "web", &[old, current(&(lines(NINE + 60, 60, "new") + "no stamp 120\n"))]);
    let shown = |words: &[&str]| numbers(&log(&world, words).out());
    assert_eq!(shown(&["--since", "2026-11-28 21:01:58Z"]), [118, 119, 120]);
    assert_eq!(shown(&["--since", "2026-11-28T22:01:58+01:00", "--until", "2026-11-28T21:01:58Z"]), [118]);
    assert!(shown(&["--since", "2026-11-28"]).into_iter().eq(0..121));
    assert!(shown(&["--until", "2026-11-28T21:00Z"]).into_iter().eq(40..60));
    assert_eq!(shown(&["--until", "2026-11-28T21:00:59Z", "-n", "1"]), [59]);
    assert_eq!(shown(&["--until", "2026-11-28T20:59:59Z"]), []);
    assert_eq!(shown(&["-g", "old 5", "-n", "3"]), [57, 58, 59]);
    assert_eq!(shown(&["-g", "old 5", "-g", "w 6"]), (60..70).collect::<Vec<_>>());
    assert_eq!(shown(&["-g", "."]), []);
    for wrong in [&["-n"][..], &["-n", "x"], &["-n", "-1"], &["--since", "soon"], &["-f", "--until", "1m"], &["-x"]] {
        let said = log(&world, wrong);
        assert_eq!((said.code, said.out().as_str()), (100, ""), "{wrong:?}");
    }
    let unknown = log(&world, &["wbe", "web", "-n1"]);
    assert_eq!((unknown.code, unknown.err().as_str()), (1, "uphold log: no service wbe in scan: is it web?\n"));
    assert_eq!(unknown.out(), "no stamp 120\n");
}

#[test]
fn a_log_directory_may_be_a_link() {
    let world = World::new(!is_root());
    dead(&world, "web", &[]);
    world.scratch.write("var/current", lines(NINE, 2, "line"));
    symlink(world.scratch.path("var"), world.scratch.path("scan/web/log/main")).expect("a link");
    let found = log(&world, &["web"]);
    assert_eq!((found.code, found.err().as_str(), numbers(&found.out())), (0, "", vec![0, 1]));
}

#[test]
fn nobody_is_waited_for_in_place_of_a_file() {
    let world = World::new(!is_root());
    dead(&world, "web", &[current(&lines(NINE, 2, "line"))]);
    let fifo = |name: &str| {
        let path = world.scratch.path(name);
        let _ = fs::remove_file(&path);
        sys::fd::make_fifo(&*path).expect("a FIFO");
    };
    // What says where svlogd has its processor, a finished file, and what says where the log is.
    fifo("scan/web/log/main/config");
    fifo(&format!("scan/web/log/main/@{}.s", &label(NINE)[1..]));
    for run in ["exec svlogd ./main", "exec multilog t ./main"] {
        world.scratch.script("scan/web/log/run", run);
        let found = log(&world, &["web"]);
        let finished = format!("@{}.s: not a regular file\n", &label(NINE)[1..]);
        assert_eq!((found.code, numbers(&found.out())), (1, vec![0, 1]), "{run}");
        assert_eq!(found.err(), format!("uphold log: unable to read scan/web/log/main/{finished}"));
    }
    fifo("scan/web/log/run");
    assert_eq!(numbers(&log(&world, &["web"]).out()), [0, 1]);
}

#[test]
fn control_characters_are_shown_on_a_terminal_and_passed_on_in_a_pipe() {
    let world = World::new(!is_root());
    let hostile = b"a\x1b[2Jb\tc\r\x07\xff\n";
    dead(&world, "web", &[]);
    world.scratch.write("scan/web/log/main/current", hostile);
    assert_eq!(log(&world, &["web"]).stdout, hostile);
    let Some(shown) = world.on_terminal(80, &["log", "web"], |_| ()) else { return };
    assert_eq!(shown, "a\\x1b[2Jb\tc\\x0d\\x07\\xff\n");
}

#[test]
fn compressed_files_are_read_through_their_programs() {
    let world = World::new(!is_root());
    for (number, program) in ["gzip", "xz", "zstd"].into_iter().enumerate() {
        let Some(program) = needs_program(program) else { continue };
        let name = format!("web{number}");
        let plain = world.scratch.write("plain", lines(NINE, 60, "old"));
        let packed = finish(Command::new(&program).arg("-c").arg(plain));
        dead(&world, &name, &[current(&lines(NINE + 60, 10, "new"))]);
        let file = format!("scan/{name}/log/main/{}.s", label(NINE + 60));
        world.scratch.write(&file, packed.stdout.as_slice());
        let said = log(&world, &[&name, "-n", "all"]);
        assert!(said.code == 0 && numbers(&said.out()).into_iter().eq(0..70), "{said:?}");
        assert!(numbers(&log(&world, &[&name]).out()).into_iter().eq(50..70));
        assert_eq!(numbers(&log(&world, &[&name, "-g", "old 3", "-n1"]).out()), [39]);
        let mut command = world.command("uphold", &["-C", "scan", "log", "--utc", &name]);
        let without = finish(command.env("PATH", "/nonexistent"));
        assert!(without.code == 1 && numbers(&without.out()).into_iter().eq(60..70), "{without:?}");
        let program = program.file_name().expect("a name").to_str().expect("text");
        let line = format!("uphold log: {file} is left out: unable to run {program} -dc: file does not exist\n");
        assert_eq!(without.err(), line);
    }
}

#[test]
fn nobody_reads_what_is_shown() {
    let world = World::new(!is_root());
    dead(&world, "web", &[current(&lines(NINE, 50_000, "line"))]);
    let piped = |words: &[&str]| {
        let words = [&["-C", "scan", "log", "web"], words].concat();
        testkit::start(world.command("uphold", &words).stdout(Stdio::piped()).stderr(Stdio::piped()))
    };
    let silent = |mut uphold: Running| {
        let mut err = String::new();
        let code = uphold.end();
        uphold.child().stderr.take().expect("piped").read_to_string(&mut err).expect("reads");
        // 1013 is a death by SIGPIPE.
        assert!(err.is_empty() && [0, 1013].contains(&code), "{code} {err}");
    };
    let mut all = piped(&["-n", "all"]);
    let mut first = [0; 10];
    all.child().stdout.as_mut().expect("piped").read_exact(&mut first).expect("reads");
    drop(all.child().stdout.take());
    silent(all);
    // Nothing is written any more, and it ends all the same.
    let mut follows = piped(&["-f", "-n1"]);
    follows.child().stdout.as_mut().expect("piped").read_exact(&mut first).expect("reads");
    drop(follows.child().stdout.take());
    silent(follows);
}

#[test]
fn a_running_logger_tells_where_it_writes() {
    for_each(users(), |&ordinary| {
        let mut world = World::new(ordinary);
        world.scratch.lend("multilog");
        world.scratch.mkdir_given("far");
        world.service("web", "i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo line $i; done; exec sleep 100000", &[]);
        // Only its command line tells.
        world.scratch.script("scan/web/log/run", "cd ../../../far || exit 1; dir=logs/web; exec multilog t ./$dir");
        world.service("lone", LIVES, &[]);
        world.service("strange", LIVES, &[]);
        world.scratch.script("scan/strange/log/run", "exec cat >/dev/null");
        for log in ["scan/web/log", "scan/strange/log", "far"] {
            world.scratch.give(log);
        }
        fs::create_dir(world.scratch.path("far/logs")).expect("a directory");
        world.scratch.give("far/logs");
        world.serve();
        wait_until("it is logged", || world.uphold(&["log", "web"]).out().ends_with(" line 50\n"));
        let said = log(&world, &["web", "-n", "all"]);
        assert!(said.code == 0 && numbers(&said.out()).into_iter().eq(1..=50), "{said:?}");
        let lone =
            wait_for("it runs", || Some(log(&world, &["lone"])).filter(|said| !said.err().contains("no supervise")));
        assert_eq!((lone.code, lone.out().as_str()), (1, ""));
        assert!(lone.err().starts_with("uphold log: lone has no logger: its lines go to "), "{lone:?}");
        let strange = log(&world, &["strange"]);
        let line = "uphold log: strange: log/run names no log directory, and there is none in scan/strange/log\n";
        assert_eq!((strange.code, strange.err().as_str()), (1, line));
    });
}

#[test]
fn the_lines_of_a_service_without_a_logger_are_in_a_file() {
    let world = World::new(!is_root());
    world.service("web", LIVES, &[]);
    assert_eq!(log(&world, &[]).err(), "uphold log: no service in scan has a logger\n");
    assert_eq!(log(&world, &["web"]).err(), "uphold log: web has no logger, and no supervise runs it\n");
    for (words, told) in
        [(&["scan"][..], "its lines go to"), (&["--prefix", "scan"], "its lines go to the stdout of svscan, which is")]
    {
        let out = File::create(world.scratch.path("out")).expect("a file");
        let mut command = world.command("svscan", words);
        let mut svscan = testkit::start(command.stdin(Stdio::null()).stdout(out).stderr(Stdio::null()));
        let path = fs::canonicalize(world.scratch.path("out")).expect("it is there");
        let expected = format!("uphold log: web has no logger: {told} {}\n", path.display());
        wait_until(&expected, || log(&world, &["web"]).err() == expected);
        svscan.signal("TERM");
        svscan.end();
        let _ = finish(&mut world.command("svc", &["-dx", "scan/web"]));
        wait_until("nobody supervises it", || log(&world, &["web"]).err().contains("no supervise"));
    }
}

#[test]
fn a_log_that_may_not_be_read_is_named() {
    let world = World::new(true);
    dead(&world, "web", &[current("line\n")]);
    let main = world.scratch.path("scan/web/log/main");
    fs::set_permissions(&main, fs::Permissions::from_mode(0o0)).expect("its owner may chmod");
    let said = log(&world, &["web"]);
    let line = "uphold log: web: unable to read scan/web/log/main: access denied\n";
    assert_eq!((said.code, said.err().as_str(), said.out().as_str()), (1, line, ""));
    fs::set_permissions(&main, fs::Permissions::from_mode(0o755)).expect("its owner may chmod");
    assert_eq!(log(&world, &["web"]).out(), "line\n");
    fs::remove_dir_all(&main).expect("it is removed");
    let line = "uphold log: web: its log directory scan/web/log/main does not exist: its logger has not made it yet\n";
    assert_eq!(log(&world, &["web"]).err(), line);
    symlink("main", &main).expect("a link");
    assert_eq!(log(&world, &["web"]).code, 1);
}

/// Follows, and writes to a file.
fn follow(world: &World, words: &[&str]) -> Running {
    let out = File::create(world.scratch.path("followed")).expect("a file");
    let words = [&["-C", "scan", "log", "--utc", "-f", "-n", "all"], words].concat();
    testkit::start(world.command("uphold", &words).stdout(out))
}

#[test]
fn two_hundred_rotations_are_followed_without_a_line_twice_or_lost() {
    // A processor makes other files of those that were followed.
    for_each(&["", "'!cat'"], |processor| {
        let world = World::new(!is_root());
        dead(&world, "web", &[current("")]);
        world.scratch.script("scan/web/log/run", &format!("exec multilog t {processor} ./main"));
        fs::remove_dir_all(world.scratch.path("scan/web/log/main")).expect("it is removed");
        let count = 13_000;
        let mut multilog = world.command("multilog", &["t", "s4096", "n1000"]);
        if !processor.is_empty() {
            multilog.arg("!cat");
        }
        let mut multilog = testkit::start(multilog.arg("./scan/web/log/main").stdin(Stdio::piped()));
        let mut pipe = multilog.child().stdin.take().expect("piped");
        writeln!(pipe, "line 0").expect("it is written");
        wait_until("it is there", || world.scratch.text("scan/web/log/main/current").ends_with(" line 0\n"));
        let mut uphold = follow(&world, &["web"]);
        wait_until("it follows", || world.scratch.text("followed").ends_with(" line 0\n"));
        for number in 1..count {
            writeln!(pipe, "line {number}").expect("it is written");
        }
        let last = format!(" line {}\n", count - 1);
        wait_until("all is followed", || world.scratch.text("followed").ends_with(&last));
        drop(pipe);
        assert_eq!(multilog.end(), 0);
        let files = fs::read_dir(world.scratch.path("scan/web/log/main")).expect("it is there").count();
        assert!(files > 200, "{files} files");
        let followed = numbers(&world.scratch.text("followed"));
        let wrong = followed.iter().zip(0..).find(|&(&found, expected)| found != expected);
        assert_eq!((followed.len(), wrong), (count, None), "{processor}");
        assert_eq!(uphold.ended(), None);
    });
}

#[test]
fn a_file_that_is_removed_while_it_is_read_is_read_to_its_end() {
    let world = World::new(!is_root());
    dead(&world, "web", &[current(&lines(NINE, 3, "line"))]);
    let path = world.scratch.path("scan/web/log/main/current");
    let mut writer = fs::OpenOptions::new().append(true).open(&path).expect("it is there");
    let _uphold = follow(&world, &["web"]);
    let shows = |last: i64| {
        wait_until(&format!("{last}"), || numbers(&world.scratch.text("followed")).into_iter().eq(0..=last));
    };
    shows(2);
    fs::remove_file(&path).expect("it is removed");
    writer.write_all(lines(NINE + 3, 3, "line").as_bytes()).expect("it is written");
    shows(5);
    writer.write_all(lines(NINE + 6, 1, "line").as_bytes()).expect("it is written");
    fs::write(&path, lines(NINE + 7, 2, "line")).expect("a file");
    shows(8);
    // It is emptied.
    File::create(&path).expect("a file");
    fs::write(&path, lines(NINE + 9, 1, "line")).expect("a file");
    shows(9);
}

#[test]
fn several_services_are_followed_while_they_are_down_too() {
    let mut world = World::new(!is_root());
    world.scratch.lend("multilog");
    for name in ["one", "two"] {
        world.service(name, &format!("echo {name} $(cat count); {LIVES}"), &[("down", ""), ("count", "1")]);
        world.scratch.script(format!("scan/{name}/log/run"), "exec multilog t ./main");
        world.scratch.give(&format!("scan/{name}/log"));
    }
    world.serve();
    wait_until("they log", || log(&world, &[]).code == 0);
    let _uphold = follow(&world, &["one", "two"]);
    let mut expected = Vec::new();
    for count in 1..4 {
        for name in ["two", "one"] {
            world.scratch.write(format!("scan/{name}/count"), count.to_string());
            assert_eq!(finish(&mut world.command("svc", &["-u", &format!("scan/{name}")])).code, 0);
            expected.push(format!("{name} {name} {count}"));
            wait_until(&format!("{expected:?}"), || {
                let shown = world.scratch.text("followed");
                let short = shown.lines().map(|line| {
                    let (name, rest) = line.split_once(" | ").expect("a name");
                    format!("{name} {}", rest.splitn(3, ' ').nth(2).expect("a line"))
                });
                short.eq(expected.iter().cloned())
            });
            let down = ["-d", "--wait=down", &format!("scan/{name}")];
            assert_eq!(finish(&mut world.command("svc", &down)).code, 0);
        }
    }
}

#[test]
fn svlogd_and_s6_log_are_followed_over_rotations() {
    for_each(&["svlogd", "s6-log"], |&logger| {
        let Some(program) = needs_program(logger) else { return };
        let world = World::new(!is_root());
        world.service("web", LIVES, &[]);
        let main = world.scratch.mkdir("scan/web/log/main");
        world.scratch.script("scan/web/log/run", &format!("exec {logger} t ./main"));
        let mut command = Command::new(program);
        if logger == "svlogd" {
            world.scratch.script("scan/web/log/run", "exec svlogd -t ./main");
            world.scratch.write("scan/web/log/main/config", "s4096\nn1000\n");
            command.arg("-t");
        } else {
            command.args(["t", "s4096", "n1000"]);
        }
        let mut running = testkit::start(command.arg(&main).stdin(Stdio::piped()));
        let mut pipe = running.child().stdin.take().expect("piped");
        writeln!(pipe, "line 0").expect("it is written");
        wait_until("it is there", || world.scratch.text("scan/web/log/main/current").ends_with(" line 0\n"));
        let _uphold = follow(&world, &["web"]);
        for number in 1..5000 {
            writeln!(pipe, "line {number}").expect("it is written");
        }
        wait_until("all is followed", || world.scratch.text("followed").ends_with(" line 4999\n"));
        assert!(numbers(&world.scratch.text("followed")).into_iter().eq(0..5000));
        let now = fs::metadata(main.join("current")).expect("it is there").modified().expect("it was written");
        let seconds = now.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        let shown = log(&world, &["-n1", "web", "--since", "1m", "--until", "0ms"]);
        assert_eq!(numbers(&shown.out()), [4999], "{logger} {seconds}");
        drop(pipe);
        running.end();
        assert!(numbers(&log(&world, &["web", "-n", "all"]).out()).into_iter().eq(0..5000));
    });
}
