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
    look_up_as(name, account)
}

fn look_up_as<T>(name: &OsStr, parse: Parse<T>) -> anyhow::Result<T> {
    let local = fs::read(PASSWD).ok().and_then(|passwd| find_with(&passwd, name.as_bytes(), parse));
    local.or_else(|| ask(c"passwd", name, parse)).ok_or_else(|| text!("unknown account ", name).into())
}

/// What a passwd file says about somebody who logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The name in the line, which may be a longer one than was looked up.
    pub name: Vec<u8>,
    /// The ids.
    pub account: Account,
    /// The home directory; empty if the line has none.
    pub home: Vec<u8>,
    /// The login shell; empty if the line has none.
    pub shell: Vec<u8>,
}

impl Login {
    /// Looks up the account called `name` as [`look_up`] does, with all that its line says.
    pub fn find(name: &OsStr) -> anyhow::Result<Login> {
        look_up_as(name, login)
    }

    /// All groups of the account: its login group, which is the first, those of the group file that have it as a member, and those that getent knows
    /// of. Waits for getent.
    pub fn groups(&self) -> Vec<u32> {
        let file = fs::read(GROUP).unwrap_or_default();
        let name = OsStr::from_bytes(&self.name);
        let answer = if is_asked(name) { getent(c"initgroups", name) } else { None };
        let told =
            answer.and_then(|answer| first_line(&answer, |line| ids_behind(&self.name, line))).unwrap_or_default();
        let mut others: Vec<u32> = memberships(&file, &self.name).chain(told).collect();
        others.retain(|&gid| gid != self.account.gid);
        others.sort_unstable();
        others.dedup();
        others.insert(0, self.account.gid);
        others
    }
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

/// A parser of lines: gives what a line says about its name.
type Parse<T> = fn(&[u8]) -> Option<T>;

fn find_with<T>(text: &[u8], name: &[u8], parse: Parse<T>) -> Option<T> {
    if !is_name(name) {
        return None;
    }
    let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_start);
    lines.filter(|line| name_in(line) == name).find_map(parse)
}

fn name_in(line: &[u8]) -> &[u8] {
    line.split(|&byte| byte == b':').next().unwrap_or_default()
}

/// Returns whether these bytes can be the name of a line. Comments cannot, nor can `+` and `-`, by which a file includes other sources.
fn is_name(name: &[u8]) -> bool {
    !matches!(name, [] | [b'#' | b'+' | b'-', ..])
}

/// `NAME:PASSWORD:UID:GID`, and whatever follows.
fn account(line: &[u8]) -> Option<Account> {
    let mut ids = line.split(|&byte| byte == b':').skip(2);
    Some(Account { uid: id(ids.next()?)?, gid: id(ids.next()?)? })
}

/// `NAME:PASSWORD:UID:GID:COMMENT:HOME:SHELL`. What is missing at the end is empty. A line with a NUL is malformed.
fn login(line: &[u8]) -> Option<Login> {
    let account = account(line).filter(|_| !line.contains(&0))?;
    let field = |at: usize| line.split(|&byte| byte == b':').nth(at).unwrap_or_default().to_vec();
    Some(Login { name: field(0), account, home: field(5), shell: field(6) })
}

/// `NAME:PASSWORD:GID`, and whatever follows.
fn group(line: &[u8]) -> Option<u32> {
    id(line.split(|&byte| byte == b':').nth(2)?)
}

/// The ids of the groups in the text of a group file that have `name` as a member, in `NAME:PASSWORD:GID:MEMBER,MEMBER...`.
fn memberships<'a>(groups: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
    let lines = groups.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_start);
    lines.filter(|line| is_name(name_in(line))).filter_map(move |line| {
        let mut members = line.split(|&byte| byte == b':').nth(3)?.split(|&byte| byte == b',');
        if members.any(|member| member.trim_ascii() == name) { group(line) } else { None }
    })
}

/// The ids in `NAME GID GID...`, which is how getent tells of all groups of an account. `None` if something is no id.
fn ids_behind(name: &[u8], line: &[u8]) -> Option<Vec<u32>> {
    let words = line.strip_prefix(name)?.split(u8::is_ascii_whitespace);
    words.filter(|word| !word.is_empty()).map(id).collect()
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
fn first_line<T>(answer: &[u8], parse: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
    // A line without a newline may have been cut short in the middle of a number.
    let end = answer.iter().position(|&byte| byte == b'\n')?;
    parse(answer.get(..end)?)
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
    fn a_login_has_a_home_and_a_shell() {
        let found = |line: &str| {
            let told = find_with(line.as_bytes(), b"web", login).expect("it is there");
            [told.name, told.home, told.shell].map(|field| String::from_utf8(field).expect("text"))
        };
        assert_eq!(found("web:x:12:34:Web, a:/srv:/bin/sh\nweb:x:1:2::/:"), ["web", "/srv", "/bin/sh"]);
        assert_eq!(found("web:x:12:34::/srv"), ["web", "/srv", ""]);
        assert_eq!(found("web:x:12:34"), ["web", "", ""]);
        assert_eq!(found("web:x:1:2::/\0:\nweb:x:12:34::/srv:"), ["web", "/srv", ""]);
    }

    #[test]
    fn an_account_is_in_the_groups_that_name_it() {
        let groups: &[u8] = b"a:x:1:web\nb:x:2:db, web\n# c:x:3:web\n+d:x:4:web\ne:x:5x:web\nf:x:6:webb,we\ng:x:7:\nh:x:8\n i:x:9:web,x";
        assert_eq!(memberships(groups, b"web").collect::<Vec<_>>(), [1, 2, 9]);
    }

    #[test]
    fn all_groups_of_an_account_are_a_line_of_ids() {
        assert_eq!(ids_behind(b"web", b"web                   33 4 5"), Some(vec![33, 4, 5]));
        assert_eq!(ids_behind(b"web", b"web"), Some(vec![]));
        for wrong in [&b"web 1 x"[..], b"web -1", b"we 1", b""] {
            assert_eq!(ids_behind(b"web", wrong), None);
        }
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
