//! Any bytes in place of a record, of the list of kept descriptors, and of what an upgrade hands over: read or refused, and what was read is written back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svdir::Record;
use svdir::record::Text;
use svdir::record::handover::{Handover, MAGIC};
use svdir::record::slots::{self, Sequence};
use svdir::stored;

/// The record without what a start has waited for, which is cut where there is no room.
fn without_waited(mut record: Record) -> Record {
    if record.decided.waited.take().is_some() || record.decided.gate.is_none() {
        record.observed.awaited = Text::default();
    }
    record
}

fuzz_target!(|bytes: &[u8]| {
    if let Some(record) = Record::decode(bytes) {
        let number = Sequence(u64::from(bytes.first().copied().unwrap_or(0)));
        let read = slots::newest(&slots::encode(number, &record));
        assert_eq!(read.map(|(number, read)| (number, without_waited(read))), Some((number, without_waited(record))));
        let _ = (record.status(), record.ready(), record.why(), record.observed.supervise.version());
    }
    let _ = slots::newest(bytes);
    let list = [b"stored by 7\n", bytes].concat();
    let kept: Vec<_> = stored::decode(7, &list).collect();
    assert_eq!(stored::decode(8, &stored::encode(8, kept.iter().copied())).collect::<Vec<_>>(), kept);
    for bytes in [bytes, &[MAGIC, bytes].concat(), &[b"uphold supervise 3\n", bytes].concat()] {
        if let Some(handover) = Handover::decode(bytes) {
            let written = handover.encode().expect("it was short enough");
            assert_eq!(Handover::decode(&written), Some(handover));
        }
    }
});
