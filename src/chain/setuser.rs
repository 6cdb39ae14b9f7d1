//! setuser, of daemontools-encore: runs a program as if an account had logged in: with its ids, all its groups, its home and its environment.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use anyhow::Context;
use cli::{Call, Program, text};

use crate::service::account::Login;
use crate::service::exec::{self, Environment};

use super::{envuidgid, setuidgid};

const PROGRAM: Program = Program {
    name: "setuser",
    synopsis: "account child [arg ...]",
    usage: "setuser: usage: setuser account child",
    usage_exit: cli::USAGE,
    about: "Runs a program as an account: with all its groups, in its home directory, and with HOME, SHELL, USER, GID and UID.",
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
    let login = Login::find(name)?;
    let mut environment = Environment::inherited();
    for (variable, value) in [("HOME", &login.home), ("SHELL", &login.shell), ("USER", &login.name)] {
        environment.change(variable.as_bytes(), Some(value))?;
    }
    envuidgid::tell(&mut environment, login.account)?;
    let home = OsStr::from_bytes(&login.home);
    std::env::set_current_dir(home).with_context(|| text!("unable to chdir to ", home))?;
    setuidgid::assume_login(&login)?;
    Err(exec::pathexec(child, Some(&environment)))
}
