//! What is selected, what goes to stderr, and what stands in front of it.

use super::{configured, logged, svlogd, told, unstamped};

#[test]
fn the_last_pattern_that_matches_decides() {
    let lines = "err\nxerr\nxerrx\nxexerr\nfoo\nx eerr\n";
    assert_eq!(logged("-*\n+*err*\n", &[], lines), "err\nxerr\nxerrx\n");
    assert_eq!(logged("+*err*\n-*\n", &[], lines), "");
    assert_eq!(logged("-*err*\n", &[], lines), "xexerr\nfoo\nx eerr\n");
    assert_eq!(logged("-*\n+f*\n-foo\n+foo\n", &[], lines), "foo\n");
    assert_eq!(logged("-\n", &[], "a\n\nb\n"), "a\nb\n");
}

#[test]
fn a_plus_takes_a_byte_once_or_more() {
    assert_eq!(logged("-*\n+a+b\n", &[], "ab\naab\naaab\nb\nac\naabb\n"), "ab\n");
    assert_eq!(logged("-*\n+a+b\n", &[], "ab\nabb\nabbb\nabc\n"), "ab\nabb\nabbb\n");
    // Where the line ends among these bytes, the rest of the pattern does not count.
    assert_eq!(logged("-*\n+a+bc\n", &[], "abc\nabbc\nab\nabb\nabd\n"), "abc\nabbc\nab\nabb\n");
    assert_eq!(logged("-*\n+*: + x*\n", &[], "a:  x1\na: x2\na:x3\nb:    x\n"), "a:  x1\nb:    x\n");
}

#[test]
fn patterns_do_not_see_the_stamp_nor_the_prefix() {
    for option in ["-t", "-tt", "-ttt"] {
        let text = logged("-*\n+a\npPRE: \n", &[option], "a\nb\nPRE: a\n");
        assert_eq!(unstamped(&text), "@ PRE: a\n");
    }
}

#[test]
fn stderr_gets_what_is_shown_also_of_what_is_not_selected() {
    let scratch = configured("-*\ne*\n");
    let done = svlogd(&scratch, &["d"], "a\n\nb\n");
    assert_eq!((done.code, done.err().as_str(), scratch.text("d/current").as_str()), (0, "a\n\nb\n", ""));
    let lines = "an err here\nfine\nmy err\n";
    let scratch = configured("e*err*\npPRE: \n");
    let done = svlogd(&scratch, &["-tt", "d"], lines);
    assert_eq!(unstamped(&done.err()), "@ PRE: an err here\n@ PRE: my err\n");
    assert_eq!(unstamped(&scratch.text("d/current")), "@ PRE: an err here\n@ PRE: fine\n@ PRE: my err\n");
    assert_eq!(told("e*\nE*err*\nea*\n", &[], lines), "an err here\nfine\n");
}

#[test]
fn only_the_beginning_of_a_line_is_looked_at_and_all_of_it_is_logged() {
    let long = "x".repeat(3_000) + "\nnext\n";
    assert_eq!(logged("", &[], &long), long);
    assert_eq!(logged("-*\n+x*\n", &[], &long), long.strip_suffix("next\n").expect("it is there"));
    let line = "a".repeat(1_000) + &"b".repeat(500) + "\n";
    assert_eq!(logged("-*b*\n", &[], &line), line);
    assert_eq!(told("e*\n", &[], &line), "a".repeat(1_000) + "...\n");
    assert_eq!(told("e*\n", &["-l", "3"], "12\n123456\n1234\n"), "12\n123...\n123...\n");
    assert_eq!(logged("-*4*\n+*3\n", &["-l", "3"], "1234\n14\n"), "1234\n");
    for length in [999, 1_001, 1_023, 1_024, 1_025, 4_095, 4_096, 4_097, 70_000] {
        let line = "y".repeat(length) + "\n";
        assert_eq!(unstamped(&logged("pp: \n", &["-t"], line.repeat(3))), format!("@ p: {line}").repeat(3));
    }
}

#[test]
fn all_bytes_are_bytes() {
    let line: Vec<u8> = (0..=255).filter(|&byte| byte != b'\n').chain(*b"\n").collect();
    let scratch = configured("");
    super::log(&scratch, &[], line.repeat(40));
    assert!(scratch.read("d/current") == line.repeat(40));
}

#[test]
fn each_directory_has_its_own_configuration() {
    let scratch = configured("-*\n+a*\npA \n");
    scratch.write("e/config", "-a*\ne*\n");
    scratch.mkdir("f");
    let done = svlogd(&scratch, &["d", "e", "f/"], "a1\nb1\na2\n");
    assert_eq!((done.code, done.err().as_str()), (0, "a1\nb1\na2\n"));
    let texts = ["d", "e", "f"].map(|name| scratch.text(format!("{name}/current")));
    assert_eq!(texts, ["A a1\nA a2\n", "b1\n", "a1\nb1\na2\n"]);
}
