//! `uphold usage`: what a process uses, and whether that is below given bounds.

use std::fs;
use std::process::{Command, Stdio};

use testkit::{
    Finished, Jail, Running, Scratch, children, finish, for_each, needs_program, needs_root, start, state, wait_for,
    wait_until,
};

/// No process has it: it is above the greatest pid of every kernel.
const NOBODY: &str = "2147483647";

fn ran(code: i32, stdout: &str, stderr: &str) -> Finished {
    Finished { code, stdout: stdout.into(), stderr: stderr.into() }
}

fn fatal(code: i32, line: &str) -> Finished {
    ran(code, "", &format!("uphold usage: fatal: {line}\n"))
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    Own,
    Ordinary,
}

/// Processes to be measured, and who measures them.
struct World {
    scratch: Scratch,
    user: User,
}

impl World {
    fn new(user: User) -> World {
        let scratch = Scratch::new();
        if user == User::Ordinary {
            scratch.lend("uphold");
        }
        World { scratch, user }
    }

    /// Starts a shell script as this user.
    fn script(&self, script: &str) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(self.scratch.root());
        let mut command = if self.user == User::Own { command } else { self.scratch.as_ordinary(command) };
        start(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()))
    }

    /// Starts a process that sleeps, and waits until it does.
    fn sleeper(&self) -> Running {
        let sleeper = self.script("exec sleep 100000");
        wait_until("it sleeps", || sleeps(sleeper.pid()));
        sleeper
    }

    fn command(&self, words: &[&str], pid: u32) -> Command {
        let pid = pid.to_string();
        let words = [&["usage"][..], words, &[&pid]].concat();
        match self.user {
            User::Own => self.scratch.command("uphold", &words),
            User::Ordinary => self.scratch.ordinary("uphold", &words),
        }
    }

    fn usage(&self, words: &[&str], pid: u32) -> Finished {
        finish(&mut self.command(words, pid))
    }

    /// The figures of the line on stdout.
    fn line(&self, words: &[&str], pid: u32) -> [String; 4] {
        let said = self.usage(words, pid);
        assert_eq!((said.code, said.err().as_str()), (0, ""));
        let out = said.out();
        let words: Vec<&str> = out.strip_suffix('\n').expect("a line").split(' ').collect();
        let ["rss", rss, "cpu", cpu, "fds", fds, "age", age] = words[..] else { panic!("{out:?}") };
        [rss, cpu, fds, age].map(str::to_owned)
    }
}

fn for_each_user(test: impl Fn(&World) + Sync) {
    let users: &[User] = if testkit::is_root() { &[User::Own, User::Ordinary] } else { &[User::Own] };
    for_each(users, |&user| test(&World::new(user)));
}

fn name(pid: u32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/comm")).unwrap_or_default()
}

/// Whether a process has become `sleep`, and has nothing more to open or close.
fn sleeps(pid: u32) -> bool {
    name(pid) == b"sleep\n" && state(pid) == Some('S')
}

/// How many descriptors a process has open.
fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives").count()
}

/// The memory of a process in k.
fn kilobytes(size: &str) -> u64 {
    let (number, unit) = size.split_at(size.len() - 1);
    let number: u64 = number.parse().expect("a number");
    number
        * if unit == "M" {
            1024
        } else {
            assert_eq!(unit, "k");
            1
        }
}

#[test]
fn without_a_bound_it_says_what_a_process_uses() {
    for_each_user(|world| {
        let sleeper = world.sleeper();
        let [rss, cpu, fds, age] = world.line(&[], sleeper.pid());
        assert!((1..100_000).contains(&kilobytes(&rss)), "{rss}");
        assert!(cpu.strip_suffix('%').is_some_and(|cpu| cpu.parse::<u64>().is_ok()), "{cpu}");
        assert_eq!(fds, descriptors(sleeper.pid()).to_string());
        assert!(age.starts_with(|first: char| first.is_ascii_digit()) && !age.contains(['h', 'd']), "{age}");
    });
}

