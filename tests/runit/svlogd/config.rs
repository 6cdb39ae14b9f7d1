//! `config`: what is read of it, and what is passed over.

use std::fs;

use super::{configured, finished, log, logged, put, scratch, svlogd, told};

/// Forty lines of ten bytes.
fn lines() -> String {
    (0..40).map(|number| format!("{number:09}\n")).collect()
}

#[test]
fn what_means_nothing_does_nothing() {
    for config in ["\n\n", "# -*\n", "x\nq5\nS7\n!\np\n", " -*\n", "\0-*\n", "-", "+", "d\r\n", "1\n2"] {
        assert_eq!(logged(config, &[], "a\n"), "a\n", "{config:?}");
    }
}

#[test]
fn a_last_line_needs_no_newline_if_it_is_longer_than_a_byte() {
    assert_eq!(logged("-a", &[], "a\nb\n\n"), "b\n\n");
    assert_eq!(logged("-a\n-", &[], "a\nb\n\n"), "b\n\n");
    assert_eq!(logged("-a\n-\n", &[], "a\nb\n\n"), "b\n");
}

#[test]
fn texts_end_at_a_nul() {
    assert_eq!(logged("pa\0b\n-x\0-y\0p\0\n", &[], "x\ny\nz\nab\n"), "az\naab\n");
}

#[test]
fn sizes_are_numbers_with_a_unit() {
    let input = "123456789\n".repeat(200);
    for (config, files) in [
        ("s20\nn0\n", 100),
        ("s20x\nn\n", 100),
        ("s1k\nn0", 1),
        ("s2m\nn0\n", 0),
        ("s0\n", 0),
        ("s\n", 0),
        ("s 20\n", 0),
        ("s-20\n", 0),
        ("sx20\n", 0),
        ("s5\ns20\nn3\nn0\n", 100),
        ("s20\ns0\n", 0),
        ("s99999999999999999999999\n", 0),
        ("s18446744073709551615\n", 0),
        ("t99999999\n", 0),
    ] {
        let scratch = configured(config);
        log(&scratch, &["-l", "5"], &input);
        assert_eq!(super::whole(&scratch, "d"), input);
        assert_eq!(finished(&scratch, "d").len(), files, "{config:?}");
    }
}

#[test]
fn old_files_are_counted() {
    for (config, files) in [
        ("s10\n", 10),
        ("s10\nn3\n", 3),
        ("s10\nn0\n", 40),
        ("s10\nn1\n", 1),
        ("s10\nnx\n", 40),
        ("s10\nn99999999999\n", 40),
    ] {
        let scratch = configured(config);
        log(&scratch, &["-l", "1"], lines());
        assert_eq!(finished(&scratch, "d").len(), files, "{config:?}");
        assert!(lines().ends_with(&super::whole(&scratch, "d")));
    }
}

#[test]
fn a_missing_config_is_fine_and_one_that_cannot_be_read_is_told() {
    let scratch = scratch();
    scratch.mkdir("d/config");
    let done = svlogd(&scratch, &["d"], "a\n");
    assert_eq!((done.code, scratch.text("d/current").as_str()), (0, "a\n"));
    assert_eq!(done.err(), "svlogd: warning: unable to read config: d: is a directory\n");
    fs::remove_dir(scratch.path("d/config")).expect("it is empty");
    testkit::finish(std::process::Command::new("mkfifo").arg(scratch.path("d/config")));
    log(&scratch, &[], "b\n");
    assert_eq!(scratch.text("d/current"), "a\nb\n");
    // Any file may be one.
    fs::remove_file(scratch.path("d/config")).expect("a file of ours");
    put(&scratch, "d/other", "pX", 0o444);
    std::os::unix::fs::symlink("other", scratch.path("d/config")).expect("a link");
    log(&scratch, &[], "c\n");
    assert_eq!(scratch.text("d/current"), "a\nb\nXc\n");
}

#[test]
fn a_long_config_is_read_to_its_end() {
    let text = "# a comment that nobody reads, and so on and on ...\n".repeat(200_000) + "-a\n" + &"p".repeat(100_000);
    let scratch = configured(text);
    log(&scratch, &[], "a\nb\n");
    assert!(scratch.text("d/current") == "p".repeat(99_999) + "b\n");
    let many: String = (0..2_000).map(|number| format!("-{number}\n")).collect();
    assert_eq!(logged(&many, &[], "0\n1999\n2000\n"), "2000\n");
}

#[test]
fn an_address_that_is_none_is_told() {
    for (config, line) in [
        ("u1.2.3\n", "unable to scan ip address: 1.2.3"),
        ("ulocalhost:514\n", "unable to scan ip address: localhost:514"),
        ("u\n", "unable to scan ip address: "),
        ("u 127.0.0.1", "unable to scan ip address:  127.0.0.1"),
        ("u127.0.0.1:\n", "unable to scan port number: "),
        ("u127.0.0.1:x9\n", "unable to scan port number: x9"),
        ("u127.0.0.1:0\n", "unable to scan port number: 0"),
    ] {
        assert_eq!(told(config, &[], "a\n"), format!("svlogd: warning: {line}\n"));
        let scratch = configured(config);
        svlogd(&scratch, &["d"], "a\n");
        assert_eq!(scratch.text("d/current"), "a\n");
    }
    // What was to be sent only is not kept even then.
    let scratch = configured("Ulocalhost\n");
    svlogd(&scratch, &["d"], "a\n");
    assert_eq!(scratch.text("d/current"), "");
}
