//! Any bytes in place of a status file: read or refused, and what was read is written back the same; of the first layout of the record, in the present one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svdir::Status;
use svdir::record::layout1;
use svdir::record::slots::{self, Sequence};

fuzz_target!(|bytes: &[u8]| {
    let Ok(status) = Status::decode(bytes) else {
        assert!(bytes.len() < Status::LEAST);
        return;
    };
    assert!(bytes.len() >= Status::LEAST);
    let written = status.encode();
    assert_eq!(written[..16], bytes[..16]);
    assert_eq!(Status::decode(&written), Ok(status));
    if let Some(record) = layout1::decode(bytes) {
        let _ = record.observed.supervise.version();
        let (slot, number) = (slots::encode(Sequence(7), &record), Sequence(7));
        assert_eq!(slots::newest(&slot), Some((number, record)));
    }
    let _ = (status.since.unix_seconds(), status.since.next(), status.since.age(status.since.next()));
});