#[test]
fn what_is_not_below_its_bound_is_named() {
    for_each_user(|world| {
        let sleeper = world.sleeper();
        let pid = sleeper.pid();
        let fds = descriptors(pid);
        for words in [
            &["--rss-below", "1G"][..],
            &["--fds-below", &(fds + 1).to_string()],
            &["--age-below=1d"],
            &["--cpu-below", "100000%"],
            &["--tree", "--rss-below=1G", "--cpu-below=100000", "--fds-below=100000", "--age-below=1.5h"],
        ] {
            assert_eq!(world.usage(words, pid), ran(0, "", ""), "{words:?}");
        }
        let below = world.usage(&["--fds-below", &fds.to_string()], pid);
        assert_eq!(below, ran(1, "", &format!("uphold usage: pid {pid}: fds {fds} is not below {fds}\n")));
        for (words, ends) in [
            (&["--rss-below", "1k"][..], &["rss ", "k is not below 1k"][..]),
            (&["--age-below", "0.5ms"], &["age ", " is not below 0.5ms"]),
            (&["--cpu-below", "0%"], &["cpu ", "% is not below 0%"]),
            (
                &["--rss-below=1k", "--rss-below=1G", "--fds-below=0"],
                &["rss ", "k is not below 1k, fds ", " is not below 0"],
            ),
        ] {
            let said = world.usage(words, pid);
            let err = said.err();
            let line = err.strip_prefix(&format!("uphold usage: pid {pid}: ")).expect("its beginning");
            assert_eq!((said.code, said.out().as_str(), err.lines().count()), (1, "", 1), "{err}");
            assert!(line.starts_with(ends[0]) && ends[1..].iter().all(|end| line.contains(end)), "{err}");
        }
    });
}

#[test]
fn one_that_computes_is_told_from_one_that_sleeps() {
    let world = World::new(User::Own);
    let (busy, idle) = (world.script("while :; do :; done"), world.sleeper());
    let code = |pid| world.usage(&["--cpu-below", "1%"], pid).code;
    // On a busy machine a second may pass without a turn for it.
    wait_until("it computes", || code(busy.pid()) == 1);
    wait_until("it sleeps", || code(idle.pid()) == 0);
}

#[test]
fn a_tree_is_all_that_descend_from_the_process() {
    for_each_user(|world| {
        let parent = world.script("setsid sleep 100000 & (sleep 100000 3</dev/null & wait) & read line");
        let pids = wait_for("they all sleep", || {
            let first = children(parent.pid());
            let all: Vec<u32> =
                first.iter().chain(&first.iter().flat_map(|&pid| children(pid)).collect::<Vec<_>>()).copied().collect();
            (all.iter().filter(|&&pid| sleeps(pid)).count() == 2).then_some(all)
        });
        // One of the two may have been started by a process that has only become another.
        assert!((3..=4).contains(&pids.len()), "{pids:?}");
        let [alone, tree] = [&[][..], &["--tree"]].map(|words| world.line(words, parent.pid()));
        assert_eq!(alone[2], descriptors(parent.pid()).to_string());
        let all: usize = pids.iter().copied().chain([parent.pid()]).map(descriptors).sum();
        assert_eq!(tree[2], all.to_string());
        assert!(kilobytes(&tree[0]) > kilobytes(&alone[0]), "{tree:?} {alone:?}");
        // Nothing is left behind, whatever has left its session.
        for pid in pids.into_iter().filter(|&pid| name(pid) == b"sleep\n") {
            testkit::signal(pid, "KILL");
        }
    });
}

#[test]
fn a_child_that_has_ended_is_left_out() {
    for_each_user(|world| {
        let parent = world.script("exit & exec sleep 100000");
        wait_until("it has a zombie", || {
            let found = children(parent.pid());
            sleeps(parent.pid()) && found.len() == 1 && state(found[0]) == Some('Z')
        });
        assert_eq!(world.line(&["--tree"], parent.pid())[2], descriptors(parent.pid()).to_string());
    });
}

#[test]
fn one_that_has_ended_or_never_was_cannot_be_measured() {
    for_each_user(|world| {
        let zombie = world.script("exit");
        wait_until("it has ended", || state(zombie.pid()) == Some('Z'));
        for words in [&[][..], &["--tree"], &["--rss-below", "1G"], &["--fds-below", "1"], &["--cpu-below=1"]] {
            let pid = zombie.pid();
            let why = format!("unable to measure pid {pid}: it has ended, and its parent has not reaped it");
            assert_eq!(world.usage(words, pid), fatal(111, &why), "{words:?}");
            let why = format!("unable to measure pid {NOBODY}: no such process");
            assert_eq!(world.usage(words, NOBODY.parse().expect("a number")), fatal(111, &why), "{words:?}");
        }
    });
}

