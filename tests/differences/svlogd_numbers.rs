//! A number of `config` that is too large wraps around in runit's svlogd: with `n18446744073709551617` it keeps one old file. To ours it is the largest there is. Why: whoever writes
//! it wants to keep all.

use testkit::{Scratch, finish_with};

#[test]
fn numbers_that_are_too_large_are_the_largest() {
    let scratch = Scratch::new();
    scratch.write("d/config", "s10\nn18446744073709551617\n");
    scratch.write("e/config", "s18446744073709551626\nn0\nt18446744073709551617\n");
    let done = finish_with(&mut scratch.command("svlogd", &["-l", "5", "d", "e"]), "123456789\n".repeat(5).as_bytes());
    assert_eq!((done.code, done.err().as_str()), (0, ""));
    let count = |name: &str| std::fs::read_dir(scratch.path(name)).expect("it is there").count();
    // Five old files, and a config, a current and a lock in both.
    assert_eq!((count("d"), count("e")), (8, 3));
}
