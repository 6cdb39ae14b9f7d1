//! Reads and changes the record that a supervise of ours has written.

use std::fs;
use std::path::Path;

use svdir::Record;
use svdir::record::slots::{self, Sequence};

/// Reads the record in the service directory `dir`. Returns `None` if there is none.
pub fn record(dir: impl AsRef<Path>) -> Option<Record> {
    newest(dir.as_ref()).map(|(_, record)| record)
}

/// Changes the record in the service directory `dir`, in which no supervise runs.
///
/// # Panics
/// If there is no record, or it cannot be written.
pub fn change_record(dir: impl AsRef<Path>, change: impl FnOnce(&mut Record)) {
    let dir = dir.as_ref();
    let (sequence, mut record) = newest(dir).expect("a record");
    change(&mut record);
    let slots = [Sequence(sequence.0 + 2), Sequence(sequence.0 + 1)];
    let mut slots: Vec<_> = slots.iter().map(|&slot| (slot.offset(), slots::encode(slot, &record))).collect();
    slots.sort();
    fs::write(dir.join("supervise/record"), slots.iter().flat_map(|(_, slot)| *slot).collect::<Vec<u8>>())
        .expect("a file of ours");
}

fn newest(dir: &Path) -> Option<(Sequence, Record)> {
    slots::newest(&fs::read(dir.join("supervise/record")).ok()?)
}
