//! Wrong usage, options, and under which name a program talks.

use std::os::unix::fs::symlink;
use std::process::Command;

use testkit::{Scratch, finish};

use super::common::{printed, refused};

const SOFTLIMIT: &str = "softlimit: usage: softlimit [-a allbytes] [-c corebytes] [-d databytes] [-f filebytes] [-l lockbytes] [-m membytes] [-o openfiles] [-p processes] [-r residentbytes] [-s stackbytes] [-t cpusecs] child\n";
const SETLOCK: &str = "setlock: usage: setlock [ -nNxX ] file program [ arg ... ]\n";

#[test]
fn too_few_words_are_wrong_usage() {
    let scratch = Scratch::new();
    for (program, code, usage, cases) in [
        ("setuidgid", 100, "setuidgid: usage: setuidgid account child\n", &[&[][..], &["root"], &["-x"]][..]),
        ("envuidgid", 100, "envuidgid: usage: envuidgid account child\n", &[&[], &["root"], &["nosuch"]]),
        ("envdir", 111, "envdir: usage: envdir dir child\n", &[&[], &["."], &["nosuch"]]),
        ("softlimit", 100, SOFTLIMIT, &[&[], &["-c0"], &["--"], &["--xyz"]]),
        ("setlock", 100, SETLOCK, &[&[], &["lock"], &["-nx", "lock"], &["--", "lock"]]),
        ("fghack", 100, "fghack: usage: fghack child\n", &[&[]]),
        ("pgrphack", 100, "pgrphack: usage: pgrphack child\n", &[&[]]),
    ] {
        for words in cases {
            refused(&scratch.run(program, words), code, usage);
        }
    }
    assert!(!scratch.path("lock").exists());
}

#[test]
fn an_unknown_option_is_named_before_the_usage() {
    let scratch = Scratch::new();
    for (words, letter) in
        [(["-nq", "lock", "true"], 'q'), (["-n-", "lock", "true"], '-'), (["-:", "lock", "true"], ':')]
    {
        let expected = format!("setlock: illegal option -- {letter}\n{SETLOCK}");
        refused(&scratch.run("setlock", &words), 100, &expected);
    }
    refused(
        &scratch.run("softlimit", &["-c0", "-Z", "true"]),
        100,
        &format!("softlimit: illegal option -- Z\n{SOFTLIMIT}"),
    );
    assert!(!scratch.path("lock").exists());
}

#[test]
fn an_option_without_its_value_is_named_before_the_usage() {
    let scratch = Scratch::new();
    for letter in "acdflmoprst".chars() {
        let expected = format!("softlimit: option requires an argument -- {letter}\n{SOFTLIMIT}");
        refused(&scratch.run("softlimit", &[&format!("-{letter}")]), 100, &expected);
    }
}

#[test]
fn options_end_at_dashes_and_at_the_first_operand() {
    let scratch = Scratch::new();
    printed(&scratch.run("softlimit", &["-c", "0", "--", "echo", "-c"]), "-c\n");
    printed(&scratch.run("softlimit", &["--xyz", "echo", "--"]), "--\n");
    printed(&scratch.run("setlock", &["-n", "--n", "lock", "echo", "-x"]), "-x\n");
    refused(&scratch.run("softlimit", &["-", "-c"]), 111, "softlimit: fatal: unable to run -: file does not exist\n");
    printed(&scratch.run("setlock", &["-", "echo", "hi"]), "hi\n");
    assert!(scratch.path("-").exists());
}

#[test]
fn words_of_programs_without_options_are_operands() {
    let scratch = Scratch::new();
    refused(
        &scratch.run("envdir", &["-x", "true"]),
        111,
        "envdir: fatal: unable to switch to directory -x: file does not exist\n",
    );
    refused(&scratch.run("fghack", &["--", "true"]), 111, "fghack: fatal: unable to run --: file does not exist\n");
    refused(&scratch.run("pgrphack", &["-x", "true"]), 111, "pgrphack: fatal: unable to run -x: file does not exist\n");
    refused(&scratch.run("envuidgid", &["--", "true"]), 111, "envuidgid: fatal: unknown account --\n");
}

#[test]
fn only_the_option_scanner_talks_under_the_name_of_the_file() {
    let scratch = Scratch::new();
    symlink(scratch.suite().path("setlock"), scratch.path("other")).expect("a link");
    let ran = finish(Command::new("./other").args(["-q"]).current_dir(scratch.root()));
    refused(&ran, 100, &format!("other: illegal option -- q\n{SETLOCK}"));
    let ran = finish(Command::new("./other").args(["./nosuch/lock", "true"]).current_dir(scratch.root()));
    refused(&ran, 111, "setlock: fatal: unable to open ./nosuch/lock: file does not exist\n");
}
