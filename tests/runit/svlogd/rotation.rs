//! When a file is finished, what it is called, and what is found at the start.

use super::{Logger, configured, finished, log, mode, names, put, scratch, svlogd, wait_for_text, whole};
use testkit::wait_until;

#[test]
fn a_file_is_finished_at_a_line_end_in_its_last_bytes() {
    for (config, length, lengths) in [
        ("s20\nn2\n", "5", &[20, 20][..]),
        ("s20\n", "5", &[20, 20, 20, 20]),
        ("s25\n", "5", &[20, 20, 20, 20]),
        ("s30\n", "5", &[30, 30, 30]),
        ("s26\n", "15", &[20, 20, 20, 20]),
        ("s1000\n", "1000", &[10; 9]),
        ("s15\n", "15", &[10; 9]),
        // The margin is off where the file is shorter.
        ("s15\n", "16", &[15, 15, 15, 15, 15]),
        ("s20\n", "21", &[20, 20, 20, 20]),
        ("s0\n", "5", &[]),
    ] {
        let scratch = configured(config);
        let input = "123456789\n".repeat(9);
        log(&scratch, &["-l", length], &input);
        let files: Vec<_> = finished(&scratch, "d").iter().map(|file| scratch.read(file).len()).collect();
        assert_eq!(files, lengths, "{config:?} {length}");
        assert!(input.ends_with(&whole(&scratch, "d")));
        assert!(finished(&scratch, "d").iter().all(|file| mode(scratch.path(file)) == 0o744 && file.ends_with(".s")));
    }
}

#[test]
fn a_long_line_is_cut_at_exactly_the_size() {
    for length in [19, 20, 21, 99, 1_500, 5_000, 100_000] {
        let size = length / 7 + 6;
        let scratch = configured(format!("s{size}\nn0\n"));
        let line = "x".repeat(length) + "\n";
        log(&scratch, &["-l", "5"], &line);
        assert_eq!(whole(&scratch, "d"), line);
        for file in finished(&scratch, "d") {
            let text = scratch.text(&file);
            assert!(text.len() == size || text.ends_with('\n'), "{length}: {}", text.len());
        }
    }
}

#[test]
fn an_orderly_end_is_gone_on_with_and_anything_else_is_set_aside() {
    let scratch = scratch();
    put(&scratch, "d/current", "before\n", 0o744);
    log(&scratch, &[], "a\n");
    assert_eq!(scratch.text("d/current"), "before\na\n");
    put(&scratch, "d/current", "", 0o600);
    log(&scratch, &[], "b\n");
    assert_eq!(
        (names(&scratch, "d"), scratch.text("d/current")),
        (vec!["current".into(), "lock".into()], "b\n".into())
    );
    put(&scratch, "d/current", "crashed\npart", 0o644);
    // It is not processed.
    scratch.write("d/config", "!tr a-z A-Z\n");
    let done = svlogd(&scratch, &["-v", "d"], "c\n");
    assert_eq!(done.err(), "svlogd: info: read: d/config\nsvlogd: info: new: d/current\nsvlogd: info: close: d\n");
    assert_eq!(names(&scratch, "d"), ["@.u", "current", "lock"]);
    let aside = &finished(&scratch, "d")[0];
    assert_eq!((scratch.text(aside).as_str(), mode(scratch.path(aside))), ("crashed\npart", 0o644));
    assert_eq!(scratch.text("d/current"), "c\n");
}

#[test]
fn what_is_there_already_counts_for_the_size() {
    let scratch = configured("s20\n");
    put(&scratch, "d/current", "1234\n", 0o744);
    log(&scratch, &["-l", "5"], "123456789\n12345\n");
    assert_eq!(scratch.text(&finished(&scratch, "d")[0]), "1234\n123456789\n");
    put(&scratch, "d/current", &"x".repeat(50), 0o744);
    log(&scratch, &["-l", "5"], "a\n");
    assert_eq!(scratch.text("d/current"), "a\n");
}

#[test]
fn only_files_with_such_names_are_counted_and_removed() {
    let scratch = configured("s10\nn1\n");
    let kept =
        ["@40000000aaaaaaaaaaaaaaaa.sx", "@40000000aaaaaaaaaaaaaaa.s", "a40000000aaaaaaaaaaaaaaaa.s", "previous"];
    for name in kept {
        scratch.write(format!("d/{name}"), "kept");
    }
    for name in ["@400000001aaaaaaaaaaaaaaa.t", "@400000001bbbbbbbbbbbbbbb.t", "@400000001aaaaaaaaaaaaaaa.s"] {
        scratch.write(format!("d/{name}"), "removed");
    }
    log(&scratch, &["-l", "5"], "123456789\n123456789\n");
    assert!(kept.iter().all(|name| scratch.text(format!("d/{name}")) == "kept"));
    assert!(finished(&scratch, "d").len() <= 2, "{:?}", names(&scratch, "d"));
    assert!(!names(&scratch, "d").contains(&"@.t".to_owned()));
    assert!(!scratch.path("d/@400000001aaaaaaaaaaaaaaa.s").exists());
}

#[test]
fn an_old_file_is_finished_if_it_is_not_empty() {
    let scratch = configured("t1\n");
    let mut logger = Logger::start(&scratch, &["d"]);
    for count in 1..=2 {
        logger.write(format!("{count}\n"));
        wait_until("it is old", || finished(&scratch, "d").len() == count);
        wait_for_text(&scratch, "d/current", "");
    }
    assert_eq!(logger.end(), 0);
    let texts: Vec<_> = finished(&scratch, "d").iter().map(|file| scratch.text(file)).collect();
    assert_eq!((texts, scratch.text("d/current")), (vec!["1\n".to_owned(), "2\n".to_owned()], String::new()));
}

#[test]
fn alarm_finishes_what_is_not_empty() {
    let scratch = scratch();
    scratch.mkdir("e");
    scratch.write("e/config", "-*\n");
    let mut logger = Logger::start(&scratch, &["-v", "d", "e"]);
    logger.write("a\n");
    wait_for_text(&scratch, "d/current", "a\n");
    logger.signal("ALRM");
    wait_until("it is finished", || finished(&scratch, "d").len() == 1);
    wait_for_text(&scratch, "d/current", "");
    assert_eq!(mode(scratch.path(&finished(&scratch, "d")[0])), 0o744);
    logger.signal("ALRM");
    wait_until("it was heard", || scratch.text("err").matches("svlogd: info: sigalarm received.\n").count() == 2);
    logger.write("b\n");
    assert_eq!(logger.end(), 0);
    assert_eq!((whole(&scratch, "d").as_str(), finished(&scratch, "d").len()), ("a\nb\n", 1));
    assert_eq!(names(&scratch, "e"), ["current", "lock"]);
}

#[test]
fn files_are_named_in_their_order() {
    let scratch = configured("s6\nn0\n");
    let input: String = (10_000..10_300).map(|number| format!("{number}\n")).collect();
    log(&scratch, &["-l", "5"], &input);
    assert_eq!(finished(&scratch, "d").len(), 300);
    assert_eq!(whole(&scratch, "d"), input);
}
