//! envuidgid: gives a program the ids of an account in the variables UID and GID. The program changes to them itself.

use cli::{Call, Program};

use crate::service::account::{self, Account};
use crate::service::exec::{self, Environment};

const PROGRAM: Program = Program {
    name: "envuidgid",
    synopsis: "account child [arg ...]",
    usage: "envuidgid: usage: envuidgid account child",
    usage_exit: cli::USAGE,
    about: "Runs a program with the ids of an account in the variables UID and GID. The ids of the process do not change.",
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
    let account = account::look_up(name)?;
    let mut environment = Environment::inherited();
    tell(&mut environment, account)?;
    Err(exec::pathexec(child, Some(&environment)))
}

/// Sets GID and UID.
pub fn tell(environment: &mut Environment, Account { uid, gid }: Account) -> anyhow::Result<()> {
    environment.change(b"GID", Some(gid.to_string().as_bytes()))?;
    environment.change(b"UID", Some(uid.to_string().as_bytes()))
}
