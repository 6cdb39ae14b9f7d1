//! `envdir -p`: variables whose names have a prefix.

use testkit::{Finished, Scratch, finish};

use super::refused;

const ENVDIR: &str = "envdir: usage: envdir dir child\n";

/// What a program leads to whose child prints an environment that was `before` and nothing else, sorted.
#[track_caller]
fn environment(scratch: &Scratch, program: &str, words: &[&str], before: &[(&str, &str)]) -> Vec<String> {
    let ran = run(scratch, program, words, before);
    assert_eq!((ran.code, ran.err().as_str()), (0, ""), "{words:?}");
    let out = ran.out();
    let mut strings: Vec<String> = out.strip_suffix('\0').unwrap_or("").split('\0').map(str::to_owned).collect();
    strings.sort();
    strings
}

fn run(scratch: &Scratch, program: &str, words: &[&str], before: &[(&str, &str)]) -> Finished {
    let mut command = scratch.command(program, &[words, &["/usr/bin/env", "-0"]].concat());
    finish(command.env_clear().envs(before.iter().copied()))
}

#[test]
fn envdir_puts_a_prefix_in_front_of_each_name() {
    let scratch = Scratch::new();
    for (name, contents) in [("env/A", "1\n"), ("env/B", ""), ("env/C=D", "2\n"), ("env/.hidden", "3\n")] {
        scratch.write(name, contents);
    }
    let before = [("A", "a"), ("B", "b"), ("X_B", "xb"), ("X_A", "xa")];
    let kept = ["A=a", "B=b"].map(str::to_owned);
    for words in [&["-p", "X_", "env"][..], &["-pX_", "env"], &["-p", "Y", "-pX_", "--", "env"]] {
        let expected = [&kept[..], &["X_A=1".to_owned(), "X_C=D=2".to_owned()]].concat();
        assert_eq!(environment(&scratch, "envdir", words, &before), expected);
    }
    assert_eq!(environment(&scratch, "envdir", &["-p", "", "env"], &[]), ["A=1", "C=D=2"]);
}

#[test]
fn p_of_envdir_is_an_option_only_in_front() {
    let scratch = Scratch::new();
    scratch.write("./-x/A", "1\n");
    for words in [&["-p", "X_"][..], &["-p", "X_", "env"], &["-pX_", "--", "env"]] {
        refused(&scratch.run("envdir", words), 111, ENVDIR);
    }
    let wrong = |line: &str| format!("envdir: {line}\n{ENVDIR}");
    refused(&scratch.run("envdir", &["-p"]), 111, &wrong("option requires an argument -- p"));
    refused(&scratch.run("envdir", &["-pX_", "-x", "env", "true"]), 111, &wrong("illegal option -- x"));
    assert_eq!(environment(&scratch, "envdir", &["-x"], &[]), ["A=1"]);
    refused(
        &scratch.run("envdir", &["-p", "X_", "nosuch", "true"]),
        111,
        "envdir: fatal: unable to switch to directory nosuch: file does not exist\n",
    );
}
