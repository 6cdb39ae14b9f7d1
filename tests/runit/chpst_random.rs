//! Random options and arguments: ours and runit's chpst do and say the same.
//!
//! What the two do on purpose in different ways is not among the words (`differences`). `PROPTEST_CASES=5000` runs longer.

use std::env;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use testkit::{Finished, Scratch, finish, needs_program};

/// What each word may be, with its option; those that take none stand alone.
fn word() -> impl Strategy<Value = Vec<String>> {
    let users = [
        "root",
        "daemon",
        "daemon:mail:news",
        ":1:2",
        ":1:2:3",
        "root:root",
        "nouser",
        "1",
        "",
        ":1",
        ":x",
        "root:x",
        ":1:2x",
        "root:",
    ];
    let numbers = ["", "0", "7", "64", "0100", "100000000", "4000000000", "9000000000000000000", "5k", "-1", "=", " 1"];
    let valued = |option: &'static str, values: &'static [&'static str]| {
        (any::<bool>(), prop::sample::select(values)).prop_map(move |(joined, value)| {
            match joined && !value.is_empty() {
                true => vec![format!("{option}{value}")],
                false => vec![option.to_owned(), value.to_owned()],
            }
        })
    };
    prop_oneof![
        2 => prop::sample::select(&["-v", "-P", "-0", "-vP", "-P0v"][..]).prop_map(|word| vec![word.to_owned()]),
        1 => prop::sample::select(&["-x", "-", "--", "--foo", "-u", "-vx", "-:"][..]).prop_map(|word| vec![word.to_owned()]),
        2 => (prop::sample::select(&["-u", "-U"][..]), prop::sample::select(users.to_vec()))
            .prop_map(|(option, user)| vec![option.to_owned(), user.to_owned()]),
        1 => valued("-b", &["foo", "-sh", "a b"]),
        2 => valued("-e", &["env", "none", "file", "."]),
        1 => valued("-/", &["/", "nope", "file"]),
        1 => valued("-n", &["1", "+2", "0", "", "+", "-", "19", "100", "x", "+-1"]),
        1 => valued("-l", &["lock", "nope/lock"]),
        1 => valued("-L", &["lock2", "nope/lock", "taken"]),
        3 => (prop::sample::select(&["-c", "-r", "-t", "-f", "-d", "-m"][..]), prop::sample::select(numbers[3..].to_vec()))
            .prop_map(|(option, number)| vec![option.to_owned(), number.to_owned()]),
        1 => prop::sample::select(numbers.to_vec()).prop_map(|number| vec!["-c".to_owned(), number.to_owned()]),
        1 => prop::sample::select(&["64", "100", "9000000000000000000", "6x"][..])
            .prop_map(|number| vec!["-o".to_owned(), number.to_owned()]),
    ]
}

/// The programs that are run behind the options. The first tells all that chpst can change.
const CHILDREN: [&[&str]; 5] = [&["./tell"], &["./tell", "-u", "x"], &["nope"], &["./env"], &[]];

fn run(scratch: &Scratch, chpst: &Path, words: &[String]) -> Finished {
    let mut command = Command::new(chpst);
    command.args(words).current_dir(scratch.root()).env_clear().env("PATH", "/usr/bin:/bin").env("UNSET", "u");
    finish(&mut command)
}

#[test]
fn random_calls_end_alike() {
    let Some(runits) = needs_program("chpst") else { return };
    let scratch = Scratch::new();
    if scratch.suite().is_runit() {
        return;
    }
    scratch.write("file", "");
    for (name, contents) in [("A", "a\nb"), ("UNSET", ""), ("UID", "9"), ("B", "b \t")] {
        scratch.write(format!("env/{name}"), contents);
    }
    scratch.mkdir("env/DIR");
    // Nothing here needs memory or descriptors that the limits could take away.
    let tell = "echo \"$0 $*\"; [ $$ = $(ps -o sid= -p $$) ] && echo leads
        read -r _ _ <&0 2>/dev/null && echo reads; [ -e /proc/$$/fd/0 ] || echo closed
        id; nice; cat /proc/$$/limits; env | grep -v ^_= | sort; pwd; for fd in 3 4 5; do readlink /proc/$$/fd/$fd; done";
    scratch.script("tell", tell);
    let _held =
        testkit::start(Command::new(&runits).args(["-l", "taken", "sleep", "1000"]).current_dir(scratch.root()));
    testkit::wait_until("the lock is taken", || {
        run(&scratch, &runits, &["-L", "taken", "true"].map(str::to_owned)).code == 111
    });
    let cases = env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48);
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let calls = (prop::collection::vec(word(), 0..5), prop::sample::select(&CHILDREN[..]));
    let ours = scratch.suite().path("chpst");
    let same = |(options, child): (Vec<Vec<String>>, &[&str])| {
        let words: Vec<String> =
            options.concat().into_iter().chain(child.iter().map(|&word| word.to_owned())).collect();
        let (theirs, ours) = (run(&scratch, &runits, &words), run(&scratch, &ours, &words));
        prop_assert_eq!((theirs.code, theirs.out(), theirs.err()), (ours.code, ours.out(), ours.err()), "{:?}", words);
        Ok(())
    };
    runner.run(&calls, same).expect("the two are alike");
}