#[test]
fn one_that_ends_meanwhile_is_not_measured() {
    for_each_user(|world| {
        for_each(&[&["--cpu-below=100000"][..], &["--tree"]], |words| {
            // On a busy machine the second may be over before the process is killed.
            wait_until("it ends meanwhile", || {
                let mut sleeper = world.sleeper();
                let mut command = world.command(words, sleeper.pid());
                let usage = start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()));
                measures(usage.pid());
                sleeper.signal("KILL");
                sleeper.end();
                let said = into_error(usage);
                let expected =
                    format!("uphold usage: fatal: unable to measure pid {}: it has ended meanwhile\n", sleeper.pid());
                assert!(said == (0, String::new()) || said == (111, expected), "{said:?}");
                said.0 == 111
            });
        });
    });
}

/// Waits until `usage` watches a process, or has ended.
fn measures(usage: u32) {
    let is_pidfd =
        |entry: fs::DirEntry| fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().contains("pidfd"));
    wait_until("it measures", || {
        let files = fs::read_dir(format!("/proc/{usage}/fd")).into_iter().flatten();
        state(usage).is_none_or(|state| state == 'Z') || files.flatten().any(is_pidfd)
    });
}

/// Waits for the end of a program; returns its exit code and what it has written on stderr.
fn into_error(mut program: Running) -> (i32, String) {
    let code = program.end();
    let stderr = program.child().stderr.take().expect("piped");
    (code, std::io::read_to_string(stderr).expect("text"))
}

#[test]
fn a_name_that_looks_like_fields_is_only_a_name() {
    for_each_user(|world| {
        for odd in ["a b", ") R 1 1 (", "a)\\nb", "\\n\\n", "((("] {
            let named = world.script(&format!("printf '{odd}' >/proc/$$/comm; read line; :"));
            wait_until("it has the name, and waits", || {
                let name = name(named.pid());
                !name.is_empty() && !name.starts_with(b"sh") && state(named.pid()) == Some('S')
            });
            for words in [&[][..], &["--tree"]] {
                let [rss, _, fds, _] = world.line(words, named.pid());
                assert!(kilobytes(&rss) > 0, "{odd}: {rss}");
                assert_eq!(fds, descriptors(named.pid()).to_string(), "{odd}");
            }
        }
    });
}

#[test]
fn the_descriptors_of_another_user_are_unknown() {
    if !needs_root() {
        return;
    }
    let (own, other) = (World::new(User::Own), World::new(User::Ordinary));
    let sleeper = own.sleeper();
    let pid = sleeper.pid();
    let [rss, _, fds, _] = other.line(&[], pid);
    assert!(kilobytes(&rss) > 0);
    assert_eq!(fds, "?");
    assert_eq!(other.line(&["--tree"], pid)[2], "?");
    assert_eq!(other.usage(&["--rss-below=1G", "--age-below=1d", "--cpu-below=100000"], pid), ran(0, "", ""));
    let unknown = fatal(111, &format!("unable to count the descriptors of pid {pid}: access denied"));
    assert_eq!(other.usage(&["--rss-below=1G", "--fds-below=100000"], pid), unknown);
    // Whatever it has open, this is not below its bound.
    let above = other.usage(&["--rss-below=0", "--fds-below=100000"], pid);
    assert!(above.code == 1 && above.err().ends_with(" is not below 0\n"), "{above:?}");
}

#[test]
fn without_proc_nothing_can_be_measured() {
    let Some(jail) = Jail::new(&["uphold"]) else { return };
    for words in [&["--rss-below", "1G"][..], &["--tree"], &[]] {
        let told = finish(&mut jail.command(&[&["uphold", "usage"][..], words, &["1"]].concat()));
        assert_eq!(told, fatal(111, "unable to measure pid 1: there is no /proc"), "{words:?}");
    }
}

#[test]
fn what_proc_hides_is_not_there_for_this_user() {
    let (true, Some(unshare)) = (needs_root(), needs_program("unshare")) else { return };
    let (own, world) = (World::new(User::Own), World::new(User::Ordinary));
    let sleeper = own.sleeper();
    let pid = sleeper.pid();
    for hidden in ["hidepid=1", "hidepid=2"] {
        let mut command = Command::new(&unshare);
        command.args([
            "-m",
            "sh",
            "-c",
            "mount -t proc -o \"$1\" proc /proc && exec setuidgid nobody \"$2\" usage --tree \"$3\"",
            "sh",
        ]);
        command.args([hidden, world.scratch.lend("uphold").to_str().expect("UTF-8"), &pid.to_string()]);
        command.env("PATH", world.scratch.suite().search_path()).current_dir(world.scratch.root());
        let why = format!("unable to measure pid {pid}: /proc does not show it to this user");
        assert_eq!(finish(&mut command), fatal(111, &why), "{hidden}");
    }
}

