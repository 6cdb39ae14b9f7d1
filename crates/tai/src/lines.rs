//! Labels in streams of lines: tai64n puts a label in front of each line, tai64nlocal turns labels into local time.
//!
//! Bytes may come in pieces of any size. Neither holds back more of a line than a label, and neither reads a clock or a
//! time zone; the caller does that.

use std::io::Write;

use memchr::memchr;

use crate::{Label, is_digit};

/// Puts a label and a space in front of each line.
#[derive(Clone, Debug, Default)]
pub struct Stamper {
    in_line: bool,
}

impl Stamper {
    /// Appends `block` to `out`, with `label` in front of each line that begins in it. Its length is known to the compiler, since a copy of so few
    /// bytes is quick only then.
    pub fn feed<const N: usize>(&mut self, mut block: &[u8], label: &[u8; N], out: &mut Vec<u8>) {
        while !block.is_empty() {
            if !self.in_line {
                out.extend_from_slice(label);
                out.push(b' ');
            }
            let (line, rest, complete) = split_line(block);
            append(out, line);
            self.in_line = !complete;
            block = rest;
        }
    }
}

/// The place of the next byte in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    Label,
    Rest,
}

/// Turns the label at the very front of a line into local time.
///
/// A label is `@` and exactly 24 lower-case hexadecimal digits of a time that has a date; anything else is copied.
/// (daemontools 0.76 takes any number of digits, and crashes on the year that most of such lines give.) If the input
/// ends within something that could be a label, that is dropped, as in daemontools.
#[derive(Clone, Debug)]
pub struct Localizer {
    place: Place,
    held: [u8; Label::TEXT],
    len: usize,
}

impl Default for Localizer {
    fn default() -> Localizer {
        Localizer { place: Place::Start, held: [0; Label::TEXT], len: 0 }
    }
}

impl Localizer {
    /// Appends `block` to `out`, with its labels turned into local time. `local` appends the date and time of a Unix
    /// second, to the second; or it appends nothing and returns `false` if there is no such time.
    pub fn feed(&mut self, mut block: &[u8], mut local: impl FnMut(i64, &mut Vec<u8>) -> bool, out: &mut Vec<u8>) {
        while let Some((&byte, behind)) = block.split_first() {
            match self.place {
                Place::Start if byte == b'@' => {
                    // Most labels are within one block, and need not be held.
                    if let Some((label, rest)) = whole_label(block)
                        && convert(label, &mut local, out)
                    {
                        self.place = Place::Rest;
                        block = rest;
                    } else {
                        self.place = Place::Label;
                        self.len = 0;
                        self.hold(byte);
                        block = behind;
                    }
                }
                Place::Label if is_digit(byte) && self.len < Label::TEXT => {
                    self.hold(byte);
                    block = behind;
                }
                Place::Label => {
                    self.place = Place::Rest;
                    // One more digit makes the text too long for a label.
                    if is_digit(byte) || !convert(self.held(), &mut local, out) {
                        out.extend_from_slice(self.held());
                    }
                }
                Place::Start | Place::Rest => {
                    let (line, rest, complete) = split_line(block);
                    append(out, line);
                    self.place = if complete { Place::Start } else { Place::Rest };
                    block = rest;
                }
            }
        }
    }

    /// Keeps `byte` as a part of a label. The caller has checked that there is room.
    fn hold(&mut self, byte: u8) {
        if let Some(place) = self.held.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    fn held(&self) -> &[u8] {
        self.held.get(..self.len).unwrap_or(&self.held)
    }
}

/// Splits `block` after the length of a label; `None` if nothing follows, or another digit.
fn whole_label(block: &[u8]) -> Option<(&[u8], &[u8])> {
    block.split_at_checked(Label::TEXT).filter(|(_, rest)| rest.first().is_some_and(|&byte| !is_digit(byte)))
}

/// Appends the local time of a label. Returns `false` if `text` is not a label, or has no local time.
fn convert(text: &[u8], local: &mut impl FnMut(i64, &mut Vec<u8>) -> bool, out: &mut Vec<u8>) -> bool {
    let label = text.split_first().and_then(|(_, digits)| Label::from_digits(digits));
    let Some(label) = label.filter(|label| local(label.unix_seconds(), out)) else {
        return false;
    };
    // A dot and nine digits; ten if the label has more than 999,999,999 nanoseconds.
    match fraction(label.nanos) {
        Some(text) => out.extend_from_slice(&text),
        // Writing to a Vec cannot fail.
        None => drop(write!(out, ".{}", label.nanos)),
    }
    true
}

/// Formats nanoseconds as a dot and nine digits; `None` if they need more digits.
fn fraction(nanos: u32) -> Option<[u8; 10]> {
    let mut text = [b'.'; 10];
    let mut left = nanos;
    for place in text[1..].iter_mut().rev() {
        *place = b'0' + (left % 10) as u8;
        left /= 10;
    }
    (left == 0).then_some(text)
}

/// Appends `bytes`. musl's memcpy, called with a size that the compiler does not know, needs as long to begin as it needs to copy two lines.
fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    if cfg!(target_env = "musl") { append_by_size(out, bytes) } else { out.extend_from_slice(bytes) }
}

