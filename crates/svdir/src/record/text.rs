//! Short texts in a record: bytes in a fixed place, which end at the first NUL.

/// At most `N` bytes of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<const N: usize>([u8; N]);

impl<const N: usize> Default for Text<N> {
    fn default() -> Text<N> {
        Text([0; N])
    }
}

impl<const N: usize> Text<N> {
    /// These bytes. What is too long is cut; a NUL ends it.
    pub fn new(bytes: &[u8]) -> Text<N> {
        let mut text = [0; N];
        for (place, &byte) in text.iter_mut().zip(bytes.iter().take_while(|&&byte| byte != 0)) {
            *place = byte;
        }
        Text(text)
    }

    /// The bytes, without the NULs behind them.
    pub fn bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(N);
        self.0.get(..end).unwrap_or_default()
    }

    /// The bytes, with NULs behind them up to the full length.
    pub const fn padded(&self) -> &[u8; N] {
        &self.0
    }

    /// The bytes, unless there is none.
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
