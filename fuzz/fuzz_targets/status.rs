//! Any bytes in place of a status file: read or refused, and what was read is written back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svdir::Status;

fuzz_target!(|bytes: &[u8]| {
    let Ok(status) = Status::decode(bytes) else {
        assert!(bytes.len() < Status::LEAST);
        return;
    };
    assert!(bytes.len() >= Status::LEAST);
    let written = status.encode();
    assert_eq!(written[..16], bytes[..16]);
    assert_eq!(Status::decode(&written), Ok(status));
    if let Ok((same, Some(more))) = Status::decode_with(bytes) {
        let whole = same.encode_with(&more);
        assert_eq!(Status::decode_with(&whole), Ok((same, Some(more))));
        let _ = more.version();
    }
    let _ = (status.since.unix_seconds(), status.since.next(), status.since.age(status.since.next()));
});