/// In a PID namespace of its own, a process is measured that ends, and another one gets its pid while `uphold usage` is stopped. Exits with the code
/// of that; 98 if the machine was too busy to stop it in time, 99 if pids cannot be chosen here.
const GIVEN_ANEW: &str = "
    sleep 100000 & old=$!
    uphold usage --cpu-below 100000 $old & usage=$!
    until ls -l /proc/$usage/fd | grep -q pidfd; do [ -e /proc/$usage/exe ] || exit 98; sleep 0.01; done
    kill -STOP $usage || exit 98
    kill -KILL $old; wait $old
    while [ \"$new\" != $old ]; do
        echo $((old - 1)) >/proc/sys/kernel/ns_last_pid || exit 99
        sleep 100000 & new=$!
    done
    kill -CONT $usage; wait $usage";

#[test]
fn another_process_that_has_got_the_pid_is_not_measured() {
    let (true, Some(unshare)) = (needs_root(), needs_program("unshare")) else { return };
    let scratch = Scratch::new();
    wait_until("one ends meanwhile", || {
        let mut command = Command::new(&unshare);
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", GIVEN_ANEW]);
        let told = finish(command.env("PATH", scratch.suite().search_path()).current_dir(scratch.root()));
        if told.code == 99 {
            testkit::skip("the pids of a namespace cannot be chosen here");
            return true;
        }
        assert!(told.code != 111 || told.err().ends_with(": it has ended meanwhile\n"), "{told:?}");
        assert!([0, 98, 111].contains(&told.code), "{told:?}");
        told.code == 111
    });
}

#[test]
fn wrong_words_are_refused() {
    let scratch = Scratch::new();
    let usage = "uphold usage: usage: uphold usage [--tree] [--rss-below size] [--cpu-below percent] [--fds-below n] [--age-below time] pid\n";
    for (words, before) in [
        (&[][..], ""),
        (&["--tree"], ""),
        (&["--tree", "--"], ""),
        (&["1", "2"], ""),
        (&["1", "--tree"], ""),
        (&["-5"], "usage: illegal option -- 5\n"),
        (&["-t", "1"], "usage: illegal option -- t\n"),
        (&["--trees", "1"], "usage: illegal option --trees\n"),
        (&["--rss", "1", "1"], "usage: illegal option --rss\n"),
        (&["--tree=1", "1"], "usage: illegal option --tree=1\n"),
        (&["--rss-below"], "usage: option requires an argument --rss-below\n"),
    ] {
        let told = scratch.run("uphold", &[&["usage"][..], words].concat());
        assert_eq!(told, ran(100, "", &format!("{before}{usage}")), "{words:?}");
    }
    let huge = "9".repeat(100);
    for (words, why) in [
        (&["0"][..], "wrong pid 0: no process has it".to_owned()),
        (&[""], "wrong pid : not a whole number".to_owned()),
        (&["--", "-5"], "wrong pid -5: not a whole number".to_owned()),
        (&["1x"], "wrong pid 1x: not a whole number".to_owned()),
        (&["2147483648"], "wrong pid 2147483648: too large".to_owned()),
        (&[&huge], format!("wrong pid {huge}: too large")),
        (&["--rss-below", "", "1"], "wrong size : not a whole number with k, M, G or nothing behind it".to_owned()),
        (
            &["--rss-below", "-1M", "1"],
            "wrong size -1M: not a whole number with k, M, G or nothing behind it".to_owned(),
        ),
        (&["--rss-below", &huge, "1"], format!("wrong size {huge}: too large")),
        (&["--rss-below=17179869184G", "1"], "wrong size 17179869184G: too large".to_owned()),
        (&["--cpu-below=-1%", "1"], "wrong percentage -1%: not a whole number".to_owned()),
        (&["--cpu-below=%", "1"], "wrong percentage %: not a whole number".to_owned()),
        (&["--fds-below=1.5", "1"], "wrong number 1.5: not a whole number".to_owned()),
        (&["--age-below=5", "1"], "wrong time 5: it has no unit: say ms, s, m, h or d".to_owned()),
        (&["--age-below=5w", "1"], "wrong time 5w: not a number with ms, s, m, h or d behind it".to_owned()),
        (&["--age-below=", "1"], "wrong time : it is empty".to_owned()),
        (&["--age-below=-5d", "1"], "wrong time -5d: negative number".to_owned()),
        (&["--age-below=999999d", "1"], "wrong time 999999d: too large".to_owned()),
    ] {
        assert_eq!(scratch.run("uphold", &[&["usage"][..], words].concat()), fatal(100, &why), "{words:?}");
    }
}
