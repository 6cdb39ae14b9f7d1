//! pgrphack: runs a program as the leader of a new session and process group, so that a signal to the group of its starter does not
//! reach it.

use cli::{Call, Program, Usage};

use crate::service::exec;

const PROGRAM: Program = Program {
    name: "pgrphack",
    synopsis: "child [arg ...]",
    usage: "pgrphack: usage: pgrphack child",
    usage_exit: cli::USAGE,
    about: "Runs a program as the leader of a new session and process group, without a terminal.",
    options: &[("child", "the program to run"), ("arg ...", "its arguments")],
};

/// The program.
pub fn main(call: Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &Call) -> anyhow::Result<u8> {
    if call.words().is_empty() {
        return Err(Usage.into());
    }
    // This fails only for the leader of a process group, which already is what is wanted.
    let _ = sys::identity::new_session();
    Err(exec::pathexec(call.words(), None))
}
