//! Directories for runsv with a `control/`: programs that are run when a letter comes, and may keep its signal back.

use std::time::Duration;

use testkit::{holds_for, wait_until};

use crate::stand::Peer::Runit;
use crate::stand::{Stand, both};

/// A service that notes in `told` that it runs and which signals it gets, and lives on but for QUIT.
fn notes(stand: &Stand) {
    let signals = "for name in HUP ALRM INT TERM USR1 USR2; do trap \"echo $name >>told\" $name; done";
    let end = "trap 'echo QUIT >>told; exit 0' QUIT";
    stand.script("run", &format!("{signals}\n{end}\necho $$ >pid\necho run >>told\nwhile :; do sleep 0.02; done"));
}

/// Makes a script for each of these letters. It notes what it is called by and what it is told, and ends as the file `code` says, or else fails.
fn scripts(stand: &Stand, letters: &str) {
    for letter in letters.chars() {
        let name = format!("control/{letter}");
        stand.script(&name, "echo $$ >script\necho \"$0 $#\" >>told\n[ -e code ] && . ./code\nexit 1");
    }
}

#[test]
fn a_script_that_succeeds_takes_the_place_of_the_signal() {
    both(Runit, |stand| {
        notes(&stand);
        // As for a web server that ends in order on QUIT only.
        stand.script("control/t", "echo t >>told\nkill -QUIT \"$(cat pid)\"");
        stand.script("finish", "echo \"finish $2\" >>told");
        let stand = stand.supervised();
        stand.wait_text("told", "run\n");
        stand.wait_up();
        stand.send("t");
        stand.wait_text("told", "run\nt\nQUIT\nfinish 0\nrun\n");
        stand.wait_up();
        stand.send("d");
        stand.wait_text("told", "run\nt\nQUIT\nfinish 0\nrun\nt\nQUIT\nfinish 0\n");
        stand.wait_down();
    });
}

#[test]
fn a_script_that_fails_is_followed_by_the_signal() {
    both(Runit, |stand| {
        notes(&stand);
        scripts(&stand, "haitq12");
        let stand = stand.supervised();
        let mut told = "run\n".to_owned();
        stand.wait_text("told", &told);
        stand.wait_up();
        for (letter, signal) in
            [("h", "HUP"), ("a", "ALRM"), ("i", "INT"), ("t", "TERM"), ("1", "USR1"), ("2", "USR2"), ("q", "QUIT")]
        {
            stand.send(letter);
            told.push_str(&format!("control/{letter} 0\n{signal}\n"));
            wait_until(signal, || stand.text("told").starts_with(&told));
        }
        stand.wait_text("told", &(told + "run\n"));
    });
}

#[test]
fn every_signal_can_be_kept_back() {
    both(Runit, |stand| {
        notes(&stand);
        scripts(&stand, "haitkpq12");
        stand.put("code", "exit 0");
        let stand = stand.supervised();
        stand.wait_text("told", "run\n");
        let pid = stand.wait_up();
        let mut told = "run\n".to_owned();
        for letter in ["h", "a", "i", "t", "q", "1", "2", "p"] {
            stand.send(letter);
            told.push_str(&format!("control/{letter} 0\n"));
            stand.wait_text("told", &told);
            // Ours runs two at a time.
            let script = stand.text("script").trim().parse().expect("a pid");
            wait_until("it is over", || !testkit::lives(script));
        }
        holds_for(Duration::from_millis(300), "nothing else comes", || stand.text("told") == told);
        assert_eq!(stand.wait_up(), pid);
        assert_ne!(testkit::state(pid), Some('T'));
    });
}

#[test]
fn there_is_one_before_each_start_and_none_before_finish() {
    both(Runit, |stand| {
        notes(&stand);
        scripts(&stand, "uo");
        stand.script("finish", "echo finish >>told");
        stand.put("down", "");
        let stand = stand.supervised();
        stand.send("u");
        stand.wait_text("told", "control/u 0\nrun\n");
        testkit::signal(stand.wait_up(), "KILL");
        stand.wait_text("told", "control/u 0\nrun\nfinish\ncontrol/u 0\nrun\n");
        testkit::signal(stand.wait_up(), "QUIT");
        stand.wait_text("told", "control/u 0\nrun\nfinish\ncontrol/u 0\nrun\nQUIT\nfinish\ncontrol/u 0\nrun\n");
    });
}

#[test]
fn the_one_for_down_comes_behind_the_signal() {
    both(Runit, |stand| {
        notes(&stand);
        stand.script("control/t", "echo t >>order\nexit 1");
        stand.script("control/d", "echo d >>order");
        let stand = stand.supervised();
        stand.wait_text("told", "run\n");
        stand.wait_up();
        stand.send("d");
        stand.wait_text("order", "t\nd\n");
        stand.wait_text("told", "run\nTERM\n");
        stand.send("q");
        stand.wait_down();
        // Nothing runs that could be sent a signal.
        stand.send("d");
        holds_for(Duration::from_millis(300), "nothing is run", || stand.text("order") == "t\nd\n");
    });
}

#[test]
fn one_that_is_not_executable_is_none() {
    both(Runit, |stand| {
        notes(&stand);
        stand.put("control.h", "#!/bin/sh\necho script >>told\n");
        std::fs::create_dir(stand.path("control")).expect("a directory");
        std::fs::rename(stand.path("control.h"), stand.path("control/h")).expect("a file of ours");
        let stand = stand.supervised();
        stand.wait_text("told", "run\n");
        stand.wait_up();
        stand.send("h");
        stand.wait_text("told", "run\nHUP\n");
    });
}
