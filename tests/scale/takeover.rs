//! When the original's svscan dies with its services running, the next one tries to start each a second time, every few seconds. Ours takes all of
//! them over at once.

use std::fs::File;
use std::process::Stdio;
use std::time::Instant;

use testkit::{Scratch, start, wait_until};

use crate::{make_services, pid, room_for, tell, turn, wait_all_up};

const MANY: usize = 1_000;

#[test]
fn a_fresh_svscan_takes_over_a_thousand_services_and_starts_none() {
    let _turn = turn();
    if !room_for(MANY) {
        return;
    }
    let scratch = Scratch::new();
    make_services(&scratch, MANY);
    let mut first = scratch.start("svscan", "svscan", &["scan"]);
    wait_all_up(&scratch, MANY);
    let starts = || scratch.text("svscan.out").lines().count();
    wait_until("all have said so", || starts() == MANY);
    let pids = || (0..MANY).map(|number| pid(&scratch, &format!("scan/s{number}"))).collect::<Vec<_>>();
    let before = pids();
    first.signal("KILL");
    assert_eq!(first.end(), 1009);

    let begin = Instant::now();
    let file = |kind| File::create(scratch.path(format!("second.{kind}"))).expect("a file");
    let mut second = scratch.command("svscan", &["scan"]);
    second.env("UPHOLD_LOG", "info").stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
    let mut second = start(&mut second);
    let said = || scratch.text("second.err");
    let taken_over = |said: &str| said.lines().filter(|line| line.ends_with(": a supervise runs already")).count();
    wait_until("all are taken over", || taken_over(&said()) >= MANY);
    tell(&format!("svscan took over {MANY} services"), begin.elapsed());

    // Nothing else was said, nothing was started, nothing is there twice.
    let said = said();
    assert_eq!((said.lines().count(), taken_over(&said)), (MANY, MANY), "{said}");
    assert_eq!((pids() == before, starts(), scratch.text("second.out").as_str()), (true, MANY, ""));
    assert_eq!(scratch.processes().len(), 1 + 2 * MANY);
    assert_eq!((second.ended(), scratch.text("svscan.err").as_str()), (None, ""));
}
