//! daemontools 0.76 reads the digits of `s` and passes over what follows, so with `s100k` it makes files of 4096 bytes. Ours takes a single `k` or `m`
//! behind the number for KiB or MiB. Why: everybody who writes `s100k` means that, and finds out when the log that is needed was
//! removed long ago. More than the limit of 2147483647 bytes is wrong usage in this form, while a plain number is cut to it, as before; what
//! follows a number otherwise is passed over, as before.

use testkit::{Scratch, Suite, finish_with, for_each};

/// How long the first finished file is when `input` is logged with this word.
fn first_file(word: &str, input: &[u8]) -> usize {
    let scratch = Scratch::with(Suite::under_test());
    let done = finish_with(&mut scratch.command("multilog", &[word, "n1000", "./log"]), input);
    assert_eq!((done.code, done.err().as_str()), (0, ""), "{word}");
    let entries = std::fs::read_dir(scratch.path("log")).expect("the log directory").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let first = names.filter(|name| name.starts_with('@')).min().expect("a finished file");
    scratch.read(format!("log/{first}")).len()
}

#[test]
fn a_size_may_be_in_kibibytes_and_mebibytes() {
    let input = vec![b'x'; 3 << 20];
    let cases = [
        ("s8k", 8 << 10),
        ("s8K", 8 << 10),
        ("s0100k", 100 << 10),
        ("s1m", 1 << 20),
        ("s2M", 2 << 20),
        // Less than the least, as without a unit.
        ("s1k", 4096),
        ("s0m", 4096),
    ];
    for_each(&cases, |&(word, size)| assert_eq!(first_file(word, &input), size, "{word}"));
}

#[test]
fn what_is_no_unit_is_passed_over_as_before() {
    let input = vec![b'x'; 20_000];
    let cases =
        [("s5000x", 5000), ("s5000kb", 5000), ("s5000mm", 5000), ("s5000 k", 5000), ("sk", 4096), ("s-9k", 4096)];
    for_each(&cases, |&(word, size)| assert_eq!(first_file(word, &input), size, "{word}"));
}

#[test]
fn a_size_with_a_unit_beyond_the_limit_is_wrong_usage() {
    for word in ["s2048m", "s2097152k", "s99999999999999999999k", "s18446744073709551615m"] {
        let scratch = Scratch::with(Suite::under_test());
        let done = finish_with(&mut scratch.command("multilog", &[word, "./log"]), b"");
        let line = format!("multilog: fatal: wrong action {word}: too large\n");
        assert_eq!((done.code, done.err()), (100, line));
        assert!(!scratch.path("log").exists());
    }
    let scratch = Scratch::with(Suite::under_test());
    assert_eq!(finish_with(&mut scratch.command("multilog", &["s2047m", "./log"]), b"a\n").code, 0);
}
