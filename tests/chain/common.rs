//! What the chain programs have in common.

use std::process::Command;

use testkit::{Finished, Scratch, finish, is_root, needs_program, skip};

/// A program, and the words between its name and the child's.
pub type Chain = (&'static str, &'static [&'static str]);

/// The programs that become their child in the same process, called so that they change next to nothing. setuidgid is
/// among them where it can do its work.
pub fn execs(scratch: &Scratch) -> Vec<Chain> {
    scratch.mkdir("env");
    let mut chains: Vec<Chain> = vec![
        ("envdir", &["env"]),
        ("envuidgid", &["root"]),
        ("pgrphack", &[]),
        ("setlock", &["lock"]),
        ("softlimit", &["-t", "100000"]),
    ];
    if is_root() {
        chains.push(("setuidgid", &["root"]));
    }
    chains
}

/// All of them, with fghack, which forks.
pub fn chains(scratch: &Scratch) -> Vec<Chain> {
    let mut chains = execs(scratch);
    chains.push(("fghack", &[]));
    chains
}

/// The command line of a chain with a child behind it.
pub fn with<'a>(chain: &Chain, child: &[&'a str]) -> Vec<&'a str> {
    chain.1.iter().copied().chain(child.iter().copied()).collect()
}

/// A shell in the directory of the test that finds the suite's programs on PATH.
pub fn shell(scratch: &Scratch, script: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script]).current_dir(scratch.root()).env("PATH", scratch.suite().search_path());
    shell
}

/// Runs a shell script in the directory of the test to its end.
#[track_caller]
pub fn sh(scratch: &Scratch, script: &str) -> Finished {
    finish(&mut shell(scratch, script))
}

/// Asserts what a program answered on stderr, that it printed nothing, and its exit code.
#[track_caller]
pub fn refused(ran: &Finished, code: i32, err: &str) {
    assert_eq!((ran.code, ran.out().as_str(), ran.err().as_str()), (code, "", err));
}

/// Asserts that a program ended well and printed this.
#[track_caller]
pub fn printed(ran: &Finished, out: &str) {
    assert_eq!((ran.code, ran.out().as_str(), ran.err().as_str()), (0, out, ""));
}

/// A command of the suite whose environment is exactly these strings: malformed ones and second ones of a name too. `None`
/// where there is no way to make it; a line says so.
pub fn with_environment(scratch: &Scratch, program: &str, words: &[&str], strings: &[&str]) -> Option<Command> {
    let number = match std::env::consts::ARCH {
        "x86_64" => "59",
        "aarch64" | "riscv64" => "221",
        other => {
            skip(&format!("the number of execve on {other} is not known"));
            return None;
        }
    };
    // Every ordinary way to exec mends the environment. perl can make the system call itself.
    let script = "my ($number, $path, $words) = splice @ARGV, 0, 3; my @argv = splice @ARGV, 0, $words;
        syscall($number + 0, $path, pack('p*', @argv, undef), pack('p*', @ARGV, undef)); die $!";
    let mut perl = Command::new(needs_program("perl")?);
    perl.arg("-e").arg(script).arg(number).arg(scratch.suite().path(program));
    perl.arg((words.len() + 1).to_string()).arg(program).args(words).args(strings);
    perl.current_dir(scratch.root());
    Some(perl)
}
