//! The layout of the file `supervise/record`: two slots, written in turn, each by one call to a descriptor that stays open.
//!
//! | offset in a slot | size | contents |
//! |---|---|---|
//! | 0 | 4 | `upR2` |
//! | 4 | 4 | checksum of everything that follows, up to the end of the sections |
//! | 8 | 8 | sequence number |
//! | 16 | 2 | length of the sections |
//! | 18 | | [`super::sections`] |
//!
//! Of the slots whose checksum is right, the one with the greater number counts. The checksum is wrong for a slot that is only half written, or that
//! is read while it is written; then the other slot counts. Both slots have their place on the disk from the beginning, so a disk that fills up later
//! does not matter.

use super::Record;
use super::sections::Writer;

/// Length in bytes of a slot.
pub const SLOT: usize = 512;
/// Length in bytes of the file.
pub const FILE: usize = 2 * SLOT;
/// Length in bytes of the head, before the sections.
const HEAD: usize = 18;
/// The greatest length in bytes of the sections.
pub const SECTIONS: usize = SLOT - HEAD;

const MAGIC: &[u8; 4] = b"upR2";

/// The sequence number of a slot: each write has a number that is greater by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The sequence number of the next write.
    #[must_use]
    pub const fn next(self) -> Sequence {
        Sequence(self.0.wrapping_add(1))
    }

    /// The offset in the file of the slot for this number, in bytes.
    pub const fn offset(self) -> u64 {
        self.0 % 2 * SLOT as u64
    }
}

/// Encodes a slot. A record for which there is no room, which no version of this suite can make, is left out, and the slot does not count.
pub fn encode(sequence: Sequence, record: &Record) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    let (head, sections) = slot.split_at_mut(HEAD);
    let mut writer = Writer::new(sections);
    record.encode(&mut writer);
    let Some(length) = writer.finish() else {
        debug_assert!(false, "a record without room");
        return [0; SLOT];
    };
    head[..4].copy_from_slice(MAGIC);
    head[8..16].copy_from_slice(&sequence.0.to_le_bytes());
    head[16..].copy_from_slice(&(length as u16).to_le_bytes());
    let sum = checksum(&slot[8..HEAD + length]);
    slot[4..8].copy_from_slice(&sum.to_le_bytes());
    slot
}

/// Finds the newest record in the bytes of a file, with its number. `None` if no record can be read.
pub fn newest(file: &[u8]) -> Option<(Sequence, Record)> {
    let mut slots: Vec<_> = file.chunks(SLOT).take(2).filter_map(contents).collect();
    slots.sort_by_key(|&(sequence, _)| std::cmp::Reverse(sequence));
    slots.into_iter().find_map(|(sequence, sections)| Some((sequence, Record::decode(sections)?)))
}

/// The number and the sections of a slot; `None` if it is not complete.
fn contents(slot: &[u8]) -> Option<(Sequence, &[u8])> {
    let rest = slot.strip_prefix(MAGIC)?;
    let (&sum, summed) = rest.split_first_chunk::<4>()?;
    let (&sequence, rest) = summed.split_first_chunk::<8>()?;
    let (&length, sections) = rest.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_le_bytes(length));
    let sections = sections.get(..length)?;
    let right = u32::from_le_bytes(sum) == checksum(summed.get(..HEAD - 8 + length)?);
    right.then_some((Sequence(u64::from_le_bytes(sequence)), sections))
}

/// The hash of Fowler, Noll and Vo (FNV-1a, 32 bits). It detects torn slots; it does not protect against an attacker.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    /// Under an interpreter each look takes long.
    const STEP: usize = if cfg!(miri) { 37 } else { 1 };

    fn file(slots: [[u8; SLOT]; 2]) -> Vec<u8> {
        slots.concat()
    }

    #[test]
    #[cfg_attr(miri, ignore = "below an interpreter it takes minutes")]
    fn the_newest_whole_slot_counts() {
        let (old, mut new) = (example(), example());
        new.decided.pace.starts = 99;
        let whole = file([encode(Sequence(6), &old), encode(Sequence(7), &new)]);
        assert_eq!(newest(&whole), Some((Sequence(7), new)));
        assert_eq!(newest(&file([encode(Sequence(8), &old), encode(Sequence(7), &new)])), Some((Sequence(8), old)));
        for torn in (SLOT..SLOT + 100).step_by(STEP) {
            let mut bytes = whole.clone();
            bytes[torn] ^= 1;
            assert_eq!(newest(&bytes), Some((Sequence(6), old)), "byte {torn}");
        }
        for length in (0..whole.len()).step_by(STEP) {
            assert!(newest(&whole[..length]).is_none_or(|(sequence, _)| sequence.0 == 6) || length > SLOT + 100);
        }
        assert_eq!(newest(&[0; FILE]), None);
    }

    #[test]
    fn slots_take_turns() {
        assert_eq!((Sequence(4).offset(), Sequence(5).offset()), (0, SLOT as u64));
        assert_eq!(Sequence(4).next(), Sequence(5));
    }
}
