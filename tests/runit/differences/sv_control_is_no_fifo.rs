//! runit's sv writes its letters to whatever `supervise/control` is. Ours writes to no file in its place, as our svc: the letters would reach nobody, and damage the file.

use std::fs;

use crate::stand::{SLEEPER, each};

#[test]
fn nothing_is_written_to_a_file_in_place_of_the_fifo() {
    each(|mut stand| {
        stand.run("a", SLEEPER);
        fs::remove_file(stand.path("a/supervise/control")).expect("it is there");
        stand.write("a/supervise/control", "precious");
        let is_runit = stand.scratch.suite().is_runit();
        let line = "warning: a: unable to open supervise/control: supervise/control is not a FIFO\n";
        stand.check("term a", i32::from(!is_runit), if is_runit { "" } else { line });
        let expected = if is_runit { "trecious" } else { "precious" };
        assert_eq!(fs::read_to_string(stand.path("a/supervise/control")).expect("it is there"), expected);
    });
}
