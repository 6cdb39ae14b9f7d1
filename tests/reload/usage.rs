//! Wrong usage: one line that says what, exit 100, and nothing is run.

const USAGE: &str = "hupwatch: usage: hupwatch [-vk] [-w sec] [option ...] -- command [argument ...]\n";

#[test]
fn wrong_usage_is_told() {
    let scratch = testkit::Scratch::new();
    scratch.script("command", "echo ran >>notes");
    for words in [&[][..], &["./command"], &["-v", "./command"], &["--"], &["-v", "--"], &["x", "--", "./command"]] {
        let told = scratch.run("hupwatch", words);
        assert_eq!((told.code, told.err().as_str()), (100, USAGE), "{words:?}");
    }
    for (options, line) in [
        (&["-q"][..], "hupwatch: illegal option -- q\n"),
        (&["-w"], "hupwatch: option requires an argument -- w\n"),
        (&["--listen"], "hupwatch: option requires an argument --listen\n"),
        (&["--nonsense"], "hupwatch: illegal option --nonsense\n"),
        (&["--compat=1"], "hupwatch: illegal option --compat=1\n"),
    ] {
        let told = scratch.run("hupwatch", &[options, &["--", "./command"]].concat());
        assert_eq!((told.code, told.err()), (100, format!("{line}{USAGE}")), "{options:?}");
    }
    assert_eq!(scratch.text("notes"), "");
}

#[test]
fn wrong_values_are_named() {
    let scratch = testkit::Scratch::new();
    scratch.script("command", "echo ran >>notes");
    let long = "p".repeat(108);
    let too_long = format!("unix:{long}");
    let too_long_said = format!("wrong address {too_long}: path too long for a socket: {long}");
    let readiness = "neither fd:N, notify nor check:COMMAND";
    for (options, line) in [
        (&["-w", "soon"][..], "wrong time soon: not a number with ms, s, m, h or nothing behind it"),
        (&["-w", "-1"], "wrong time -1: negative number"),
        (&["--grace="], "wrong time : it is empty"),
        (&["--ready-timeout", "1d"], "wrong time 1d: not a number with ms, s, m, h or nothing behind it"),
        (&["--ready", "fd:0"], &format!("wrong readiness fd:0: {readiness}")),
        (&["--ready", "fd:x"], &format!("wrong readiness fd:x: {readiness}")),
        (&["--ready", "fd:99999999"], &format!("wrong readiness fd:99999999: {readiness}")),
        (&["--ready", "check:"], &format!("wrong readiness check:: {readiness}")),
        (&["--ready", ""], &format!("wrong readiness : {readiness}")),
        (&["--listen", ""], "wrong address : it is empty"),
        (&["--listen", "tcp:*:http"], "wrong address tcp:*:http: wrong port: http"),
        (&["--listen", "unix:s,color=red"], "wrong address unix:s,color=red: unknown option: color=red"),
        (&["--listen", &too_long], &too_long_said),
        (&["--listen", "unix:a,fd=4", "--listen", "unix:b,fd=4"], "descriptor 4 is given twice"),
        (&["--listen", "unix:a", "--listen", "unix:b,fd=3"], "descriptor 3 is given twice"),
        (&["--listen", "unix:c", "--ready", "fd:3"], "descriptor 3 is given twice"),
    ] {
        let told = scratch.run("hupwatch", &[options, &["--", "./command"]].concat());
        assert_eq!((told.code, told.err()), (100, format!("hupwatch: fatal: {line}\n")), "{options:?}");
    }
    assert_eq!(scratch.text("notes"), "");
    for socket in ["a", "b", "c", "s"] {
        assert!(!scratch.path(socket).exists(), "{socket} was made");
    }
}

#[test]
fn help_is_given_by_its_short_name_too() {
    let scratch = testkit::Scratch::new();
    for words in [&["-h"][..], &["-v", "-h", "--", "true"], &["-v", "--help", "--", "true"]] {
        let told = scratch.run("hupwatch", words);
        assert_eq!((told.code, told.err().as_str()), (0, ""), "{words:?}");
        assert_eq!(told.out(), scratch.run("hupwatch", &["--help"]).out(), "{words:?}");
    }
}

#[test]
fn words_behind_the_two_dashes_are_the_commands() {
    let scratch = testkit::Scratch::new();
    let told = scratch.run("hupwatch", &["-k", "--", "sh", "-c", "echo \"$@\"", "sh", "--", "-v", "--help"]);
    assert_eq!((told.code, told.out().as_str()), (0, "-- -v --help\n"));
}
