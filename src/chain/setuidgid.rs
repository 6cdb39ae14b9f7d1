//! setuidgid: runs a program as another account, with that account's group as its only one.
//!
//! The environment and the current directory stay as they are: HOME and USER are still the caller's.

use std::ffi::OsStr;

use anyhow::Context;
use cli::{Call, Program, text};

use crate::service::{account, exec};

const PROGRAM: Program = Program {
    name: "setuidgid",
    synopsis: "account child [arg ...]",
    usage: "setuidgid: usage: setuidgid account child",
    usage_exit: cli::USAGE,
    about: "Runs a program under the user id and the group id of an account. Other groups are given up; the environment stays.",
    options: &[
        ("account", "the name of an account; a number is not taken for an id"),
        ("child", "the program to run"),
        ("arg ...", "its arguments"),
    ],
};

/// The program.
pub fn main(call: Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &Call) -> anyhow::Result<u8> {
    let (name, child) = exec::operand(call.words())?;
    assume(name)?;
    Err(exec::pathexec(child, None))
}

/// Changes to the ids of the account. The group comes first, since the new user may not change it.
fn assume(name: &OsStr) -> anyhow::Result<()> {
    let account = account::look_up(name)?;
    sys::identity::set_group(account.gid).with_context(|| text!("unable to setgid"))?;
    sys::identity::set_user(account.uid).with_context(|| text!("unable to setuid"))
}
