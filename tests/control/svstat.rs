//! svstat.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use testkit::{Scratch, finish, start, wait_until};

use super::fabricated::{AHEAD, Fabricated, dead, link_loop, record};

/// What svstat says of the service directory `name`, behind its name and the colon. The exit code is 0.
fn said(scratch: &Scratch, name: &str) -> String {
    let ran = scratch.run("svstat", &[name]);
    assert_eq!((ran.code, ran.err().as_str()), (0, ""), "{name}");
    let out = ran.out();
    let line = out.strip_prefix(name).and_then(|rest| rest.strip_prefix(": ")).and_then(|rest| rest.strip_suffix('\n'));
    line.unwrap_or_else(|| panic!("{name}: {out:?}")).to_owned()
}

#[test]
fn every_state_has_its_words() {
    let scratch = Scratch::new();
    let service = Fabricated::new(&scratch, "a");
    let up = "up (pid 77) 0 seconds";
    let down = "down 0 seconds";
    // The want byte, the pid, the paused byte; the words without a down file and with one.
    for (want, pid, paused, normally_up, normally_down) in [
        (b'u', 77, 0, "", ", normally down"),
        (b'u', 77, 1, ", paused", ", normally down, paused"),
        (b'd', 77, 0, ", want down", ", normally down, want down"),
        (b'd', 77, 1, ", paused, want down", ", normally down, paused, want down"),
        (0, 77, 0, "", ", normally down"),
        (0, 77, 1, ", paused", ", normally down, paused"),
        (b'u', 0, 0, ", normally up, want up", ", want up"),
        (b'u', 0, 1, ", normally up, want up", ", want up"),
        (b'd', 0, 0, ", normally up", ""),
        (b'd', 0, 1, ", normally up", ""),
        (0, 0, 0, ", normally up", ""),
        (0, 0, 1, ", normally up", ""),
    ] {
        let head = if pid == 0 { down } else { up };
        // A stamp in the future counts as now, so the number is known.
        service.status(&record(-AHEAD, pid, paused, want));
        let _ = fs::remove_file(service.dir.join("down"));
        assert_eq!(said(&scratch, "a"), format!("{head}{normally_up}"), "{want} {pid} {paused}");
        fs::write(service.dir.join("down"), "").expect("a file");
        assert_eq!(said(&scratch, "a"), format!("{head}{normally_down}"), "{want} {pid} {paused}, down file");
    }
}

#[test]
fn a_want_byte_or_paused_byte_of_any_value_has_a_meaning() {
    let scratch = Scratch::new();
    let service = Fabricated::new(&scratch, "a");
    for byte in [1, b'U', b'D', b'o', 0x7f, 0x80, 0xff] {
        service.status(&record(-AHEAD, 77, 0, byte));
        assert_eq!(said(&scratch, "a"), "up (pid 77) 0 seconds", "want {byte}");
        service.status(&record(-AHEAD, 77, byte, b'u'));
        assert_eq!(said(&scratch, "a"), "up (pid 77) 0 seconds, paused", "paused {byte}");
    }
}

#[test]
fn seconds_are_counted_from_the_stamp() {
    let scratch = Scratch::new();
    let service = Fabricated::new(&scratch, "a");
    for ago in [2, 59, 3600, 31_536_000] {
        // The clock may go on between the record and svstat.
        wait_until("the number is exact", || {
            service.status(&record(ago, 77, 0, b'u'));
            said(&scratch, "a") == format!("up (pid 77) {ago} seconds")
        });
    }
}

#[test]
fn one_second_is_plural_too() {
    let scratch = Scratch::new();
    let service = Fabricated::new(&scratch, "a");
    wait_until("it reads 1 seconds", || {
        service.status(&record(1, 0, 0, b'd'));
        said(&scratch, "a") == "down 1 seconds, normally up"
    });
}

#[test]
fn nanoseconds_do_not_count_in_a_stamp_of_the_past() {
    let scratch = Scratch::new();
    let service = Fabricated::new(&scratch, "a");
    wait_until("the number is exact", || {
        let mut bytes = record(100, 77, 0, b'u');
        bytes[8..12].copy_from_slice(&0_u32.to_be_bytes());
        service.status(&bytes);
        said(&scratch, "a") == "up (pid 77) 100 seconds"
    });
}

