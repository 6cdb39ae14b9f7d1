//! Any bytes through tai64n and tai64nlocal, cut anywhere: cuts make no difference, no line is lost, and labels read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tai::{Label, Localizer, Stamper};

fn local(seconds: i64, out: &mut Vec<u8>) -> bool {
    let representable = (-1_000_000_000_000..1_000_000_000_000).contains(&seconds);
    if representable {
        out.extend_from_slice(b"DATE");
    }
    representable
}

fuzz_target!(|input: (Vec<u8>, usize)| {
    let (bytes, cut) = input;
    let (front, back) = bytes.split_at(cut % (bytes.len() + 1));
    if let Some(label) = Label::from_digits(&bytes) {
        assert_eq!(label.text()[1..], bytes[..]);
        // Every label has a time in UTC, which reads back.
        assert_eq!(Label::from_utc(&label.utc()).map(Label::utc), Some(label.utc()));
    }
    if let Some(label) = Label::from_utc(&bytes) {
        assert_eq!(label.utc()[..], bytes[..]);
    }

    let (mut whole, mut cut) = (Vec::new(), Vec::new());
    Localizer::default().feed(&bytes, local, &mut whole);
    let mut localizer = Localizer::default();
    localizer.feed(front, local, &mut cut);
    localizer.feed(back, local, &mut cut);
    assert_eq!(whole, cut);
    let lines = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'\n').count();
    assert_eq!(lines(&whole), lines(&bytes));

    let label = Label::from_unix(1_000_000_000, 500).text();
    let (mut whole, mut cut) = (Vec::new(), Vec::new());
    Stamper::default().feed(&bytes, &label, &mut whole);
    let mut stamper = Stamper::default();
    stamper.feed(front, &label, &mut cut);
    stamper.feed(back, &label, &mut cut);
    assert_eq!(whole, cut);
    let begun = lines(&bytes) + usize::from(!bytes.is_empty() && !bytes.ends_with(b"\n"));
    assert_eq!(whole.len(), bytes.len() + begun * (Label::TEXT + 1));
});
