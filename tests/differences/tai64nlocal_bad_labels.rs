//! A label that is short, long or of no time at all gives daemontools 0.76 a year that it cannot write: it crashes, and takes the
//! rest of the stream along. Ours copies such a line, and converts only 24 digits of a time that can be written. Years
//! before the first are written with a minus sign; the original writes them as very large ones.

use testkit::{Finished, Scratch, Suite, finish_with};

fn local(input: &[u8]) -> Finished {
    finish_with(Scratch::with(Suite::under_test()).command("tai64nlocal", &[]).env("TZ", "UTC0"), input)
}

#[test]
fn what_is_no_label_is_copied_and_the_stream_goes_on() {
    for line in [
        &b"@\n"[..],
        b"@ x\n",
        b"@@400000003b4a39c23294b13c\n",
        b"@400000003b4a39c2 short\n",
        b"@400000003b4a39c23294b13 one less\n",
        b"@400000003b4a39c23294b13c0 one more\n",
        b"@400000003b4a39c23294b13c400000003b4a39c23294b13c many more\n",
        b"@400000003B4A39C23294B13C upper case\n",
        b"@000000000000000000000000 no such time\n",
        b"@ffffffffffffffffffffffff nor this\n",
        b"@4000\xff\0\n",
    ] {
        let finished = local(&[line, b"@400000003b4a39c23294b13c x\n"].concat());
        assert_eq!(finished.code, 0);
        assert_eq!(finished.stdout, [line, b"2001-07-09 23:09:44.848605500 x\n"].concat());
    }
}

#[test]
fn a_year_before_the_first_has_a_minus_sign() {
    let label = format!("@{:016x}00000000", (1_i64 << 62) + 10 - 62_167_219_201);
    let finished = local(format!("{label} x\n").as_bytes());
    assert_eq!(finished.out(), "-1-12-31 23:59:59.000000000 x\n");
}
