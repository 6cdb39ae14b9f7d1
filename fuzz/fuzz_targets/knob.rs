//! Any bytes in a knob file: a value or a reason, and a number is read as it stands there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svdir::knob::{self, Named, Unit};

fuzz_target!(|bytes: &[u8]| {
    let _ = knob::duration(bytes, Unit::Seconds);
    let _ = knob::signal(bytes, |signal| match signal {
        Named::Number(number) => Some(number),
        Named::Name(name) => u8::try_from(name.len()).ok(),
    });
    if let Ok(number) = knob::descriptor(bytes) {
        let milliseconds = u64::try_from(number).expect("no sign") * 1_000_000;
        assert_eq!(knob::duration(bytes, Unit::Milliseconds), Ok(milliseconds));
        assert_eq!(knob::descriptor(number.to_string().as_bytes()), Ok(number));
    }
});
