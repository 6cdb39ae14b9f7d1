//! Any file in an envdir: no value for an empty one, else one line without NUL and without blanks at its end. And any bytes as
//! a passwd file.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match uphold::chain::envdir::value(&mut bytes.to_vec()) {
        None => assert!(bytes.is_empty()),
        Some(value) => {
            assert!(value.len() <= bytes.len());
            assert!(!value.contains(&0));
            assert!(!matches!(value.last(), Some(b' ' | b'\t')));
        }
    }
    let name = bytes.split(|&byte| byte == b':').next().unwrap_or_default();
    let _ = uphold::service::account::find(bytes, name);
});
