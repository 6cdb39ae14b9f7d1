//! What a chain program leaves to its child as it got it.

use testkit::{Scratch, finish, skip};

use super::common::{chains, execs, printed, refused, sh, with, with_environment};

#[test]
fn the_exit_code_is_the_childs() {
    let scratch = Scratch::new();
    for chain in chains(&scratch) {
        for code in [0, 1, 99, 100, 111, 255] {
            let ran = scratch.run(chain.0, &with(&chain, &["sh", "-c", &format!("exit {code}")]));
            refused(&ran, code, "");
        }
    }
}

#[test]
fn the_child_is_the_same_process() {
    let scratch = Scratch::new();
    for chain in execs(&scratch) {
        let call = with(&chain, &["sh", "-c"]).join(" ");
        let ran = sh(&scratch, &format!("echo $$; exec {} {call} 'echo $$'", chain.0));
        let pids: Vec<String> = ran.out().lines().map(str::to_owned).collect();
        assert!(pids.len() == 2 && pids[0] == pids[1], "{}: {ran:?}", chain.0);
    }
}

#[test]
fn the_current_directory_stays() {
    let scratch = Scratch::new();
    for chain in chains(&scratch) {
        printed(
            &scratch.run(chain.0, &with(&chain, &["test", ".", "-ef", scratch.root().to_str().expect("text")])),
            "",
        );
    }
}

#[test]
fn the_environment_stays_as_it_is() {
    let scratch = Scratch::new();
    for chain in chains(&scratch).iter().filter(|chain| chain.0 != "envuidgid") {
        let strings = ["=x", "A=1 2", "B=", "M", "", "A=3", "A=1 2"];
        let Some(mut command) = with_environment(&scratch, chain.0, &with(chain, &["/usr/bin/env", "-0"]), &strings)
        else {
            return;
        };
        printed(&finish(&mut command), "=x\0A=1 2\0B=\0M\0\0A=3\0A=1 2\0");
    }
}

/// The lines of /proc/self/status about signals, for a cat that is run behind `words`.
fn signals(scratch: &Scratch, words: &str) -> String {
    let ran = sh(scratch, &format!("{words} cat /proc/self/status"));
    assert_eq!(ran.code, 0, "{words}: {}", ran.err());
    ran.out().lines().filter(|line| ["SigBlk", "SigIgn", "SigCgt"].iter().any(|name| line.starts_with(name))).collect()
}

#[test]
fn ignored_and_blocked_signals_stay_so() {
    let scratch = Scratch::new();
    let changed = "env --ignore-signal=PIPE,TERM,HUP,USR2 --block-signal=USR1,INT,TERM";
    if sh(&scratch, &format!("{changed} true")).code != 0 {
        skip("env cannot block signals");
        return;
    }
    for env in [changed, "env --block-signal=TERM,CHLD", "env --default-signal=PIPE", "env"] {
        let expected = signals(&scratch, env);
        for chain in chains(&scratch) {
            let words = format!("{env} {} {}", chain.0, chain.1.join(" "));
            assert_eq!(signals(&scratch, &words), expected, "{words}");
        }
    }
}

/// A script that exits with a bit for each of the descriptors 0 to 6 that is open, 0 the highest.
const OPEN: &str = "bits=0; for fd in 0 1 2 3 4 5 6; do bits=$((bits * 2)); [ -e /proc/$$/fd/$fd ] && bits=$((bits + 1)); done; exit $bits";

#[test]
fn no_descriptor_is_opened_or_closed() {
    let scratch = Scratch::new();
    let chains = execs(&scratch);
    for chain in chains.iter().filter(|chain| chain.0 != "setlock") {
        for (redirections, bits) in [
            ("", 0b111_0000),
            ("0<&-", 0b011_0000),
            ("1>&-", 0b101_0000),
            ("2>&-", 0b110_0000),
            ("0<&- 1>&- 2>&-", 0),
            ("5</dev/null", 0b111_0010),
            ("0<&- 4</dev/null", 0b011_0100),
        ] {
            let mut words = with(chain, &["sh", "-c", OPEN]);
            words.insert(0, chain.0);
            let script = format!("exec 3<&- 4<&- 5<&- 6<&-; exec \"$0\" \"$@\" {redirections}");
            let mut command = super::common::shell(&scratch, &script);
            assert_eq!(finish(command.args(&words)).code, bits, "{}: {redirections}", chain.0);
        }
    }
}
