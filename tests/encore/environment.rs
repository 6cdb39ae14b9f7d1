//! `envdir -p` and envini: variables whose names have a prefix, and variables of an ini file.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use testkit::{Finished, Scratch, finish};

use super::refused;

const ENVINI: &str = "envini: usage: envini [ -p prefix ] inifile child\n";
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

#[test]
fn envini_sets_the_variables_of_a_file() {
    let scratch = Scratch::new();
    let file = "; comment = x\nbroken\r\n A = 1 2 \t\r\nA=3\nEMPTY =\n\n[s]\nA='4'\n[t] \nLAST=5";
    scratch.write("a.ini", file);
    let before = [("A", "a"), ("KEPT", "k"), ("s_A", "old")];
    let expected = ["A=3", "EMPTY=", "KEPT=k", "s_A='4'", "t_LAST=5"];
    for words in [&["a.ini"][..], &["-p", "", "a.ini"], &["--", "a.ini"]] {
        assert_eq!(environment(&scratch, "envini", words, &before), expected, "{words:?}");
    }
    let expected = ["X_A=3", "X_EMPTY=", "X_s_A='4'", "X_t_LAST=5"];
    for words in [&["-p", "X_", "a.ini"][..], &["-pX_", "a.ini"], &["-pY", "-pX_", "a.ini"]] {
        assert_eq!(environment(&scratch, "envini", words, &[]), expected, "{words:?}");
    }
    scratch.write("name.ini", "[a=b]\nC=1\n[\u{e9}]\n\u{e9}=2\n");
    assert_eq!(environment(&scratch, "envini", &["name.ini"], &[]), ["a=b_C=1", "\u{e9}_\u{e9}=2"]);
    // A file that is not there sets nothing.
    symlink("nosuch", scratch.path("dangling")).expect("a link");
    scratch.write("empty", "");
    for file in ["nosuch", "dangling", "empty", "/dev/null"] {
        assert_eq!(environment(&scratch, "envini", &[file], &[("A", "a")]), ["A=a"], "{file}");
    }
    // The PATH of the file is the child's. It does not count for finding that.
    scratch.write("path.ini", "PATH=/nowhere\n");
    assert_eq!(scratch.run("envini", &["path.ini", "sh", "-c", "echo $PATH"]).out(), "/nowhere\n");
}

#[test]
fn envini_says_what_it_cannot_read() {
    let scratch = Scratch::new();
    let refused = |words: &[&str], line: &str| {
        refused(&scratch.run("envini", words), 111, &format!("envini: fatal: {line}\n"));
    };
    scratch.mkdir("dir");
    scratch.write("file", "A=1\nB=\0\n");
    symlink("loop", scratch.path("loop")).expect("a link");
    for (file, reason) in [
        ("dir", "is a directory"),
        ("loop", "symbolic link loop"),
        ("file/x", "not a directory"),
        ("file", "there is a NUL in line 2"),
        ("/dev/zero", "file too big"),
    ] {
        refused(&[file, "true"], &format!("unable to read {file}: {reason}"));
    }
    scratch.write("long", [b"A=".as_slice(), &vec![b'x'; 300_000]].concat());
    refused(&["long", "/usr/bin/env"], "unable to run /usr/bin/env: argument list too long");
    scratch.write("longer", format!(";{}\nA=1\n", "x".repeat(16 << 20)));
    refused(&["longer", "true"], "unable to read longer: file too big");
    scratch.write("closed", "A=1\n");
    fs::set_permissions(scratch.path("closed"), PermissionsExt::from_mode(0o000)).expect("ours");
    let ran = finish(&mut scratch.ordinary("envini", &["closed", "true"]));
    super::refused(&ran, 111, "envini: fatal: unable to read closed: access denied\n");
    refused(&["nosuch", "./nosuch"], "unable to run ./nosuch: file does not exist");
}

#[test]
fn wrong_words_get_the_usage_of_envini() {
    let scratch = Scratch::new();
    for (words, before) in [
        (&[][..], ""),
        (&["a.ini"], ""),
        (&["-p", "a.ini", "true"], ""),
        (&["--"], ""),
        (&["-p"], "envini: option requires an argument -- p\n"),
        (&["-x", "a.ini", "true"], "envini: illegal option -- x\n"),
    ] {
        refused(&scratch.run("envini", words), 111, &format!("{before}{ENVINI}"));
    }
}
