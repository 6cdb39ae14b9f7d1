//! Log directories that one svlogd has begun and another goes on with: the original and ours in turn, each killed or ended.

use std::path::Path;
use std::process::{Command, Stdio};

use testkit::{Scratch, Suite, needs_program, start, wait_until};

use super::{names, whole};

#[test]
fn a_directory_is_continued_by_the_other_one_and_back() {
    let Some(peer) = needs_program("svlogd") else { return };
    let scratch = Scratch::with(Suite::under_test());
    scratch.write("d/config", "s40\nn0\n!sed s/x/y/\n");
    let ours = scratch.suite().path("svlogd");
    let mut expected = String::new();
    for turn in 0..12 {
        let program: &Path = if turn % 2 == 0 { &peer } else { &ours };
        let mut command = Command::new(program);
        command.args(["-l", "10", "d"]).current_dir(scratch.root()).stdin(Stdio::piped());
        let mut running = start(&mut command);
        let mut input = running.child().stdin.take().expect("piped");
        let lines: String = (0..5 + turn).map(|number| format!("{turn:03}.{number:03}.x\n")).collect();
        std::io::Write::write_all(&mut input, lines.as_bytes()).expect("it is read");
        expected.push_str(&lines);
        if turn % 3 == 2 {
            let last = lines.lines().last().expect("there are some").replace('x', "");
            wait_until("all is written", || whole(&scratch, "d").contains(&last));
            running.signal("KILL");
            running.end();
        } else {
            drop(input);
            assert_eq!(running.end(), 0);
        }
    }
    // What a kill left behind is kept as it was.
    let text = whole(&scratch, "d").replace('y', "x");
    let mut left = text.clone();
    for line in expected.lines() {
        assert!(text.contains(line), "{line} is lost: {:?}", names(&scratch, "d"));
        left = left.replace(&format!("{line}\n"), "");
    }
    assert_eq!(left, "");
}
