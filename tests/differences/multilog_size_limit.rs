//! daemontools 0.76 takes no size above 16777215, and a number beyond 64 bits wraps to anything at all. Ours takes up to
//! 2147483647, and a number that is too large is as large as can be.

use testkit::{Scratch, Suite, finish_with};

#[test]
fn a_file_may_be_larger_than_16_megabytes() {
    let line = [b"x".repeat(999), b"\n".to_vec()].concat();
    let input = line.repeat(17_000);
    for word in ["s20000000", "s2147483648", "s18446744073709555712", "s99999999999999999999999999999999"] {
        let scratch = Scratch::with(Suite::under_test());
        assert_eq!(finish_with(&mut scratch.command("multilog", &[word, "./log"]), &input).code, 0);
        assert!(scratch.read("log/current") == input, "{word}");
    }
}

#[test]
fn a_number_of_files_beyond_64_bits_is_no_small_one() {
    let scratch = Scratch::with(Suite::under_test());
    let words = ["s4096", "n18446744073709551618", "./log"];
    let input = "0123456789\n".repeat(1000);
    assert_eq!(finish_with(&mut scratch.command("multilog", &words), input.as_bytes()).code, 0);
    let entries = std::fs::read_dir(scratch.path("log")).expect("the log directory").flatten();
    assert!(entries.filter(|entry| entry.file_name().to_string_lossy().starts_with('@')).count() >= 3);
}
