//! A strict reader of JSON (RFC 8259), for tests of what is written. It takes a text for bytes: `\udc80` to `\udcff`, alone, are the bytes that are no UTF-8.

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Flag(bool),
    /// A number, as it is written.
    Number(String),
    /// A text, as the bytes that it was.
    Text(Vec<u8>),
    /// An array.
    Array(Vec<Value>),
    /// The fields of an object, in their order.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// A field of an object.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let Value::Object(fields) = self else { return None };
        fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The text, if it is one of UTF-8.
    pub fn text(&self) -> Option<&str> {
        let Value::Text(bytes) = self else { return None };
        std::str::from_utf8(bytes).ok()
    }

    /// The number, if it is one that has no fraction.
    pub fn number(&self) -> Option<u64> {
        let Value::Number(digits) = self else { return None };
        digits.parse().ok()
    }

    /// The items of an array.
    pub fn items(&self) -> Option<&[Value]> {
        let Value::Array(items) = self else { return None };
        Some(items)
    }

    /// The names of the fields of an object, in their order.
    pub fn names(&self) -> Vec<&str> {
        let Value::Object(fields) = self else { return Vec::new() };
        fields.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// Reads a value, and nothing behind it but blanks.
///
/// # Errors
/// Where it is no JSON: the place, in bytes, and what is wrong there. A name that an object has twice is wrong too.
pub fn read(text: &str) -> Result<Value, String> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.blanks();
    if reader.at == text.len() { Ok(value) } else { Err(reader.wrong("more than a value")) }
}

/// How deep values may lie in each other.
const DEEPEST: usize = 100;

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn wrong(&self, what: &str) -> String {
        format!("{what} at {}", self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.take(byte) { Ok(()) } else { Err(self.wrong(&format!("no {:?}", char::from(byte)))) }
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|byte| b" \t\r\n".contains(&byte)) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > DEEPEST {
            return Err(self.wrong("too deep"));
        }
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                let words = [("null", Value::Null), ("true", Value::Flag(true)), ("false", Value::Flag(false))];
                let found = words.into_iter().find(|(word, _)| self.text[self.at..].starts_with(word));
                let (word, value) = found.ok_or_else(|| self.wrong("no value"))?;
                self.at += word.len();
                Ok(value)
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, String> {
        self.expect(b'[')?;
        let mut items = Vec::new();
        self.blanks();
        while !self.take(b']') {
            if !items.is_empty() {
                self.expect(b',')?;
            }
            items.push(self.value(depth + 1)?);
            self.blanks();
        }
        Ok(Value::Array(items))
    }

    fn object(&mut self, depth: usize) -> Result<Value, String> {
        self.expect(b'{')?;
        let mut fields: Vec<(String, Value)> = Vec::new();
        self.blanks();
        while !self.take(b'}') {
            if !fields.is_empty() {
                self.expect(b',')?;
                self.blanks();
            }
            let name = String::from_utf8(self.string()?).map_err(|_| self.wrong("a name that is no text"))?;
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(self.wrong("a name for the second time"));
            }
            self.blanks();
            self.expect(b':')?;
            fields.push((name, self.value(depth + 1)?));
            self.blanks();
        }
        Ok(Value::Object(fields))
    }

    fn digits(&mut self) -> Result<usize, String> {
        let first = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > first { Ok(self.at - first) } else { Err(self.wrong("no digit")) }
    }

    fn number(&mut self) -> Result<Value, String> {
        let first = self.at;
        self.take(b'-');
        let begins_with_zero = self.peek() == Some(b'0');
        if self.digits()? > 1 && begins_with_zero {
            return Err(self.wrong("a zero before a number"));
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(Value::Number(self.text[first..self.at].to_owned()))
    }

    fn string(&mut self) -> Result<Vec<u8>, String> {
        self.expect(b'"')?;
        let mut bytes = Vec::new();
        loop {
            match self.peek() {
                None | Some(0..0x20) => return Err(self.wrong("no end of a text")),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(bytes);
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape(&mut bytes)?;
                }
                Some(byte) => {
                    self.at += 1;
                    bytes.push(byte);
                }
            }
        }
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let letter = self.peek().ok_or_else(|| self.wrong("no end of a text"))?;
        self.at += 1;
        bytes.push(match letter {
            b'"' | b'\\' | b'/' => letter,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unit(bytes),
            _ => return Err(self.wrong("no such escape")),
        });
        Ok(())
    }

    fn unit(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let unit = self.four_digits()?;
        let number = match unit {
            0xdc80..=0xdcff => {
                bytes.extend(u8::try_from(unit - 0xdc00));
                return Ok(());
            }
            0xd800..=0xdbff => {
                self.expect(b'\\')?;
                self.expect(b'u')?;
                let low = self.four_digits()?;
                if !(0xdc00..=0xdfff).contains(&low) {
                    return Err(self.wrong("half a character"));
                }
                0x1_0000 + ((unit - 0xd800) << 10 | (low - 0xdc00))
            }
            unit => unit,
        };
        let char = char::from_u32(number).ok_or_else(|| self.wrong("half a character"))?;
        bytes.extend(char.to_string().bytes());
        Ok(())
    }

    fn four_digits(&mut self) -> Result<u32, String> {
        let digits =
            self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        unit.ok_or_else(|| self.wrong("no four digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read() {
        let text = r#" { "a" : [ 1 , -0.5e+3 , true , null , "A\ud83d\ude00\udcff\/" ] , "b" : {} } "#;
        let value = read(text).expect("it is JSON");
        assert_eq!(value.names(), ["a", "b"]);
        let items = value.get("a").and_then(Value::items).expect("an array");
        assert_eq!((items[0].number(), items[1].number()), (Some(1), None));
        assert_eq!(items[4], Value::Text(b"A\xf0\x9f\x98\x80\xff/".to_vec()));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for bad in [
            "",
            "{",
            "[",
            "[1,]",
            "[,]",
            "{,}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":1,\"a\":2}",
            "01",
            "1.",
            ".5",
            "+1",
            "tru",
            "\"",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud83d\\u0041\"",
            "1 2",
            "'a'",
            "NaN",
            "[1 2]",
            "{\"a\" 1}",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(&"[".repeat(1000)).is_err());
    }
}