#[test]
fn a_label_beyond_all_time_counts_as_now() {
    let scratch = Scratch::new();
    let service = Fabricated::new(&scratch, "a");
    let mut bytes = vec![0xff; 12];
    bytes.extend(record(0, 77, 0, b'u').split_off(12));
    service.status(&bytes);
    assert_eq!(said(&scratch, "a"), "up (pid 77) 0 seconds");
}

#[test]
fn a_pid_has_32_bits_and_no_sign() {
    let scratch = Scratch::new();
    let service = Fabricated::new(&scratch, "a");
    for pid in [1, 0x0102_0304, 0x8000_0000, u32::MAX] {
        service.status(&record(-AHEAD, pid, 0, b'u'));
        assert_eq!(said(&scratch, "a"), format!("up (pid {pid}) 0 seconds"));
    }
}

#[test]
fn a_longer_record_is_read_by_its_first_18_bytes() {
    let scratch = Scratch::new();
    let service = Fabricated::new(&scratch, "a");
    for length in [19, 20, 35, 40, 100, 100_000] {
        let mut bytes = record(-AHEAD, 77, 1, b'd');
        bytes.resize(length, 0xff);
        service.status(&bytes);
        assert_eq!(said(&scratch, "a"), "up (pid 77) 0 seconds, paused, want down", "{length} bytes");
    }
}

#[test]
fn a_shorter_record_is_no_record() {
    let scratch = Scratch::new();
    let service = Fabricated::new(&scratch, "a");
    for length in 0..18 {
        service.status(&record(-AHEAD, 77, 0, b'u')[..length]);
        assert_eq!(said(&scratch, "a"), "unable to read supervise/status: bad format", "{length} bytes");
    }
}

#[test]
fn each_way_not_to_open_the_status_has_its_reason() {
    let scratch = Scratch::new();
    let service = Fabricated::new(&scratch, "a");
    assert_eq!(said(&scratch, "a"), "unable to open supervise/status: file does not exist");
    link_loop(&service.dir.join("supervise/status"));
    assert_eq!(said(&scratch, "a"), "unable to open supervise/status: symbolic link loop");
    fs::remove_file(service.dir.join("supervise/status")).expect("it is there");
    sys::fd::make_fifo(&service.dir.join("supervise/status")).expect("a FIFO");
    assert_eq!(said(&scratch, "a"), "unable to read supervise/status: bad format");
}

#[test]
fn each_way_not_to_open_ok_has_its_reason() {
    let scratch = Scratch::new();
    dead(&scratch, "dead");
    // With a run: where that is missing, ours says so too.
    scratch.service("new", "");
    scratch.mkdir("directory/supervise/ok");
    scratch.mkdir("loop/supervise");
    link_loop(&scratch.path("loop/supervise/ok"));
    scratch.write("file/supervise", "");
    for (name, text) in [
        ("dead", "supervise not running"),
        ("new", "unable to open supervise/ok: file does not exist"),
        ("directory", "unable to open supervise/ok: is a directory"),
        ("loop", "unable to open supervise/ok: symbolic link loop"),
        ("file", "unable to open supervise/ok: not a directory"),
    ] {
        assert_eq!(said(&scratch, name), text, "{name}");
    }
}

#[test]
fn each_way_not_to_get_in_has_its_reason() {
    let scratch = Scratch::new();
    for (name, reason) in scratch.no_way_in() {
        assert_eq!(said(&scratch, &name), format!("unable to chdir: {reason}"), "{name}");
    }
}

#[test]
fn down_is_whatever_exists_under_that_name() {
    let scratch = Scratch::new();
    let service = Fabricated::new(&scratch, "a");
    service.status(&record(-AHEAD, 0, 0, b'd'));
    let down = service.dir.join("down");
    symlink("nowhere", &down).expect("a link");
    assert_eq!(said(&scratch, "a"), "down 0 seconds, normally up");
    fs::remove_file(&down).expect("it is there");
    symlink("supervise", &down).expect("a link");
    assert_eq!(said(&scratch, "a"), "down 0 seconds");
    link_loop(&down);
    assert_eq!(said(&scratch, "a"), "unable to stat down: symbolic link loop");
    fs::remove_file(&down).expect("it is there");
    fs::create_dir(&down).expect("a directory");
    assert_eq!(said(&scratch, "a"), "down 0 seconds");
}

#[test]
fn the_down_file_is_looked_at_before_ok() {
    let scratch = Scratch::new();
    let dir = dead(&scratch, "a");
    link_loop(&dir.join("down"));
    assert_eq!(said(&scratch, "a"), "unable to stat down: symbolic link loop");
}

