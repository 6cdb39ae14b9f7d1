//! From the name of an account to its ids.
//!
//! libc's look-up is not used: in a static program it loads shared objects and can crash. The passwd file is read here.
//! For a name that is not in it (LDAP, systemd and the like), getent is asked, which does libc's look-up in a process of its
//! own. A number is never taken for an id.

use std::ffi::{CStr, OsStr};
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use cli::text;
use svdir::knob;
use sys::process::Pid;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
/// The path of getent that is tried before PATH. Mostly it is root that looks up accounts, and PATH could lead
/// elsewhere.
const GETENT: &CStr = c"/usr/bin/getent";

/// The ids of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user id.
    pub uid: u32,
    /// The id of the user's login group.
    pub gid: u32,
}

/// Looks up the account called `name`, in the passwd file and then by getent. Waits for getent.
///
/// # Errors
/// `unknown account NAME`, also if the look-up itself failed.
pub fn look_up(name: &OsStr) -> anyhow::Result<Account> {
    let local = fs::read(PASSWD).ok().and_then(|passwd| find(&passwd, name.as_bytes()));
    local.or_else(|| ask(c"passwd", name, account)).ok_or_else(|| text!("unknown account ", name).into())
}

/// The id of the group called `name`; `None` if there is none, or the look-up failed.
pub fn look_up_group(name: &OsStr) -> Option<u32> {
    let local = fs::read(GROUP).ok().and_then(|groups| find_group(&groups, name.as_bytes()));
    local.or_else(|| ask(c"group", name, group))
}

/// A database in which a name is looked up for its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// The accounts: the id is the user's.
    Accounts,
    /// The groups.
    Groups,
}

impl Database {
    /// The word for an entry of the database in a message: `account` or `group`.
    pub const fn noun(self) -> &'static str {
        match self {
            Database::Accounts => "account",
            Database::Groups => "group",
        }
    }

    /// Looks up the id of `name` in the file and then by getent, which may take any time; `None` if there is no such
    /// name.
    pub fn id(self, name: &OsStr) -> Option<u32> {
        match self {
            Database::Accounts => look_up(name).ok().map(|found| found.uid),
            Database::Groups => look_up_group(name),
        }
    }

    /// The id of `name`, if the file has it.
    pub fn id_in_file(self, name: &OsStr) -> Option<u32> {
        match self {
            Database::Accounts => find(&fs::read(PASSWD).ok()?, name.as_bytes()).map(|found| found.uid),
            Database::Groups => find_group(&fs::read(GROUP).ok()?, name.as_bytes()),
        }
    }

    /// Starts getent to look up `name`. Its answer comes through the returned descriptor; the caller's loop has to reap the child. `None` for a name
    /// that getent is not asked about, and if it cannot be started.
    pub fn ask(self, name: &OsStr) -> Option<OwnedFd> {
        let database = match self {
            Database::Accounts => c"passwd",
            Database::Groups => c"group",
        };
        if is_asked(name) { start_getent(database, name).map(|(_, reader)| reader) } else { None }
    }

    /// The id in an answer of getent.
    pub fn id_in_answer(self, answer: &[u8]) -> Option<u32> {
        match self {
            Database::Accounts => first_line(answer, account).map(|found| found.uid),
            Database::Groups => first_line(answer, group),
        }
    }
}

/// The account called `name` in the text of a passwd file: the first well-formed line with that name counts, as for
/// libc. Lines that are malformed are passed over.
pub fn find(passwd: &[u8], name: &[u8]) -> Option<Account> {
    find_with(passwd, name, account)
}

/// The id of the group called `name` in the text of a group file, by the rules of [`find`].
fn find_group(groups: &[u8], name: &[u8]) -> Option<u32> {
    find_with(groups, name, group)
}

/// A parser of lines: gives the name in a line, and what the line says about it.
type Parse<T> = fn(&[u8]) -> Option<(&[u8], T)>;

fn find_with<T>(text: &[u8], name: &[u8], parse: Parse<T>) -> Option<T> {
    if !is_name(name) {
        return None;
    }
    let lines = text.split(|&byte| byte == b'\n');
    lines.filter_map(|line| parse(line.trim_ascii_start())).find(|&(found, _)| found == name).map(|(_, told)| told)
}

/// Returns whether these bytes can be the name of a line. Comments cannot, nor can `+` and `-`, by which a file includes other sources.
fn is_name(name: &[u8]) -> bool {
    !matches!(name, [] | [b'#' | b'+' | b'-', ..])
}

/// `NAME:PASSWORD:UID:GID`, and whatever follows.
fn account(line: &[u8]) -> Option<(&[u8], Account)> {
    let mut fields = line.split(|&byte| byte == b':');
    let (name, _password) = (fields.next()?, fields.next()?);
    let (uid, gid) = (id(fields.next()?)?, id(fields.next()?)?);
    Some((name, Account { uid, gid }))
}

/// `NAME:PASSWORD:GID`, and whatever follows.
fn group(line: &[u8]) -> Option<(&[u8], u32)> {
    let mut fields = line.split(|&byte| byte == b':');
    let (name, _password) = (fields.next()?, fields.next()?);
    Some((name, id(fields.next()?)?))
}

