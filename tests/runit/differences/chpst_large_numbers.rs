//! runit's chpst takes a number modulo 2^64, an id modulo 2^32, and a limit from 2^63 on for none or for the hard limit; a niceness modulo 2^32. So with `-u :4294967296:1` the user is
//! root. Ours takes what is too large for wrong, lowers every other limit to the hard one, and clips a niceness as the kernel does.

use testkit::{Scratch, needs_root};

use crate::chpst::{USAGE, check};

#[test]
fn an_id_that_is_too_large_is_invalid() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new();
    for (ids, out) in [("4294967296:1", "0 1\n"), ("1:4294967298", "1 2\n"), ("18446744073709551617:1", "1 1\n")] {
        let words = ["-u", &format!(":{ids}"), "sh", "-c", "echo $(id -u) $(id -g)"];
        if scratch.suite().is_runit() {
            check(&scratch, &(&words, 0, out, ""));
        } else {
            check(&scratch, &(&words, 111, "", &format!("chpst: fatal: invalid uid/gids: {ids}\n")));
        }
    }
}

#[test]
fn a_limit_that_is_too_large_is_wrong_and_any_other_at_most_the_hard_one() {
    let scratch = Scratch::new();
    let is_runit = scratch.suite().is_runit();
    let wrapped = ["-o", "18446744073709551680", "sh", "-c", "ulimit -n"];
    let expected = if is_runit { (0, "64\n", "") } else { (100, "", USAGE) };
    check(&scratch, &(&wrapped, expected.0, expected.1, expected.2));
    // runit's passes over the second limit, which it reads as a negative number.
    let shown = ["sh", "-c", "ulimit -n"];
    let hard = scratch.run("chpst", &["sh", "-c", "ulimit -Hn"]).out();
    let unchanged = scratch.run("chpst", &shown).out();
    let words = [&["-o", "64", "-o", "9223372036854775809"], &shown[..]].concat();
    check(&scratch, &(&words, 0, if is_runit { &unchanged } else { &hard }, ""));
}

#[test]
fn a_niceness_is_clipped() {
    let scratch = Scratch::new();
    let base = scratch.run("chpst", &["nice"]).out();
    let expected = if scratch.suite().is_runit() { base.as_str() } else { "19\n" };
    check(&scratch, &(&["-n", "4294967296", "nice"], 0, expected, ""));
}