#[test]
fn an_ordinary_user_is_kept_out_by_the_modes() {
    let scratch = Scratch::new();
    let services = ["closed", "private", "secret"].map(|name| Fabricated::new(&scratch, name));
    services[2].status(&record(0, 77, 0, b'u'));
    scratch.give("secret/supervise/ok");
    let close =
        |path: &str| fs::set_permissions(scratch.give(path), PermissionsExt::from_mode(0o000)).expect("by owner");
    close("closed");
    close("private/supervise");
    close("secret/supervise/status");
    let ran = finish(&mut scratch.ordinary("svstat", &["closed", "private", "secret"]));
    assert_eq!((ran.code, ran.err().as_str()), (0, ""));
    assert_eq!(
        ran.out(),
        "closed: unable to chdir: access denied\n\
         private: unable to open supervise/ok: access denied\n\
         secret: unable to open supervise/status: access denied\n"
    );
}

#[test]
fn a_current_directory_that_cannot_be_opened_is_fatal() {
    let scratch = Scratch::new();
    let home = scratch.mkdir_given("home");
    fs::set_permissions(&home, PermissionsExt::from_mode(0o300)).expect("by owner");
    let ran = finish(scratch.ordinary("svstat", &["/"]).current_dir(&home));
    assert_eq!((ran.code, ran.out().as_str()), (111, ""));
    assert_eq!(ran.err(), "svstat: fatal: unable to open current directory: access denied\n");
}

#[test]
fn no_operand_prints_nothing() {
    let ran = Scratch::new().run("svstat", &[]);
    assert_eq!((ran.code, ran.out(), ran.err()), (0, String::new(), String::new()));
}

#[test]
fn a_word_with_one_dash_is_a_directory() {
    let scratch = Scratch::new();
    for name in ["-x", "-", "-dx"] {
        assert_eq!(said(&scratch, name), "unable to chdir: file does not exist");
        let service = Fabricated::new(&scratch, name);
        service.status(&record(-AHEAD, 0, 0, b'd'));
        assert_eq!(said(&scratch, name), "down 0 seconds, normally up");
    }
}

#[test]
fn each_operand_has_its_line_in_their_order_and_from_the_same_place() {
    let scratch = Scratch::new();
    let services = ["a", "b/c"].map(|name| Fabricated::new(&scratch, name));
    for service in &services {
        service.status(&record(-AHEAD, 77, 0, b'u'));
    }
    scratch.script("b/run", "");
    let ran = scratch.run("svstat", &["b/c", "missing", "a", "b", "a"]);
    assert_eq!(ran.code, 0);
    assert_eq!(
        ran.out(),
        "b/c: up (pid 77) 0 seconds\n\
         missing: unable to chdir: file does not exist\n\
         a: up (pid 77) 0 seconds\n\
         b: unable to open supervise/ok: file does not exist\n\
         a: up (pid 77) 0 seconds\n"
    );
}

#[test]
fn a_page_of_thousands_of_lines_is_whole() {
    let scratch = Scratch::new();
    let names: Vec<String> = (0..3000).map(|number| format!("missing{number}")).collect();
    let words: Vec<&str> = names.iter().map(String::as_str).collect();
    let expected: String = names.iter().map(|name| format!("{name}: unable to chdir: file does not exist\n")).collect();
    assert_eq!(scratch.run("svstat", &words).out(), expected);
}

#[test]
fn a_name_that_is_no_text_is_printed_as_it_is() {
    let scratch = Scratch::new();
    let ran = finish(scratch.command("svstat", &[]).arg(OsStr::from_bytes(b"s\xff\n")));
    assert_eq!(ran.stdout, b"s\xff\n: unable to chdir: file does not exist\n");
}

#[test]
fn a_reader_that_left_ends_svstat_by_sigpipe() {
    let scratch = Scratch::new();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut running = start(scratch.command("svstat", &["missing"]).stdin(Stdio::null()).stdout(writer));
    assert_eq!(running.end(), 1000 + 13);
}

#[test]
fn a_stdout_that_cannot_be_written_changes_nothing() {
    let scratch = Scratch::new();
    for redirection in [">&-", ">/dev/full"] {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("exec \"$@\" {redirection}")).arg("sh");
        let ran = finish(shell.arg(scratch.suite().path("svstat")).arg("missing").current_dir(scratch.root()));
        assert_eq!((ran.code, ran.err().as_str()), (0, ""), "{redirection}");
    }
}
