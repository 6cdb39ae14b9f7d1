//! What lies in a log directory in the end. One test only in this file: a log works in the process's current directory.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use multilog::{Engine, Level, Outputs, Script};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

fn no_trouble(_: Level, text: &[u8], reason: Option<&io::Error>) {
    panic!("{}: {reason:?}", String::from_utf8_lossy(text));
}

/// The finished files in their order, then `current`.
fn contents(directory: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(directory).expect("the log directory").flatten().map(|entry| entry.file_name());
    let mut names: Vec<_> = entries.filter(|name| name.as_bytes().starts_with(b"@")).collect();
    names.sort();
    names.push("current".into());
    names.iter().map(|name| fs::read(directory.join(name)).expect("a file of the log")).collect()
}

fn log(directory: &Path, input: &[u8], block: usize, size: usize) {
    let size = format!("s{size}");
    let script = Script::parse([b"-x*", size.as_bytes(), b"n100000", directory.as_os_str().as_bytes()]);
    let mut outputs = Outputs::open(&script, no_trouble).expect("a log");
    let mut engine = Engine::new(&script);
    for block in input.chunks(block) {
        engine.feed(block, &[b'@'; 25], &mut outputs);
        outputs.flush();
    }
    engine.end(&mut outputs);
    assert!(outputs.close());
}

fn selected(input: &[u8]) -> Vec<u8> {
    let lines = input.split_inclusive(|&byte| byte == b'\n').filter(|line| !line.starts_with(b"x"));
    let mut lines = lines.collect::<Vec<_>>().concat();
    // What the end of input cuts is completed.
    if lines.last().is_some_and(|&byte| byte != b'\n') {
        lines.push(b'\n');
    }
    lines
}

/// A directory in memory where there is such a place: on a disk every file of a log waits until it is written there.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}

#[test]
fn the_files_of_a_log_hold_the_selected_lines_and_none_exceeds_its_size() {
    let line =
        (prop::sample::select(b"abx".to_vec()), prop_oneof![9 => 0..200_usize, 1 => 0..20_000_usize], any::<bool>());
    let line = line.prop_map(|(first, length, end)| {
        let mut line = vec![first; length];
        line.extend(end.then_some(b'\n'));
        line
    });
    // What is long in one block is written from there, what is short is gathered first.
    let strategy = (vec(line, 0..200), prop_oneof![1..300_usize, 1..65_537_usize], 4_096..9_000_usize);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() });
    let outcome = runner.run(&strategy, |(lines, block, size)| {
        let scratch = directory();
        let directory = scratch.path().join("log");
        let input = lines.concat();
        log(&directory, &input, block, size);
        let files = contents(&directory);
        prop_assert_eq!(files.concat(), selected(&input));
        let (current, finished) = files.split_last().expect("current is always there");
        prop_assert!(current.len() <= size);
        for file in finished {
            prop_assert!((size - 2_000..=size).contains(&file.len()));
            prop_assert!(file.len() == size || file.ends_with(b"\n"));
        }
        let mode = fs::metadata(directory.join("current")).expect("current").permissions().mode();
        prop_assert_eq!(mode & 0o777, 0o744);
        Ok(())
    });
    outcome.expect("the property holds");
}
