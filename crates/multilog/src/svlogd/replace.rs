//! `-r` and `-R`: bytes that are not to be in a log are replaced by another one.

use memchr::memchr;

/// Replaces bytes in lines, at most so many from the beginning of each.
#[derive(Clone, Debug)]
pub struct Replacer {
    /// What each byte becomes.
    table: [u8; 256],
    length: usize,
    /// How many bytes of the present line there were.
    column: usize,
}

impl Replacer {
    /// Replaces what cannot be printed, and each of `others`, by `by`, in the first `length` bytes of each line.
    pub fn new(by: u8, others: &[u8], length: usize) -> Replacer {
        let table = std::array::from_fn(|byte| {
            let byte = byte as u8;
            if !(b' '..=b'~').contains(&byte) || others.contains(&byte) { by } else { byte }
        });
        Replacer { table, length, column: 0 }
    }

    /// Replaces them in a block of the input.
    pub fn apply(&mut self, mut block: &mut [u8]) {
        while !block.is_empty() {
            let end = memchr(b'\n', block);
            let (line, rest) = block.split_at_mut(end.unwrap_or(block.len()));
            let seen = line.len().min(self.length.saturating_sub(self.column));
            for byte in line.iter_mut().take(seen) {
                *byte = self.table[usize::from(*byte)];
            }
            self.column = if end.is_some() { 0 } else { self.column.saturating_add(line.len()) };
            block = rest.get_mut(1..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_beginning_of_a_line_is_replaced_however_it_is_cut() {
        let input = b"a\tb\x01\xc3 x(y)z\t\t\n\t\t\n\n(((((((((((((((((((";
        for cut in 0..=input.len() {
            let mut replacer = Replacer::new(b'.', b"()", 12);
            let mut text = input.to_vec();
            let (front, back) = text.split_at_mut(cut);
            replacer.apply(front);
            replacer.apply(back);
            assert_eq!(text, b"a.b.. x.y.z.\t\n..\n\n............(((((((", "{cut}");
        }
    }
}
