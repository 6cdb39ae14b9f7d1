//! The file `max-death-tally`: supervise keeps how the last lives of the service have ended.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use svdir::Exit;
use svdir::tally::{self, Death};
use testkit::{holds_for, is_root, signal, wait_until};

use super::service::{ENDS, LIVES, Service, User, for_each_user};

const TALLY: &str = "web/supervise/death_tally";

fn deaths(service: &Service) -> Vec<Death> {
    fs::read(service.scratch.path(TALLY)).map(|bytes| tally::deaths(&bytes).collect()).unwrap_or_default()
}

fn exits(service: &Service) -> Vec<Exit> {
    deaths(service).into_iter().map(|death| death.exit).collect()
}

#[test]
fn the_last_ends_are_kept_and_svstat_shows_them() {
    for_each_user(|user| {
        let service = Service::new(user, ENDS, &[("max-death-tally", "2"), ("end", "exit 1")]).start();
        wait_until("two ends are kept", || exits(&service) == [Exit::Code(1); 2]);
        service.put("end", "kill -SEGV $$");
        wait_until("the oldest goes", || exits(&service).len() == 2 && exits(&service)[1] == Exit::Signal(11));
        service.put("end", "exec sleep 1000");
        wait_until("it stays up", || service.svstat().starts_with("up"));
        let [.., first, last] = deaths(&service)[..] else { panic!("there are two") };
        let label = |death: Death| String::from_utf8(death.at.text().to_vec()).expect("digits");
        let line = |death: Death| {
            format!(
                "{} web: {}\n",
                label(death),
                if death.exit == Exit::Code(1) { "exited 1" } else { "killed by SIGSEGV" }
            )
        };
        let shown = service.scratch.run("svstat", &["--deaths", "web"]);
        assert_eq!((shown.code, shown.out()), (0, line(first) + &line(last)));
        assert!(first.at.unix_seconds() <= last.at.unix_seconds());
        assert_eq!(service.said(), "");
    });
}

#[test]
fn it_is_kept_over_a_kill_and_an_upgrade_of_supervise() {
    for_each_user(|user| {
        let mut service = Service::new(user, LIVES, &[("max-death-tally", "100")]).start();
        let first = service.wait_up();
        signal(first, "KILL");
        let second = service.wait_restart(first);
        wait_until("an end is kept", || exits(&service) == [Exit::Signal(9)]);
        service.kill_supervise();
        service.supervise();
        assert_eq!(service.wait(&["--reexec"]).code, 0);
        signal(second, "INT");
        wait_until("another is added", || exits(&service).len() == 2);
        assert_eq!(exits(&service)[0], Exit::Signal(9));
        // One that ends while nobody supervises it is added by the next supervise.
        let third = service.wait_restart(second);
        service.kill_supervise();
        signal(third, "KILL");
        service.supervise();
        wait_until("that is added too", || exits(&service).len() == 3);
    });
}

#[test]
fn a_copy_that_was_replaced_has_not_ended_the_service() {
    for_each_user(|user| {
        let service = Service::new(user, LIVES, &[("max-death-tally", "100"), ("warmup", "1ms")]).start();
        service.wait_up();
        assert_eq!(service.wait(&["-R", "--wait=replaced"]).code, 0);
        holds_for(Duration::from_millis(500), "nothing is added", || exits(&service).is_empty());
        service.svc("-t");
        wait_until("an end that was asked for is added", || exits(&service) == [Exit::Signal(15)]);
    });
}

#[test]
fn where_nobody_asks_for_it_there_is_none() {
    for_each_user(|user| {
        let files = [None, Some("0"), Some("many"), Some("4097"), Some("")];
        testkit::for_each(&files, |contents| {
            let service = Service::new(user, ENDS, &[("end", "exit 1")]);
            if let Some(contents) = contents {
                service.put("max-death-tally", contents);
            }
            let service = service.start();
            service.wait_starts(3);
            assert!(!service.scratch.path(TALLY).exists(), "{contents:?}");
            let shown = service.scratch.run("svstat", &["--deaths", "web"]);
            assert_eq!(shown.out(), "web: unable to read supervise/death_tally: file does not exist\n");
            let why = match contents {
                None | Some("0") => return assert_eq!(service.said(), ""),
                Some("many") => "not a number",
                Some("") => "it is empty",
                Some(_) => "not a number from 0 to 4096",
            };
            let line = format!("supervise: warning: unable to use web/max-death-tally, taking none: {why}\n");
            assert_eq!(service.said(), line);
        });
    });
}

#[test]
fn one_that_cannot_be_written_is_told_once_and_followed_nowhere() {
    for_each_user(|user| {
        let service = Service::new(user, ENDS, &[("max-death-tally", "5"), ("end", "exit 1")]).start();
        wait_until("an end is kept", || !exits(&service).is_empty());
        let precious = service.scratch.write("precious", "kept\n");
        symlink(&precious, service.scratch.path("web/supervise/death_tally.new")).expect("a link");
        wait_until("that is told", || !service.said().is_empty());
        service.wait_starts(service.starts() + 2);
        assert_eq!(
            service.said(),
            "supervise: warning: unable to write web/supervise/death_tally: symbolic link loop\n"
        );
        assert_eq!(service.scratch.text("precious"), "kept\n");
        if user == User::Own && is_root() {
            fs::remove_file(service.scratch.path("web/supervise/death_tally.new")).expect("it is ours");
            let before = deaths(&service).len();
            wait_until("it goes on", || deaths(&service).len() > before || before == 5);
        }
    });
}
