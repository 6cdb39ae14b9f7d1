//! Any bytes as a name: what is written of them is JSON without a byte that a terminal obeys, and is read back as the same bytes. And any text to the reader, which takes what it has
//! read itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use testkit::json::{Value, read};
use uphold::words::json::text::Object;

fuzz_target!(|bytes: &[u8]| {
    let mut object = Object::default();
    object.text("name", bytes);
    object.texts("names", bytes.split(|&byte| byte == b'/'));
    object.millionths("number", bytes.len() as u64);
    let text = object.end();
    assert!(!text.chars().any(char::is_control));
    let value = read(&text).expect("it is JSON");
    assert_eq!(value.get("name"), Some(&Value::Text(bytes.to_vec())));
    let names = value.get("names").and_then(Value::items).expect("an array");
    let joined: Vec<&[u8]> = names
        .iter()
        .map(|name| match name {
            Value::Text(bytes) => bytes.as_slice(),
            _ => panic!("no text"),
        })
        .collect();
    assert_eq!(joined.join(&b'/'), bytes);
    let _ = std::str::from_utf8(bytes).map(read);
});
