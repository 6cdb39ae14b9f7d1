//! daemontools 0.76 names a finished file after the clock, and removes the files with the oldest names. So once the clock was set back it removes the file
//! that it has just finished, and again, until the clock has come to where it was. Ours gives a file a name behind those that are there. Why: what
//! was written last is what the operator wants to read.

use std::fs;

use testkit::{Scratch, Suite, finish_with};

/// A label of the year 2100, as if the clock had been there.
const FUTURE: &str = "@40000000f4865700";

/// What the log directory holds, from the oldest to the newest, and the names of the finished files.
fn log(scratch: &Scratch) -> (String, Vec<String>) {
    let entries = fs::read_dir(scratch.path("log")).expect("the log directory").flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.starts_with('@'));
    names.sort();
    let files = names.iter().map(String::as_str).chain(["current"]);
    (files.map(|name| scratch.text(format!("log/{name}"))).collect(), names)
}

#[test]
fn the_newest_lines_are_kept_after_the_clock_was_set_back() {
    let scratch = Scratch::with(Suite::under_test());
    for number in 0..3 {
        scratch.write(format!("log/{FUTURE}0000{number}000.s"), "old\n");
    }
    // No time at all, and no reason to leave the times behind.
    scratch.write("log/@ffffffffffffffffffffffff.s", "old\n");
    let input: String = (0..3000).map(|number| format!("{number}\n")).collect();
    let mut multilog = scratch.command("multilog", &["s4096", "n4", "./log"]);
    assert_eq!(finish_with(&mut multilog, input.as_bytes()).code, 0);
    let (kept, names) = log(&scratch);
    let kept = kept.replace("old\n", "");
    assert!(input.ends_with(&kept) && kept.lines().count() > 1000, "{names:?}\n{kept}");
    assert!(names.len() == 3 && names[..2].iter().all(|name| name.starts_with(FUTURE)), "{names:?}");
}

#[test]
fn times_are_true_while_the_clock_goes_on() {
    let scratch = Scratch::with(Suite::under_test());
    scratch.write("log/@400000003b9aca0a075bcd15.s", "old\n");
    let input = "0123456789\n".repeat(500);
    let mut multilog = scratch.command("multilog", &["s4096", "./log"]);
    assert_eq!(finish_with(&mut multilog, input.as_bytes()).code, 0);
    let (kept, names) = log(&scratch);
    assert_eq!(kept, format!("old\n{input}"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is later").as_secs();
    let seconds = u64::from_str_radix(&names[1][1..17], 16).expect("hexadecimal digits") - ((1 << 62) + 10);
    assert!(seconds <= now && now - seconds < 3600, "{names:?}");
}
