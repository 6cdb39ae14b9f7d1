//! For a link to nowhere the original's envdir sets the variable to the text of the file that it read before, a matter of
//! the directory's order, or removes it if there was none. Ours takes the link for a file that is not there, and leaves the
//! variable as it is: nobody can rely on another variable's value, and to a file that vanishes while envdir runs the same happens.

use std::os::unix::fs::symlink;

use testkit::{Scratch, finish};

#[test]
fn a_link_to_nowhere_leaves_its_variable_as_it_is() {
    let scratch = Scratch::new();
    for number in 0..10 {
        scratch.write(format!("env/V{number}"), "v\n");
        symlink("nowhere", scratch.path(format!("env/L{number}"))).expect("a link");
    }
    let script = "test $V0$V9 = vv && test $L0 = kept && ! test \"${L1+set}\"";
    let mut command = scratch.command("envdir", &["env", "/bin/sh", "-c", script]);
    let ran = finish(command.env_clear().env("L0", "kept"));
    assert_eq!((ran.code, ran.err().as_str()), (0, ""));
}
