//! Any bytes as an address to listen on, and as a hosts file: refused in one line, or read as what it is shown as.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svdir::Listener;
use svdir::listener::{Address, LARGEST_FD, LONGEST_PATH, find_host, is_name};

fuzz_target!(|bytes: &[u8]| {
    for read in [Listener::from_file(bytes), Listener::from_argument(bytes)] {
        match read {
            Err(wrong) => assert!(!wrong.to_string().contains('\n')),
            Ok(listener) => check(&listener),
        }
    }
    let (name, hosts) = bytes.split_at(bytes.len().min(4));
    let _ = (find_host(hosts, name), is_name(bytes));
});

fn check(listener: &Listener) {
    assert!(listener.fd.is_none_or(|fd| (0..=LARGEST_FD).contains(&fd)));
    match &listener.address {
        Address::Unix(file) => {
            assert!((1..=LONGEST_PATH).contains(&file.path.len()) && !file.path.contains(&0));
            assert!(file.mode.is_none_or(|mode| mode <= 0o777));
        }
        Address::Tcp(..) | Address::Udp(..) => {
            let shown = listener.to_string();
            let again = Listener::from_argument(shown.as_bytes()).expect("what it is shown as can be read");
            assert_eq!(again.address, listener.address);
        }
    }
}
