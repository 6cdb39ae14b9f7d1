//! For a link to nowhere in the environment directory runit's chpst sets the variable to the text of the file that it read before, a matter of the directory's order, or removes it if there
//! was none. Ours leaves the variable as it is, as our envdir does and for the same reason: nobody can rely on another variable's value.

use std::os::unix::fs::symlink;

use testkit::{Scratch, finish};

#[test]
fn a_link_to_nowhere_leaves_its_variable_as_it_is() {
    let scratch = Scratch::new();
    scratch.mkdir("env");
    symlink("nowhere", scratch.path("env/L")).expect("a link");
    let mut command = scratch.command("chpst", &["-e", "env", "/bin/sh", "-c", "echo ${L-unset}"]);
    let expected = if scratch.suite().is_runit() { "unset\n" } else { "kept\n" };
    assert_eq!(finish(command.env("L", "kept")).out(), expected);
}
