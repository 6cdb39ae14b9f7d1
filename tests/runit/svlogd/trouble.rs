//! Disks that are full and directories that go away while it runs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use testkit::{Scratch, finish, needs_root, skip, wait_until};

use super::{Logger, finished, mode, scratch, wait_for_line, wait_for_text, whole};

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

/// Lines of ten bytes.
fn lines(count: usize) -> String {
    (0..count).map(|number| format!("{number:09}\n")).collect()
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
    scratch.mkdir("small/d");
    let filler = scratch.write("small/filler", vec![b'.'; 56 * 1024]);
    let mut logger = Logger::start(&scratch, &["small/d"]);
    logger.write(lines(1_000));
    wait_for_line(&scratch, "svlogd: pausing: unable to write to current: small/d: out of disk space");
    assert!(logger.running.ended().is_none());
    fs::remove_file(filler).expect("removes");
    assert_eq!(logger.end(), 0);
    assert_eq!(whole(&scratch, "small/d"), lines(1_000));
}

#[test]
fn old_files_make_room_on_a_full_disk() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new();
    let Some(_small) = Small::mount(&scratch, "small") else {
        return;
    };
    scratch.write("small/d/config", "s8000\nn100\nN2\n");
    let mut logger = Logger::start(&scratch, &["small/d"]);
    logger.write(lines(6_000));
    logger.write(lines(6_000));
    assert_eq!(logger.end(), 0);
    let said = scratch.text("err");
    assert!(
        !said.is_empty()
            && said.lines().all(|line| line.starts_with("svlogd: warning: out of disk space, delete: small/d/@")),
        "{said}"
    );
    let kept = whole(&scratch, "small/d");
    assert!((lines(6_000) + &lines(6_000)).ends_with(&kept) && kept.len() > 20_000, "{}", kept.len());
}

#[test]
fn a_directory_that_is_gone_is_written_to_until_a_file_is_finished() {
    let scratch = scratch();
    scratch.mkdir("e");
    let mut logger = Logger::start(&scratch, &["d", "e"]);
    logger.write("a\n");
    wait_for_text(&scratch, "e/current", "a\n");
    fs::remove_dir_all(scratch.path("d")).expect("removes");
    logger.write("b\n");
    wait_for_text(&scratch, "e/current", "a\nb\n");
    // The directory that comes in its place is another one, until HUP.
    scratch.mkdir("d");
    logger.write("c\n");
    wait_for_text(&scratch, "e/current", "a\nb\nc\n");
    assert!(!scratch.path("d/current").exists());
    logger.signal("HUP");
    wait_until("it is open", || scratch.path("d/current").exists());
    logger.write("d\n");
    assert_eq!(logger.end(), 0);
    assert_eq!((scratch.text("d/current").as_str(), scratch.text("err").as_str()), ("d\n", ""));
}

#[test]
fn a_file_that_cannot_be_renamed_is_waited_for() {
    let scratch = super::configured("s10\n");
    let mut logger = Logger::start(&scratch, &["-l", "5", "d"]);
    logger.write("a\n");
    wait_for_text(&scratch, "d/current", "a\n");
    fs::rename(scratch.path("d/current"), scratch.path("d/hidden")).expect("renames");
    logger.write("1234567\n");
    wait_for_line(&scratch, "svlogd: pausing: unable to rename current: d: file does not exist");
    fs::rename(scratch.path("d/hidden"), scratch.path("d/current")).expect("renames");
    logger.write("b\n");
    assert_eq!(logger.end(), 0);
    assert_eq!((whole(&scratch, "d").as_str(), finished(&scratch, "d").len()), ("a\n1234567\nb\n", 1));
}

#[test]
fn what_was_left_by_a_kill_in_a_rotation_is_found() {
    // After each step of a rotation: the file has its mode, its name, and there is a new one.
    for step in 0..4 {
        let scratch = super::configured("n0\n");
        let name = "d/@40000000aaaaaaaaaaaaaaaa";
        match step {
            0 => super::put(&scratch, "d/current", "old\n", 0o744),
            1 => super::put(&scratch, &format!("{name}.s"), "old\n", 0o744),
            2 => {
                super::put(&scratch, &format!("{name}.s"), "old\n", 0o744);
                super::put(&scratch, "d/current", "", 0o600);
            }
            _ => {
                // And in a processor.
                super::put(&scratch, &format!("{name}.u"), "old\n", 0o744);
                super::put(&scratch, &format!("{name}.t"), "o", 0o644);
                super::put(&scratch, "d/newstate", "x", 0o644);
                super::put(&scratch, "d/current", "", 0o644);
            }
        }
        super::log(&scratch, &[], "new\n");
        assert_eq!(whole(&scratch, "d").replacen("oold", "old", 1), "old\nnew\n", "{step}");
        assert_eq!(mode(scratch.path("d/current")), 0o744);
    }
}
