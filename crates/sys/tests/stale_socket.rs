//! A Unix socket that nobody has any more is told from one that somebody has. This is a process of its own, since a child that another test starts has the sockets of all tests until it
//! executes a program.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use sys::listen::{Manner, Place, UnixFile, open};

#[test]
fn a_stale_socket_is_taken_over_and_a_live_one_is_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("s");
    let place = Place::Unix(UnixFile { path: path.clone(), ..UnixFile::default() });
    let refused = || open(&place, Manner::default()).err().map(|error| error.kind());
    let live = UnixListener::bind(&path).expect("a socket");
    assert_eq!(refused(), Some(ErrorKind::AddrInUse));
    UnixStream::connect(&path).expect("it still listens");
    drop(live);
    let ours = open(&place, Manner::default()).expect("a socket");
    assert_eq!(refused(), Some(ErrorKind::AddrInUse));
    UnixStream::connect(&path).expect("ours listens");
    drop(ours);
    fs::remove_file(&path).expect("it is there");
    let _datagrams = UnixDatagram::bind(&path).expect("a socket");
    assert_eq!(refused(), Some(ErrorKind::AddrInUse));
}
