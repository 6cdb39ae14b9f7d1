//! Short texts in a record: a field of fixed length, in which the text ends at the first NUL.

/// At most `N` bytes of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<const N: usize>([u8; N]);

impl<const N: usize> Default for Text<N> {
    fn default() -> Text<N> {
        Text([0; N])
    }
}

impl<const N: usize> Text<N> {
    /// Makes a text from these bytes, cut off if it is too long, or at the first NUL.
    pub fn new(bytes: &[u8]) -> Text<N> {
        let mut text = [0; N];
        for (place, &byte) in text.iter_mut().zip(bytes.iter().take_while(|&&byte| byte != 0)) {
            *place = byte;
        }
        Text(text)
    }

    /// The bytes of the text, without padding.
    pub fn bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(N);
        self.0.get(..end).unwrap_or_default()
    }

    /// The bytes of the text, padded with NULs to the full length.
    pub const fn padded(&self) -> &[u8; N] {
        &self.0
    }

    /// The bytes of the text; `None` if it is empty.
    pub fn some(&self) -> Option<&[u8]> {
        Some(self.bytes()).filter(|bytes| !bytes.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_where_it_must_be() {
        for (bytes, text) in
            [(&b""[..], &b""[..]), (b"abc", b"abc"), (b"abcd", b"abcd"), (b"abcde", b"abcd"), (b"a\0c", b"a")]
        {
            assert_eq!(Text::<4>::new(bytes).bytes(), text);
            assert_eq!(Text::<4>::new(bytes).some().is_some(), !text.is_empty());
        }
    }
}