/// Appends `bytes` in pieces of a known size, which take a move or two each. Where there are so many that this takes longer, memcpy is called.
fn append_by_size(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        0..8 => bytes.iter().for_each(|&byte| out.push(byte)),
        8..32 => append_pieces::<8>(out, bytes),
        32..=1_024 => append_pieces::<32>(out, bytes),
        _ => out.extend_from_slice(bytes),
    }
}

/// Appends `bytes`, of which there are `N` or more. The last piece overlaps the one before it.
fn append_pieces<const N: usize>(out: &mut Vec<u8>, bytes: &[u8]) {
    let (pieces, rest) = bytes.as_chunks::<N>();
    pieces.iter().for_each(|piece| out.extend_from_slice(piece));
    if let (false, Some(last)) = (rest.is_empty(), bytes.last_chunk::<N>()) {
        out.truncate(out.len() - (N - rest.len()));
        out.extend_from_slice(last);
    }
}

/// Splits `block` after its first newline, and tells whether there was one.
fn split_line(block: &[u8]) -> (&[u8], &[u8], bool) {
    let end = memchr(b'\n', block);
    let (line, rest) = block.split_at(end.map_or(block.len(), |at| at + 1));
    (line, rest, end.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a time zone would, for the years 1970 to 2000 only.
    fn local(seconds: i64, out: &mut Vec<u8>) -> bool {
        let known = (0..1_000_000_001).contains(&seconds);
        if known {
            out.extend_from_slice(format!("[{seconds}]").as_bytes());
        }
        known
    }

    /// The same however the input is cut in two.
    fn localized(input: &[u8]) -> Vec<u8> {
        let convert = |cut: usize| {
            let (mut localizer, mut out) = (Localizer::default(), Vec::new());
            localizer.feed(&input[..cut], local, &mut out);
            localizer.feed(&input[cut..], local, &mut out);
            out
        };
        let whole = convert(0);
        for cut in 1..=input.len() {
            assert_eq!(convert(cut), whole, "cut at {cut}");
        }
        whole
    }

    #[test]
    fn a_label_in_front_of_a_line_becomes_a_time() {
        assert_eq!(
            localized(b"@400000003b9aca0a075bcd15 a\n@400000003b9aca0a00000001\n"),
            b"[1000000000].123456789 a\n[1000000000].000000001\n"
        );
        assert_eq!(localized(b"@400000003b9aca0affffffff x"), b"[1000000000].4294967295 x");
    }

    #[test]
    fn a_label_elsewhere_is_text() {
        let text = b" @400000003b9aca0a075bcd15\nx@400000003b9aca0a075bcd15 a\n";
        assert_eq!(localized(text), text);
        assert_eq!(
            localized(b"@400000003b9aca0a075bcd15@400000003b9aca0a075bcd15 a"),
            b"[1000000000].123456789@400000003b9aca0a075bcd15 a"
        );
    }

    #[test]
    fn what_is_no_label_is_copied() {
        for line in [
            &b"@\n"[..],
            b"@ x\n",
            b"@@400000003b9aca0a075bcd15 x\n",
            b"@400000003b9aca0a075bcd1 short\n",
            b"@400000003b9aca0a075bcd150 long\n",
            b"@400000003b9aca0a075bcd150000000000 longer\n",
            b"@400000003B9ACA0A075BCD15 upper\n",
            b"@000000003b9aca0a075bcd15 no such time\n",
            b"@400000003b9aca0a075bcd1\xff\0\n\n",
        ] {
            assert_eq!(localized(line), line);
        }
    }

    #[test]
    fn a_label_that_the_end_of_input_cuts_is_dropped() {
        assert_eq!(localized(b"a\n@400000003b9aca0a075bcd15"), b"a\n");
        assert_eq!(localized(b"@4"), b"");
    }

    #[test]
    fn a_line_of_any_length_is_appended_as_it_is() {
        let text: Vec<u8> = (0..3_000_u32).map(|number| (number * number % 251) as u8).collect();
        for length in 0..text.len() {
            let mut out = b"before".to_vec();
            append_by_size(&mut out, &text[..length]);
            assert_eq!(out, [b"before", &text[..length]].concat(), "{length}");
        }
    }

    #[test]
    fn each_line_gets_the_label_of_the_block_it_begins_in() {
        let (mut stamper, mut out) = (Stamper::default(), Vec::new());
        stamper.feed(b"a\n\nb", b"@111111111111111111111111", &mut out);
        stamper.feed(b"c\nd", b"@222222222222222222222222", &mut out);
        let expected = "@111111111111111111111111 a\n@111111111111111111111111 \n@111111111111111111111111 bc\n@222222222222222222222222 d";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}
