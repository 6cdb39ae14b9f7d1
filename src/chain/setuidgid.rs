//! setuidgid: runs a program as another account, with that account's group as its only one, or with all its groups.
//!
//! The environment and the current directory stay as they are: HOME and USER are still the caller's.

use anyhow::Context;
use cli::{Call, Program, text};

use crate::service::account::{self, Account, Login};
use crate::service::exec;

const PROGRAM: Program = Program {
    name: "setuidgid",
    synopsis: "[-s] account child [arg ...]",
    usage: "setuidgid: usage: setuidgid account child",
    usage_exit: cli::USAGE,
    about: "Runs a program under the user id and the group id of an account. Other groups are given up; the environment stays.",
    options: &[
        ("-s", "take all groups of the account, not its login group alone"),
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
    let mut all_groups = false;
    let operands = super::later_option(call.words(), "s", |_| all_groups = true)?;
    let (name, child) = exec::operand(operands)?;
    if all_groups {
        assume_login(&Login::find(name)?)?;
    } else {
        assume(account::look_up(name)?, None)?;
    }
    Err(exec::pathexec(child, None))
}

/// Changes to the ids of an account with all its groups.
pub fn assume_login(login: &Login) -> anyhow::Result<()> {
    assume(login.account, Some(&login.groups()))
}

/// Changes to the ids of the account. The groups come first, since the new user may not change them.
fn assume(account: Account, groups: Option<&[u32]>) -> anyhow::Result<()> {
    sys::identity::set_group(account.gid).with_context(|| text!("unable to setgid"))?;
    if let Some(groups) = groups {
        sys::identity::set_supplementary_groups(groups).with_context(|| text!("unable to initgroups"))?;
    }
    sys::identity::set_user(account.uid).with_context(|| text!("unable to setuid"))
}
