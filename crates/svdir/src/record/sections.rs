//! Sections: the format of the record of a supervise and of the state that an upgrade hands over.
//!
//! A section is a tag (one byte), a length (two bytes, little-endian) and that many bytes. It contains fields of fixed sizes, numbers in
//! little-endian. New fields are added at the end: a reader takes missing bytes for zeros, and ignores bytes that it does not know. So a program
//! reads what older and newer programs wrote. A section with the [critical](CRITICAL) bit in its tag must be understood: a reader that does not know
//! it refuses everything.

use tai::Label;

/// Set in the tag of a section without which the rest would be misunderstood.
pub const CRITICAL: u8 = 0x80;

/// A tag and key that no release uses, for tests of sections and descriptors that are not understood.
pub const UNKNOWN: u8 = 0x7f;

/// Bytes before the contents of a section: tag and length.
const HEAD: usize = 3;

/// Writes sections into existing memory: a child that must not allocate writes its own record.
pub struct Writer<'a> {
    bytes: &'a mut [u8],
    length: usize,
    full: bool,
}

impl<'a> Writer<'a> {
    /// Makes a writer that begins at the first of these bytes.
    pub const fn new(bytes: &'a mut [u8]) -> Writer<'a> {
        Writer { bytes, length: 0, full: false }
    }

    /// How many bytes were written. `None` if there was no room for all.
    pub const fn finish(self) -> Option<usize> {
        if self.full { None } else { Some(self.length) }
    }

    /// How many bytes the contents of one more section may have.
    pub(super) const fn room_in_a_section(&self) -> usize {
        self.bytes.len().saturating_sub(self.length + HEAD)
    }

    /// Writes one section, whose contents `fill` writes.
    pub fn section(&mut self, tag: u8, fill: impl FnOnce(&mut Self)) {
        let head = self.length;
        self.put(&[tag, 0, 0]);
        let begin = self.length;
        fill(self);
        let length = u16::try_from(self.length - begin);
        match (self.bytes.get_mut(head + 1..begin), length) {
            (Some(place), Ok(length)) if !self.full => place.copy_from_slice(&length.to_le_bytes()),
            _ => self.full = true,
        }
    }

    /// Writes these bytes.
    pub fn put(&mut self, bytes: &[u8]) {
        match self.bytes.get_mut(self.length..self.length + bytes.len()) {
            Some(place) if !self.full => {
                place.copy_from_slice(bytes);
                self.length += bytes.len();
            }
            _ => self.full = true,
        }
    }

    /// Writes a byte.
    pub fn byte(&mut self, byte: u8) {
        self.put(&[byte]);
    }

    /// At most eight facts in a byte: the first is bit 0.
    pub fn flags<const N: usize>(&mut self, flags: [bool; N]) {
        self.byte(flags.into_iter().rev().fold(0, |all, flag| all << 1 | u8::from(flag)));
    }

    /// Writes a number of four bytes.
    pub fn number(&mut self, number: u32) {
        self.put(&number.to_le_bytes());
    }

    /// Writes a number of eight bytes.
    pub fn long(&mut self, number: u64) {
        self.put(&number.to_le_bytes());
    }

    /// Writes a label, as TAI64N packs it.
    pub fn label(&mut self, label: Label) {
        self.put(&label.pack());
    }
}

/// Iterates over the sections in some bytes: each tag with its contents. An incomplete section at the end gives [`Cut`].
pub struct Sections<'a>(pub &'a [u8]);

/// The bytes end in the middle of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut;

impl<'a> Iterator for Sections<'a> {
    type Item = Result<(u8, Fields<'a>), Cut>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let section = self.0.split_at_checked(HEAD).and_then(|(head, rest)| {
            let &[tag, low, high] = head else {
                return None;
            };
            let (contents, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([low, high])))?;
            Some((tag, contents, rest))
        });
        let Some((tag, contents, rest)) = section else {
            self.0 = &[];
            return Some(Err(Cut));
        };
        self.0 = rest;
        Some(Ok((tag, Fields(contents))))
    }
}

/// Reads the fields of one section. Missing bytes at the end are zero.
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Begins at the first of these bytes.
    pub const fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields(bytes)
    }

    /// The next bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        for place in &mut array {
            let Some((&byte, rest)) = self.0.split_first() else {
                break;
            };
            (*place, self.0) = (byte, rest);
        }
        array
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        u8::from_le_bytes(self.array())
    }

    /// What [`Writer::flags`] wrote.
    pub fn flags<const N: usize>(&mut self) -> [bool; N] {
        let byte = self.byte();
        std::array::from_fn(|bit| byte >> bit & 1 == 1)
    }

    /// The next number of four bytes.
    pub fn number(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    /// The next number of eight bytes.
    pub fn long(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// The next label.
    pub fn label(&mut self) -> Label {
        Label::unpack(self.array())
    }

    /// All remaining bytes, for a field of variable length at the end.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_missing_is_zero() {
        let mut bytes = [0; 64];
        let mut writer = Writer::new(&mut bytes);
        writer.section(1, |section| {
            section.byte(7);
            section.number(8);
            section.long(9);
            section.label(Label::from_unix(10, 11));
            section.put(b"text");
        });
        writer.section(2, |_| ());
        let length = writer.finish().expect("room");
        let mut sections = Sections(&bytes[..length]);
        let (tag, mut fields) = sections.next().expect("one").expect("whole");
        assert_eq!((tag, fields.byte(), fields.number(), fields.long()), (1, 7, 8, 9));
        assert_eq!((fields.label(), fields.rest()), (Label::from_unix(10, 11), &b"text"[..]));
        let (tag, mut fields) = sections.next().expect("another").expect("whole");
        assert_eq!((tag, fields.long(), fields.byte()), (2, 0, 0));
        assert!(sections.next().is_none());
    }

    #[test]
    fn a_section_that_is_cut_ends_it() {
        let mut bytes = [0; 16];
        let mut writer = Writer::new(&mut bytes);
        writer.section(1, |section| section.long(9));
        let length = writer.finish().expect("room");
        for short in 1..length {
            let read: Vec<_> = Sections(&bytes[..short]).map(|section| section.map(|(tag, _)| tag)).collect();
            assert_eq!(read, [Err(Cut)], "{short} bytes");
        }
    }

    #[test]
    fn what_does_not_fit_is_not_written_by_halves() {
        for room in 0..11 {
            let mut bytes = vec![0; room];
            let mut writer = Writer::new(&mut bytes);
            writer.section(1, |section| section.long(9));
            assert_eq!(writer.finish(), None, "{room} bytes");
        }
    }
}