fn id(field: &[u8]) -> Option<u32> {
    knob::digits(field).and_then(|id| u32::try_from(id).ok())
}

/// Asks getent for `name`, waits, and parses the answer.
fn ask<T>(database: &CStr, name: &OsStr, parse: Parse<T>) -> Option<T> {
    if is_asked(name) { first_line(&getent(database, name)?, parse) } else { None }
}

/// Returns whether getent is asked about `name` at all.
fn is_asked(name: &OsStr) -> bool {
    is_name(name.as_bytes()) && !is_number_for_getent(name.as_bytes())
}

/// Parses the first line of an answer. The name in it is not compared: getent may know the account by a longer one.
fn first_line<T>(answer: &[u8], parse: Parse<T>) -> Option<T> {
    // A line without a newline may have been cut short in the middle of a number.
    let end = answer.iter().position(|&byte| byte == b'\n')?;
    parse(answer.get(..end)?).map(|(_, told)| told)
}

/// Returns whether getent would take `name` for an id: a number, with blanks and a sign before it.
fn is_number_for_getent(name: &[u8]) -> bool {
    name.iter().all(|&byte| byte.is_ascii_digit() || byte.is_ascii_control() || b" +-".contains(&byte))
}

/// Runs `getent DATABASE NAME` and returns what it prints.
fn getent(database: &CStr, name: &OsStr) -> Option<Vec<u8>> {
    let (child, reader) = start_getent(database, name)?;
    let mut answer = Vec::new();
    let read = File::from(reader).read_to_end(&mut answer);
    let _ = sys::process::wait(child);
    read.is_ok().then_some(answer)
}

/// Starts `getent DATABASE NAME`, and returns its pid and the descriptor of its stdout. There is no `--` before the name: only some versions of
/// getent know it, and the name of an account does not begin with a dash.
fn start_getent(database: &CStr, name: &OsStr) -> Option<(Pid, OwnedFd)> {
    let argv = [c"getent".to_owned(), database.to_owned(), sys::exec::c_string(name)];
    let mut prepared = sys::exec::Prepared::new(&argv, None);
    let (reader, writer) = sys::fd::pipe().ok()?;
    let become_getent = || {
        if sys::fd::place(writer.as_fd(), 1).is_ok() {
            prepared.exec(GETENT);
            prepared.path_exec();
        }
    };
    Some((sys::process::spawn(become_getent, drop).ok()?, reader))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: Option<Account> = Some(Account { uid: 12, gid: 34 });

    #[test]
    fn the_first_line_with_the_name_counts() {
        assert_eq!(find(b"a:x:1:2::/:\nweb:x:12:34:Web:/srv:/bin/sh\nweb:x:5:6::/:\n", b"web"), WEB);
        assert_eq!(find(b"a:x:1:2::/:\nweb:x:12:34", b"web"), WEB);
        assert_eq!(find(b" \t web::12:34:", b"web"), WEB);
        assert_eq!(find(b"web:x:12:34::/:\n", b"we"), None);
        assert_eq!(find(b"web:x:12:34::/:\n", b"x"), None);
        assert_eq!(find(b"", b"web"), None);
    }

    #[test]
    fn malformed_lines_are_passed_over() {
        for bad in
            ["web", "web:x", "web:x:1", "web:x::", "web:x:1:", "web:x:1:2x:", "web:x:-1:2:", "web:x:1:4294967296:"]
        {
            assert_eq!(find(format!("{bad}\n").as_bytes(), b"web"), None, "{bad}");
            assert_eq!(find(format!("{bad}\nweb:x:12:34:::\n").as_bytes(), b"web"), WEB, "{bad}");
        }
        assert_eq!(find(b"\xff\xfe:\0\n::::\n\nweb:\xff:12:34:\xff\n", b"web"), WEB);
        assert_eq!(find(b"w\xffb:x:12:34:::\n", b"w\xffb"), WEB);
    }

    #[test]
    fn groups_are_found_by_name() {
        assert_eq!(find_group(b"a:x:1:\nwww:x:33:web,db\nwww:x:34:\n", b"www"), Some(33));
        assert_eq!(find_group(b"www:x:3x:\nwww:x\nwww:x:5", b"www"), Some(5));
        assert_eq!(find_group(b"www:x:33:web\n", b"web"), None);
    }

    #[test]
    fn comments_and_inclusions_are_no_accounts() {
        for name in ["", "#web", "+web", "-web"] {
            assert_eq!(find(format!("{name}:x:12:34:::\n").as_bytes(), name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn getent_is_not_asked_for_what_it_takes_for_an_id() {
        for name in ["0", "00", " 0", "+0", "-1", "\x0b7"] {
            assert!(is_number_for_getent(name.as_bytes()), "{name:?}");
        }
        for name in ["web", "0x", "7web", "\u{e9}"] {
            assert!(!is_number_for_getent(name.as_bytes()), "{name:?}");
        }
    }
}
