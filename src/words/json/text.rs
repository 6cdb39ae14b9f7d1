//! JSON, as it is written: objects of texts, numbers and the like, by hand.
//!
//! Names are bytes, and JSON has characters. A byte that belongs to no character of UTF-8 is written as Python's `surrogateescape` reads and writes it: `\udc80` for the byte
//! 128, up to `\udcff`. No text has these in any other way, so that each text can be read back as the bytes that it was. What a terminal would obey is written as `\u001b` and the like.

use std::fmt::Write;

/// An object that is being written.
#[derive(Debug)]
pub struct Object(String);

impl Default for Object {
    fn default() -> Object {
        Object("{".to_owned())
    }
}

impl Object {
    /// Begins a field. The name needs no escapes.
    fn field(&mut self, name: &str) -> &mut String {
        let Object(out) = self;
        let comma = if out.len() > 1 { "," } else { "" };
        let _ = write!(out, "{comma}\"{name}\":");
        out
    }

    /// Adds a text.
    pub fn text(&mut self, name: &str, bytes: &[u8]) {
        text(bytes, self.field(name));
    }

    /// Adds a number, which is written as Rust shows it.
    pub fn number(&mut self, name: &str, number: impl Into<u64>) {
        let _ = write!(self.field(name), "{}", number.into());
    }

    /// Adds a number of millionths.
    pub fn millionths(&mut self, name: &str, number: u64) {
        let _ = write!(self.field(name), "{}.{:06}", number / 1_000_000, number % 1_000_000);
    }

    /// Adds true or false.
    pub fn flag(&mut self, name: &str, is_true: bool) {
        let _ = write!(self.field(name), "{is_true}");
    }

    /// Adds an object.
    pub fn object(&mut self, name: &str, inner: Object) {
        self.field(name).push_str(&inner.end());
    }

    /// Adds an array of texts.
    pub fn texts<'a>(&mut self, name: &str, texts: impl IntoIterator<Item = &'a [u8]>) {
        array(self.field(name), texts, text);
    }

    /// Adds an array of objects.
    pub fn objects(&mut self, name: &str, objects: impl IntoIterator<Item = Object>) {
        array(self.field(name), objects, |object, out| out.push_str(&object.end()));
    }

    /// How long it is until now, in bytes.
    pub const fn length(&self) -> usize {
        self.0.len()
    }

    /// The whole object.
    pub fn end(self) -> String {
        let Object(mut out) = self;
        out.push('}');
        out
    }
}

fn array<T>(out: &mut String, items: impl IntoIterator<Item = T>, mut write: impl FnMut(T, &mut String)) {
    out.push('[');
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(']');
}

/// Writes bytes as a text, with its quotes.
pub fn text(bytes: &[u8], out: &mut String) {
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '"' | '\\' => out.extend(['\\', char]),
                _ if char.is_control() => {
                    let _ = write!(out, "\\u{:04x}", u32::from(char));
                }
                _ => out.push(char),
            }
        }
        for &byte in chunk.invalid() {
            let _ = write!(out, "\\udc{byte:02x}");
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use testkit::json::{self, Value};

    use super::*;

    fn written(bytes: &[u8]) -> String {
        let mut out = String::new();
        text(bytes, &mut out);
        out
    }

    #[test]
    fn an_object_has_its_fields_in_their_order() {
        let mut inner = Object::default();
        inner.flag("on", true);
        let mut object = Object::default();
        object.text("name", b"a\"b\\c\n\x1b\xff\xc3\xa4\xc2\x9b");
        object.number("pid", 7_u32);
        object.millionths("cpu", 12_000_345);
        object.object("inner", inner);
        object.texts("names", [&b"x"[..], b"y"]);
        object.objects("none", []);
        let expected = r#"{"name":"a\"b\\c\u000a\u001b\udcffä\u009b","pid":7,"cpu":12.000345,"inner":{"on":true},"names":["x","y"],"none":[]}"#;
        assert_eq!(object.end(), expected);
        assert_eq!(Object::default().end(), "{}");
    }

    #[test]
    fn every_byte_is_read_back() {
        for first in 0..=255 {
            for second in 0..=255 {
                let bytes = [first, second];
                assert_eq!(json::read(&written(&bytes)), Ok(Value::Text(bytes.to_vec())), "{bytes:?}");
            }
        }
        // What looks like a surrogate in UTF-8 is no character either.
        let bytes = b"\xed\xb2\x80\xf0\x9f\x98\x80\xf4\x90\x80\x80";
        assert_eq!(json::read(&written(bytes)), Ok(Value::Text(bytes.to_vec())));
    }

    proptest! {
        #[test]
        fn every_text_is_read_back_and_has_nothing_that_a_terminal_obeys(bytes: Vec<u8>) {
            let out = written(&bytes);
            prop_assert_eq!(json::read(&out), Ok(Value::Text(bytes)));
            prop_assert!(!out.chars().any(char::is_control));
        }
    }
}
