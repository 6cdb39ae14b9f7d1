//! The original's svc drops a word that begins with two dashes, whatever follows them, and takes the next word as a
//! service; its svstat takes such a word as a directory. In ours such words are options: unknown ones are wrong usage, so that a
//! misspelt or newer option never acts as none. `--` ends the options, in svstat too, so every directory can be named.

use testkit::Scratch;

#[test]
fn an_unknown_long_option_of_svc_is_wrong_usage() {
    let scratch = Scratch::new();
    let ran = scratch.run("svc", &["-u", "--xyz", "a"]);
    assert_eq!((ran.code, ran.out().as_str()), (100, ""));
    assert!(ran.err().starts_with("svc: illegal option --xyz\nsvc options: u up, d down, "), "{}", ran.err());
}

/// The original's list is the beginning of ours, which names what is new behind that.
#[test]
fn the_list_of_options_of_svc_is_complete() {
    let scratch = Scratch::new();
    let said = scratch.run("svc", &["-y"]).err();
    let list = said.lines().find_map(|line| line.strip_prefix("svc options: ")).expect("the list");
    let mut listed: Vec<&str> = list.split(", ").map(name).collect();
    let help = scratch.run("svc", &["--help"]).out();
    let mut helped: Vec<&str> =
        help.lines().map(str::trim_start).filter(|line| line.starts_with('-')).map(name).collect();
    listed.sort_unstable();
    helped.sort_unstable();
    assert_eq!(listed, helped);
}

/// The name of an option, without dashes, of a line or clause that begins with it.
fn name(told: &str) -> &str {
    told.trim_start_matches('-').split([' ', '=']).next().unwrap_or(told)
}

#[test]
fn an_unknown_long_option_of_svstat_is_wrong_usage() {
    let scratch = Scratch::new();
    scratch.mkdir("--xyz");
    for words in [&["--xyz"][..], &["--xyz", "a"], &["---"]] {
        let ran = scratch.run("svstat", words);
        assert_eq!((ran.code, ran.out().as_str()), (100, ""), "{words:?}");
        assert_eq!(
            ran.err(),
            format!(
                "svstat: illegal option {}\nsvstat: usage: svstat [--long | --deaths | --order] [dir ...]\n",
                words[0]
            )
        );
    }
}

#[test]
fn two_dashes_end_the_options_of_svstat() {
    let scratch = Scratch::new();
    scratch.service("--xyz", "");
    let ran = scratch.run("svstat", &["--", "--xyz", "--"]);
    assert_eq!((ran.code, ran.err().as_str()), (0, ""));
    assert_eq!(
        ran.out(),
        "--xyz: unable to open supervise/ok: file does not exist\n--: unable to chdir: file does not exist\n"
    );
}

#[test]
fn behind_the_first_directory_every_word_is_a_directory() {
    let ran = Scratch::new().run("svstat", &["-x", "--xyz"]);
    assert_eq!(ran.code, 0);
    assert_eq!(ran.out(), "-x: unable to chdir: file does not exist\n--xyz: unable to chdir: file does not exist\n");
}

#[test]
fn help_and_version_are_answered_on_stdout() {
    let scratch = Scratch::new();
    for program in ["svc", "svok", "svstat"] {
        let help = scratch.run(program, &["--help"]);
        assert_eq!((help.code, help.err().as_str()), (0, ""));
        assert!(help.out().contains(&format!("Usage: {program} ")), "{}", help.out());
        let version = scratch.run(program, &["--version"]);
        assert_eq!((version.code, version.err().as_str()), (0, ""));
        assert!(version.out().starts_with(&format!("{program} (uphold) ")), "{}", version.out());
    }
}
