//! The service below hupwatch in `examples/deploy`.

/// The number behind `before` in a file of it, in seconds.
fn seconds(file: &str, before: &str) -> u64 {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/deploy/hupwatch").join(file);
    let text = std::fs::read_to_string(path).expect("it is there");
    let (_, behind) = text.split_once(before).expect("it says how long");
    let digits = behind.find(|c: char| !c.is_ascii_digit()).map_or(behind, |end| &behind[..end]);
    digits.parse().expect("a number")
}

#[test]
fn deploy_waits_until_a_reload_that_had_to_wait_for_another_one_is_decided() {
    let (grace, ready) = (seconds("run", "--grace "), seconds("run", "--ready-timeout "));
    // The other one: ready at the last moment, or given up, and then an end that takes all its time.
    assert!(seconds("deploy", "date +%s) + ") > ready + grace + ready);
}
