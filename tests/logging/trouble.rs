//! Disks that are full and directories that go away while multilog runs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use testkit::{Scratch, finish, needs_program, needs_root, skip, wait_until};

use super::{Logger, numbered, wait_for_lines, wait_for_text, whole};

/// A small file system, unmounted when the test is over.
struct Small(PathBuf);

impl Small {
    fn mount(scratch: &Scratch, name: &str) -> Option<Small> {
        let path = scratch.mkdir(name);
        let mounted = finish(Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&path));
        if mounted.code == 0 {
            return Some(Small(path));
        }
        skip("cannot mount");
        None
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        finish(Command::new("umount").arg("-l").arg(&self.0));
    }
}

#[test]
fn a_full_disk_stops_the_reading_and_loses_nothing() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new();
    let Some(_small) = Small::mount(&scratch, "small") else {
        return;
    };
    let filler = scratch.write("small/filler", vec![b'.'; 56 * 1024]);
    let input = numbered(400);
    let mut logger = Logger::start(&scratch, &["./small/log"]);
    logger.write(&input);
    wait_for_lines(
        &scratch,
        &["multilog: warning: unable to write to ./small/log/current, pausing: out of disk space"],
    );
    assert!(logger.running.ended().is_none());
    fs::remove_file(filler).expect("removes");
    assert_eq!(logger.end(), 0);
    assert!(whole(&scratch, "small/log") == input);
}

#[test]
fn a_write_that_fails_is_tried_again_until_it_succeeds() {
    let Some(prlimit) = needs_program("prlimit") else {
        return;
    };
    let scratch = Scratch::new();
    let mut logger = Logger::limited(&scratch, 16, &["./log"]);
    let lines = numbered(400);
    logger.write(&lines);
    wait_for_lines(&scratch, &["multilog: warning: unable to write to ./log/current, pausing: file too big"]);
    logger.lift(&prlimit);
    wait_until("all lines", || scratch.read("log/current") == lines);
    assert_eq!(logger.end(), 0);
}

#[test]
fn a_status_file_that_was_written_in_part_is_written_from_its_beginning() {
    let Some(prlimit) = needs_program("prlimit") else {
        return;
    };
    let scratch = Scratch::new();
    let mut logger = Logger::limited(&scratch, 1, &["=status"]);
    logger.write("line\n");
    // The original gives no reason for a write that was cut short.
    wait_until("that is said", || scratch.text("err").contains("multilog: warning: unable to write status, pausing"));
    logger.lift(&prlimit);
    let whole = [b"line".as_slice(), &[b'\n'; 997]].concat();
    wait_until("it is whole", || scratch.read("status") == whole);
    assert_eq!(logger.end(), 0);
    assert!(scratch.read("status") == whole);
}

#[test]
fn many_old_files_fit_into_little_memory() {
    let scratch = Scratch::new();
    scratch.mkdir("log");
    for number in 0..30_000 {
        fs::File::create(scratch.path(format!("log/@40000000{number:08x}00000000.s"))).expect("a file");
    }
    let lines = numbered(400);
    let words = ["-d", "2000000", "multilog", "n100000", "s4096", "./log"];
    let ran = testkit::finish_with(&mut scratch.command("softlimit", &words), &lines);
    assert_eq!((ran.code, ran.err().as_str()), (0, ""));
    assert!(whole(&scratch, "log") == lines);
}

#[test]
fn a_directory_that_is_removed_stops_it_at_the_next_rotation() {
    let scratch = Scratch::new();
    let mut logger = Logger::start(&scratch, &["s4096", "./log"]);
    logger.write("a\n");
    wait_for_text(&scratch, "log/current", "a\n");
    fs::remove_dir_all(scratch.path("log")).expect("removes");
    logger.write(numbered(100));
    wait_for_lines(
        &scratch,
        &["multilog: warning: unable to rename current to previous in directory ./log, pausing: file does not exist"],
    );
    assert!(logger.running.ended().is_none());
}

#[test]
fn a_current_that_was_taken_away_is_renamed_when_it_is_back() {
    let scratch = Scratch::new();
    let mut logger = Logger::start(&scratch, &["s4096", "./log"]);
    logger.write("a\n");
    wait_for_text(&scratch, "log/current", "a\n");
    fs::rename(scratch.path("log/current"), scratch.path("away")).expect("renames");
    logger.write(numbered(60));
    wait_for_lines(
        &scratch,
        &["multilog: warning: unable to rename current to previous in directory ./log, pausing: file does not exist"],
    );
    fs::rename(scratch.path("away"), scratch.path("log/current")).expect("renames");
    assert_eq!(logger.end(), 0);
    assert!(whole(&scratch, "log") == [b"a\n".to_vec(), numbered(60)].concat());
}
