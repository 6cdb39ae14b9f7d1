//! Which suite supervises, and which one asks.

use std::path::Path;
use std::process::Stdio;

use testkit::{Finished, Running, Scratch, Suite, finish, needs_original, start, wait_until};

use crate::world::{has_reader, masked, scratch};

/// uphold, even where the original is under test.
pub fn ours() -> Suite {
    let suite = Suite::under_test();
    if suite.is_original() { Suite::ours() } else { suite }
}

/// Ours and the original, each as supervisor with the other as client.
pub fn both_ways(test: impl Fn(&Pair)) {
    let Some(original) = needs_original() else { return };
    test(&Pair::new(ours(), original.clone()));
    test(&Pair::new(original, ours()));
}

/// A directory, the suite that supervises in it, and one that looks at it from outside.
pub struct Pair {
    pub scratch: Scratch,
    pub supervisor: Suite,
    pub client: Suite,
}

impl Pair {
    fn new(supervisor: Suite, client: Suite) -> Pair {
        Pair { scratch: scratch(), supervisor, client }
    }

    /// Starts a supervise of `suite` on the service directory `a`.
    #[track_caller]
    pub fn supervise(&self, suite: &Suite) -> Running {
        let mut command = suite.command("supervise");
        command.arg("a").current_dir(self.scratch.root()).stdin(Stdio::null());
        let running = start(&mut command);
        wait_until(&format!("{} runs", suite.path("supervise").display()), || has_reader(&self.scratch.path("a")));
        running
    }

    /// Runs a program of `suite` on `a`, behind other words.
    #[track_caller]
    pub fn run(&self, suite: &Suite, program: &str, words: &[&str]) -> Finished {
        finish(suite.command(program).args(words).arg("a").current_dir(self.scratch.root()))
    }

    /// Sends letters by the client's svc.
    #[track_caller]
    pub fn svc(&self, letters: &str) {
        let ran = self.run(&self.client, "svc", &[&format!("-{letters}")]);
        assert_eq!((ran.code, ran.err().as_str()), (0, ""), "svc -{letters}");
    }

    /// Waits until the client's svstat says `expected`; the supervisor's own says the same, and both svoks agree.
    #[track_caller]
    pub fn wait_svstat(&self, expected: &str) {
        let said = |suite: &Suite| masked(self.run(suite, "svstat", &[]).out().trim_end().trim_start_matches("a: "));
        wait_until(&format!("it is {expected:?}, not {:?}", said(&self.client)), || said(&self.client) == expected);
        wait_until("the other agrees", || said(&self.supervisor) == expected);
        let dead = expected == "supervise not running" || expected.starts_with("unable to open supervise/ok");
        let code = if dead { 100 } else { 0 };
        for suite in [&self.client, &self.supervisor] {
            assert_eq!(self.run(suite, "svok", &[]).code, code);
        }
    }

    pub fn dir(&self) -> &Path {
        self.scratch.root()
    }
}
