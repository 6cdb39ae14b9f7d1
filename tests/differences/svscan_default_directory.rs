//! To the original's svc, svstat and svok a service is known by its path alone. Ours look for a name that is no path that exists in `$SVDIR`, else in
//! `/service` as root, else in `service` in `$XDG_CONFIG_HOME` or `~/.config`; and `svscan --default` serves that directory, which is made if it is
//! missing. Why: users have services too, and `svc -t web` is what people type.

use std::process::Command;

use testkit::{Running, Scratch, finish, start, wait_until};

use crate::world::wait_up;

/// A program that finds the default directory by `SVDIR`.
fn command(scratch: &Scratch, program: &str, words: &[&str]) -> Command {
    let mut command = scratch.command(program, words);
    command.env("SVDIR", scratch.path("services"));
    command
}

fn svscan(scratch: &Scratch) -> Running {
    scratch.service("services/web", "exec sleep 1000");
    scratch.service("services/web/log", "exec cat >/dev/null");
    let running = start(&mut command(scratch, "svscan", &["--default"]));
    wait_up(scratch, "services/web");
    wait_up(scratch, "services/web/log");
    running
}

#[test]
fn svdir_is_scanned_and_names_are_found_in_it() {
    let scratch = Scratch::new();
    let _svscan = svscan(&scratch);
    assert_eq!(finish(&mut command(&scratch, "svok", &["web"])).code, 0);
    let told = finish(&mut command(&scratch, "svstat", &["web", "web/log"])).out();
    assert!(told.starts_with("web: up (pid ") && told.contains("\nweb/log: up (pid "), "{told}");
    let sent = finish(&mut command(&scratch, "svc", &["-d", "web"]));
    assert_eq!((sent.code, sent.err().as_str()), (0, ""));
    wait_until("it is down", || finish(&mut command(&scratch, "svstat", &["web"])).out().starts_with("web: down "));
}

#[test]
fn what_exists_comes_first_and_of_what_is_nowhere_both_places_are_said() {
    let scratch = Scratch::new();
    let _svscan = svscan(&scratch);
    scratch.service("web", "");
    std::os::unix::fs::symlink("nowhere", scratch.path("dangling")).expect("a link");
    scratch.service("services/dangling", "exec sleep 1000");
    wait_up(&scratch, "services/dangling");
    let told = finish(&mut command(&scratch, "svstat", &["web", "./web/x", "dangling", "none"])).out();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.first(), Some(&"web: unable to open supervise/ok: file does not exist"));
    assert_eq!(
        lines.get(1..),
        Some(
            &[
                "./web/x: unable to chdir: file does not exist",
                "dangling: unable to chdir: file does not exist",
                &format!(
                    "none: unable to chdir: file does not exist, nor does {}/none",
                    scratch.path("services").display()
                ),
            ][..]
        )
    );
    assert_eq!(finish(&mut command(&scratch, "svok", &["web"])).code, 100);
    let none = format!("none: file does not exist, nor does {}/none\n", scratch.path("services").display());
    for (program, level) in [("svc", "warning"), ("svok", "fatal")] {
        let said = finish(&mut command(&scratch, program, &["none"])).err();
        assert_eq!(said, format!("{program}: {level}: unable to chdir to {none}"));
    }
}

#[test]
fn the_directory_of_a_user_is_made_and_that_is_said_once() {
    for (variable, below) in [("XDG_CONFIG_HOME", "service"), ("HOME", ".config/service")] {
        let scratch = Scratch::new();
        let home = scratch.mkdir_given("home");
        let dir = home.join(below);
        let run = |name: &str| {
            let mut command = scratch.ordinary("svscan", &["--default"]);
            scratch.lend("supervise");
            command.env_remove("SVDIR").env_remove("XDG_CONFIG_HOME").env(variable, &home).current_dir(&home);
            let out = std::fs::File::create(scratch.path(name)).expect("a file");
            start(command.stderr(out))
        };
        if testkit::is_root() || !dir.exists() {
            let mut svscan = run("first");
            wait_until("it is made", || dir.is_dir());
            wait_until("it is said", || !scratch.text("first").is_empty());
            assert_eq!(scratch.text("first"), format!("svscan: made {}\n", dir.display()));
            wait_until("it serves", || {
                scratch
                    .processes()
                    .iter()
                    .any(|&pid| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == dir))
            });
            svscan.signal("TERM");
            svscan.end();
        }
        let _svscan = run("second");
        wait_until("it serves", || {
            scratch
                .processes()
                .iter()
                .any(|&pid| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == dir))
        });
        assert_eq!(scratch.text("second"), "");
    }
}

#[test]
fn svscanboot_and_boot_know_it_too() {
    let scratch = Scratch::new();
    scratch.service("services/web", "exec sleep 1000");
    let _svscanboot = start(command(&scratch, "svscanboot", &[]).env_remove("SVSCAN_DIR"));
    wait_up(&scratch, "services/web");
    let status = finish(&mut command(&scratch, "uphold", &["boot", "status"]));
    assert_eq!(status.out(), format!("svscan runs in {}\n", scratch.path("services").display()));
    let stopped = finish(&mut command(&scratch, "uphold", &["boot", "stop"]));
    assert_eq!((stopped.code, stopped.err().as_str()), (0, ""));
}
