//! Any bytes in a knob file: a value or a reason, and a number is read as it stands there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svdir::finals::Finals;
use svdir::knob::{self, Named, Unit};
use svdir::{Exit, KillMode};

fuzz_target!(|bytes: &[u8]| {
    let _ = knob::duration(bytes, Unit::Seconds);
    if let Ok(mode) = KillMode::parse(bytes) {
        assert_eq!(KillMode::from_number(mode.number()), mode);
    }
    let number_of = |signal: Named<'_>| match signal {
        Named::Number(number) => Some(number),
        Named::Name(name) => u8::try_from(name.len()).ok(),
    };
    let _ = knob::signal(bytes, number_of);
    if let Ok((times, within)) = knob::rate(bytes) {
        assert!((1..=100).contains(&times) && within > 0);
    }
    if let Ok(finals) = Finals::parse(bytes, number_of) {
        let codes = (0..=255).map(Exit::Code);
        assert!(codes.chain((1..=64).map(Exit::Signal)).any(|exit| finals.holds(exit)));
    }
    if let Ok(number) = knob::descriptor(bytes) {
        let milliseconds = u64::try_from(number).expect("no sign") * 1_000_000;
        assert_eq!(knob::duration(bytes, Unit::Milliseconds), Ok(milliseconds));
        assert_eq!(knob::descriptor(number.to_string().as_bytes()), Ok(number));
    }
});
