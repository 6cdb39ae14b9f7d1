//! softlimit: which limit each option sets, and to what.

use testkit::{Finished, Scratch};

use super::common::{refused, sh};

const USAGE: &str = "softlimit: usage: softlimit [-a allbytes] [-c corebytes] [-d databytes] [-f filebytes] [-l lockbytes] [-m membytes] [-o openfiles] [-p processes] [-r residentbytes] [-s stackbytes] [-t cpusecs] child\n";

/// Each option, the line of /proc/PID/limits that it changes, and a value with which a child still runs.
const LIMITS: [(&str, &str, u64); 10] = [
    ("-a", "Max address space", 2_000_000_001),
    ("-c", "Max core file size", 12_345),
    ("-d", "Max data size", 1_000_000_001),
    ("-f", "Max file size", 1_000_001),
    ("-l", "Max locked memory", 4_096),
    ("-o", "Max open files", 19),
    ("-p", "Max processes", 60_001),
    ("-r", "Max resident set", 54_321),
    ("-s", "Max stack size", 5_000_001),
    ("-t", "Max cpu time", 1_001),
];

/// What stands in one line of /proc/PID/limits: the soft and the hard limit.
fn limit(text: &str, name: &str) -> (u64, u64) {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {text}"));
    let mut words = line.split_whitespace().map(|word| word.parse().unwrap_or(u64::MAX));
    (words.next().expect("a soft limit"), words.next().expect("a hard limit"))
}

/// The limits of a cat that softlimit runs.
#[track_caller]
fn limits(scratch: &Scratch, options: &[&str]) -> String {
    let ran = scratch.run("softlimit", &[options, &["cat", "/proc/self/limits"]].concat());
    well(&ran)
}

#[track_caller]
fn well(ran: &Finished) -> String {
    assert_eq!((ran.code, ran.err().as_str()), (0, ""));
    ran.out()
}

#[test]
fn each_option_sets_one_soft_limit_and_no_hard_one() {
    let scratch = Scratch::new();
    let before = limits(&scratch, &[]);
    for (option, name, value) in LIMITS {
        let after = limits(&scratch, &[option, &value.to_string()]);
        let hard = limit(&before, name).1;
        assert_eq!(limit(&after, name), (value.min(hard), hard), "{option}");
        for (_, other, _) in LIMITS.iter().filter(|(_, other, _)| *other != name) {
            assert_eq!(limit(&after, other), limit(&before, other), "{option}");
        }
    }
}

#[test]
fn m_sets_data_stack_locked_memory_and_address_space() {
    let scratch = Scratch::new();
    let before = limits(&scratch, &[]);
    let after = limits(&scratch, &["-m", "1000000000"]);
    for (option, name, _) in LIMITS {
        let (soft, hard) = limit(&before, name);
        let soft = if ["-a", "-d", "-l", "-s"].contains(&option) { hard.min(1_000_000_000) } else { soft };
        assert_eq!(limit(&after, name), (soft, hard), "{option}");
    }
}

#[test]
fn a_number_above_the_hard_limit_is_lowered_to_it() {
    let scratch = Scratch::new();
    for number in ["51", "4294967296", "18446744073709551615"] {
        let ran = sh(&scratch, &format!("ulimit -Sn 20; ulimit -Hn 50; softlimit -o {number} cat /proc/self/limits"));
        assert_eq!(limit(&well(&ran), "Max open files"), (50, 50), "{number}");
    }
}

#[test]
fn an_equals_sign_is_the_hard_limit() {
    let scratch = Scratch::new();
    for words in ["-o=", "-o ="] {
        let ran = sh(&scratch, &format!("ulimit -Sn 20; ulimit -Hn 50; softlimit {words} cat /proc/self/limits"));
        assert_eq!(limit(&well(&ran), "Max open files"), (50, 50));
    }
}

#[test]
fn the_greatest_number_is_no_limit() {
    let scratch = Scratch::new();
    let hard = limit(&limits(&scratch, &[]), "Max file size").1;
    let ran = sh(&scratch, "ulimit -Sf 100; softlimit -f 18446744073709551615 cat /proc/self/limits");
    assert_eq!(limit(&well(&ran), "Max file size"), (hard, hard));
}

#[test]
fn a_later_option_wins() {
    let scratch = Scratch::new();
    assert_eq!(limit(&limits(&scratch, &["-o30", "-o", "20"]), "Max open files").0, 20);
    assert_eq!(limit(&limits(&scratch, &["-o20", "-o", "30"]), "Max open files").0, 30);
    let after = limits(&scratch, &["-s", "3000000", "-m2000000000"]);
    let (soft, hard) = limit(&after, "Max stack size");
    assert_eq!(soft, hard.min(2_000_000_000));
    assert_eq!(limit(&limits(&scratch, &["-m2000000000", "-s3000000"]), "Max stack size").0, 3_000_000);
}

#[test]
fn an_empty_number_is_zero_and_leading_zeros_count_for_nothing() {
    let scratch = Scratch::new();
    assert_eq!(limit(&limits(&scratch, &["-c", ""]), "Max core file size").0, 0);
    assert_eq!(limit(&limits(&scratch, &["-c0000000000000000000000000077"]), "Max core file size").0, 77);
}

#[test]
fn what_is_no_number_is_wrong_usage() {
    let scratch = Scratch::new();
    for wrong in ["1k", "k", "-1", "+1", " 1", "1 ", "==", "1=", "=1", "0x10", "1.5", "infinity", "\u{661}"] {
        refused(&scratch.run("softlimit", &["-o", wrong, "true"]), 100, USAGE);
    }
    refused(&scratch.run("softlimit", &["-c1k", "-o"]), 100, USAGE);
}

#[test]
fn a_limit_that_leaves_nothing_does_not_keep_the_reason_from_being_said() {
    let scratch = Scratch::new();
    let many: Vec<String> = (0..3000).map(|number| format!("word{number}")).collect();
    for options in [&["-a0"][..], &["-d0"], &["-s0"], &["-m0"], &["-o0"], &["-p0"], &["-a=", "-a1"]] {
        let mut words = [options, &["./nosuch"]].concat();
        words.extend(many.iter().map(String::as_str));
        let ran = scratch.run("softlimit", &words);
        // Before version 6.9 Linux looks for room for the words first, and then for the file.
        let reasons = ["file does not exist", "argument list too long"];
        let said = reasons.map(|reason| format!("softlimit: fatal: unable to run ./nosuch: {reason}\n"));
        assert!(ran.code == 111 && said.contains(&ran.err()), "{options:?}: {} {}", ran.code, ran.err());
    }
}

#[test]
fn a_limit_holds_in_the_child() {
    let scratch = Scratch::new();
    // 153 - 128 is SIGXFSZ.
    let ran = sh(&scratch, "softlimit -f 1000 head -c 2000 /dev/zero >file 2>/dev/null; echo $?");
    assert_eq!(ran.out(), "153\n");
    assert_eq!(scratch.read("file").len(), 1000);
}
