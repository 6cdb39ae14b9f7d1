//! A process that is not ours is found, told from others, and its end is seen.

#![cfg(target_os = "linux")]

use std::process::{Command, Stdio};

use sys::adopted::{Adopted, Birth};
use sys::clock::since_boot;
use sys::process::{Change, Pid, Signal};

/// A sleeper whose parent is somebody else, and when it was born.
fn stranger() -> (Pid, Birth) {
    let earliest = since_boot();
    let shell = Command::new("sh")
        .args(["-c", "sleep 1000 >/dev/null 2>&1 & echo $!"])
        .stdin(Stdio::null())
        .output()
        .expect("sh runs");
    let pid = String::from_utf8_lossy(&shell.stdout).trim().parse().expect("a pid");
    (Pid::from_raw(pid), Birth { earliest, latest: since_boot() })
}

#[test]
fn a_process_is_found_signalled_and_seen_to_end() {
    let (pid, birth) = stranger();
    let adopted = Adopted::find(pid, birth).expect("it can be looked for").expect("it lives");
    assert!(!adopted.has_ended().expect("poll works"));
    adopted.kill(Signal::SIGTERM).expect("it can be signalled");
    assert_eq!(sys::poll::readable([adopted.fd()], Some(30_000_000_000)).expect("poll works"), [true]);
    // Who collects its end may have been quicker, and older kernels tell nothing then.
    assert!(matches!(adopted.exit(), None | Some(Change::Killed(15))), "{:?}", adopted.exit());
    assert!(adopted.kill(Signal::SIGTERM).is_err() || adopted.has_ended().expect("poll works"));
    assert!(Adopted::find(pid, birth).expect("it can be looked for").is_none());
}

#[test]
fn a_pid_that_was_given_anew_is_nobody() {
    let (pid, birth) = stranger();
    let second = 1_000_000_000;
    let earlier = Birth { earliest: birth.earliest - 10 * second, latest: birth.earliest - second };
    let later = Birth { earliest: birth.latest + second, latest: birth.latest + 2 * second };
    for other in [earlier, later] {
        assert!(Adopted::find(pid, other).expect("it can be looked for").is_none());
    }
    let adopted = Adopted::find(pid, birth).expect("it can be looked for").expect("it lives");
    adopted.kill(Signal::SIGKILL).expect("it can be signalled");
}

#[test]
fn how_a_zombie_ended_can_be_read_by_who_is_not_its_parent() {
    let earliest = since_boot();
    let mut child =
        Command::new("sh").args(["-c", "read line; exit 7"]).stdin(Stdio::piped()).spawn().expect("sh runs");
    let birth = Birth { earliest, latest: since_boot() };
    let pid = Pid::from_raw(child.id().cast_signed());
    let adopted = Adopted::find(pid, birth).expect("it can be looked for").expect("it waits for input");
    drop(child.stdin.take());
    assert_eq!(sys::poll::readable([adopted.fd()], Some(30_000_000_000)).expect("poll works"), [true]);
    assert_eq!(adopted.exit(), Some(Change::Exited(7)));
    assert_eq!(child.wait().expect("it is ours").code(), Some(7));
}

#[test]
fn the_boot_has_an_id() {
    let id = sys::adopted::boot_id().expect("Linux tells");
    assert_ne!(id, [0; 16]);
    assert_eq!(sys::adopted::boot_id(), Some(id));
}
