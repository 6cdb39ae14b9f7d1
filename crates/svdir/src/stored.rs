//! The list of the descriptors that a supervise keeps for its service (`supervise/stored`), by which its successor finds again those that the service
//! still has open: descriptors themselves end with the process that has them.
//!
//! It is text. The first line is `stored by PID`, with the pid of the supervise. Each other line is a descriptor: four decimal numbers, which are
//! device and inode number of its file, the bits of `S_IFMT` and those of `O_ACCMODE`, and its name, with one blank between them.

use crate::knob::digits;

/// The greatest number of descriptors that are kept for a service. Their names must have room in one variable of the environment (128 kB on Linux).
pub const MOST: usize = 256;
/// The greatest length of the list, in bytes.
pub const LONGEST: usize = 64 + MOST * (4 * 21 + 256);

const HEAD: &[u8] = b"stored by ";

/// A descriptor in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The device of its file.
    pub device: u64,
    /// The inode number of its file.
    pub inode: u64,
    /// The kind of its file: the bits of `S_IFMT`.
    pub kind: u32,
    /// What it may be used for: the bits of `O_ACCMODE`.
    pub access: u32,
    /// Its name.
    pub name: &'a [u8],
}

/// Writes the list of the supervise with this pid.
pub fn encode<'a>(supervise: u32, entries: impl IntoIterator<Item = Entry<'a>>) -> Vec<u8> {
    let mut bytes = [HEAD, supervise.to_string().as_bytes(), b"\n"].concat();
    for Entry { device, inode, kind, access, name } in entries {
        bytes.extend(format!("{device} {inode} {kind} {access} ").into_bytes());
        bytes.extend(name);
        bytes.push(b'\n');
    }
    bytes
}

/// Reads the list of the supervise with this pid, without lines that are none. Nothing is in the list of another supervise.
pub fn decode(supervise: u32, bytes: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let head = lines.next().and_then(|line| digits(line.strip_prefix(HEAD)?));
    lines.take_while(move |_| head == Some(u64::from(supervise))).filter_map(entry).take(MOST)
}

fn entry(line: &[u8]) -> Option<Entry<'_>> {
    let mut words = line.splitn(5, |&byte| byte == b' ');
    let mut number = || digits(words.next()?);
    let (device, inode, kind, access) = (number()?, number()?, number()?, number()?);
    let name = words.next().filter(|name| crate::notify::is_stored_name(name))?;
    Some(Entry { device, inode, kind: kind.try_into().ok()?, access: access.try_into().ok()?, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_by_the_successor_and_by_nobody_else() {
        let longest = [b'x'; 255];
        let entry = |number: u64, name| Entry { device: number, inode: u64::MAX, kind: u32::MAX, access: 2, name };
        for entries in
            [vec![], vec![entry(7, b"a b".as_slice()), entry(u64::MAX, &longest)], vec![entry(1, &longest); MOST]]
        {
            let bytes = encode(12, entries.iter().copied());
            assert!(bytes.len() <= LONGEST);
            assert_eq!(decode(12, &bytes).collect::<Vec<_>>(), entries);
            assert_eq!(decode(13, &bytes).count(), 0);
        }
        let many = encode(12, vec![entry(1, b"a"); MOST + 1]);
        assert_eq!(decode(12, &many).count(), MOST);
    }

    #[test]
    fn what_is_no_line_of_it_is_passed_over() {
        let line = b"1 2 3 0 a";
        let list = |line: &[u8]| [b"stored by 12\n", line, b"\n"].concat();
        assert_eq!(decode(12, &list(line)).count(), 1);
        for wrong in
            ["", "1 2 3 0", "1 2 3 0 ", "1 2 3 0 a:b", "1 2 3 -1 a", "1 2 3 4294967296 a", "1  2 3 0 a", "x 2 3 0 a"]
        {
            assert_eq!(decode(12, &list(wrong.as_bytes())).count(), 0, "{wrong:?}");
        }
        for head in ["", "stored by ", "stored by 120", "stored by x12", "kept by 12"] {
            assert_eq!(decode(12, &[head.as_bytes(), b"\n", line, b"\n"].concat()).count(), 0, "{head:?}");
        }
    }
}
