//! The ids that an operand of chpst asks for: `user`, `user:group:group...`, or as numbers `:uid:gid:gid...`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use cli::{Usage, text};
use svdir::knob;

use crate::service::account;

/// How many groups an operand may name.
const GROUPS: usize = 60;

/// A user and groups.
#[derive(Debug, PartialEq, Eq)]
pub struct Ids {
    pub uid: u32,
    /// The main group.
    pub gid: u32,
    /// All groups, the main one first.
    pub gids: Vec<u32>,
}

impl Ids {
    /// Finds the ids. A user without groups has its login group alone. A name is never taken for a number, and a number never for a name.
    ///
    /// # Errors
    /// `unknown user/group` with the operand, `invalid uid/gids` with the operand without its first colon, or [`Usage`] if an id is empty.
    pub fn find(operand: &OsStr) -> anyhow::Result<Ids> {
        match operand.as_bytes().strip_prefix(b":") {
            Some(numbers) => parse(numbers)?.ok_or_else(|| text!("invalid uid/gids: ", numbers).into()),
            None => look_up(operand.as_bytes()).ok_or_else(|| text!("unknown user/group: ", operand).into()),
        }
    }

    fn of(uid: u32, gids: Vec<u32>) -> Option<Ids> {
        Some(Ids { uid, gid: *gids.first()?, gids })
    }
}

/// Reads `uid:gid:gid...`. `None` if something is no number, or too large for an id, if there is no group, or there are too many.
///
/// An empty id is wrong usage: it is what a variable leaves that is not set, and runit's chpst takes it for root's.
fn parse(numbers: &[u8]) -> Result<Option<Ids>, Usage> {
    let fields: Vec<&[u8]> = numbers.split(|&byte| byte == b':').collect();
    let is_number = |field: &&[u8]| field.iter().all(u8::is_ascii_digit);
    let Some((uid, gids)) = fields.split_first().filter(|(_, gids)| (1..=GROUPS).contains(&gids.len())) else {
        return Ok(None);
    };
    if fields.iter().all(is_number) && fields.iter().any(|field| field.is_empty()) {
        return Err(Usage);
    }
    let id = |field: &&[u8]| knob::digits(field).and_then(|id| u32::try_from(id).ok());
    Ok(id(uid).zip(gids.iter().map(id).collect()).and_then(|(uid, gids)| Ids::of(uid, gids)))
}

/// Looks up `user:group:group...`, or the user with its login group. Groups beyond the number that may be named are passed over, as runit's chpst does.
fn look_up(names: &[u8]) -> Option<Ids> {
    let mut fields = names.split(|&byte| byte == b':').map(OsStr::from_bytes);
    let user = account::look_up(fields.next()?).ok()?;
    let mut gids: Vec<u32> = fields.take(GROUPS).map(account::look_up_group).collect::<Option<_>>()?;
    if gids.is_empty() {
        gids.push(user.gid);
    }
    Ids::of(user.uid, gids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(operand: &str) -> Result<Ids, String> {
        Ids::find(OsStr::new(operand)).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_are_a_user_and_at_least_one_group() {
        assert_eq!(ids(":1:2:3"), Ok(Ids { uid: 1, gid: 2, gids: vec![2, 3] }));
        assert_eq!(ids(":007:0"), Ok(Ids { uid: 7, gid: 0, gids: vec![0] }));
        let many = |groups: usize| ids(&format!(":1{}", ":2".repeat(groups)));
        assert_eq!(many(60).map(|ids| ids.gids.len()), Ok(60));
        assert!(many(61).is_err());
        for wrong in [":", ":1", ":x:1", ":1:x", ":1:2x", ":-1:2", ":1:+2", ":1: 2", ":1:4294967296", ":1:x:"] {
            assert_eq!(ids(wrong), Err(format!("invalid uid/gids: {}", &wrong[1..])));
        }
    }

    #[test]
    fn an_empty_id_is_nobodys() {
        for wrong in ["::", "::1", ":1:", ":1::2", ":1:2:"] {
            assert_eq!(ids(wrong), Err("wrong usage".to_owned()), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_not_taken_for_a_number() {
        for wrong in ["", "0", "root:0", "root:", "nosuch-user", "root:nosuch-group"] {
            assert_eq!(ids(wrong), Err(format!("unknown user/group: {wrong}")));
        }
    }
}
