//! Lines that are sent by UDP.

use std::net::UdpSocket;

use testkit::{PATIENCE, Scratch};

use super::{configured, svlogd, unstamped};

/// A receiver, and a log directory whose configuration ends with its address behind this letter.
fn receiver(letter: char, config: &str) -> (UdpSocket, Scratch) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    let address = socket.local_addr().expect("it has one");
    let scratch = configured(format!("{config}{letter}{address}\n"));
    (socket, scratch)
}

/// The next datagram.
fn next(socket: &UdpSocket) -> String {
    let mut bytes = [0; 65_536];
    let count = socket.recv(&mut bytes).expect("a datagram");
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

#[test]
fn each_selected_line_is_a_datagram() {
    let (socket, scratch) = receiver('u', "-b*\npP \n");
    let done = svlogd(&scratch, &["-t", "-l", "5", "d"], "a\nb\n\n123456789\n");
    assert_eq!((done.code, done.err().as_str()), (0, ""));
    let sent: Vec<_> = (0..3).map(|_| unstamped(&next(&socket))).collect();
    assert_eq!(sent, ["@ P a\n", "@ P \n", "@ P 12345...\n"]);
    assert_eq!(unstamped(&scratch.text("d/current")), "@ P a\n@ P \n@ P 123456789\n");
}

#[test]
fn what_is_sent_only_is_not_kept() {
    let (socket, scratch) = receiver('U', "eb\n");
    let long = "x".repeat(2_000) + "\n";
    let done = svlogd(&scratch, &["d"], format!("a\nb\n{long}"));
    assert_eq!((done.code, done.err().as_str()), (0, "b\n"));
    let sent: Vec<_> = (0..3).map(|_| next(&socket)).collect();
    assert_eq!(sent, ["a\n".into(), "b\n".into(), format!("{}...\n", "x".repeat(1_000))]);
    assert_eq!(scratch.text("d/current"), "");
}

#[test]
fn nobody_who_answers_is_no_trouble() {
    let (socket, scratch) = receiver('u', "");
    drop(socket);
    let lines: String = (0..200).map(|number| format!("{number}\n")).collect();
    let done = svlogd(&scratch, &["d"], &lines);
    assert_eq!((done.code, done.err().as_str(), scratch.text("d/current")), (0, "", lines));
}

#[test]
fn what_cannot_be_sent_is_said_in_the_log() {
    // Only sockets that ask for it may send to all.
    let failure = "warning: failure sending through udp: ";
    let scratch = configured("u255.255.255.255:9\npP \n");
    let done = svlogd(&scratch, &["-tt", "-l", "5", "d"], "a\n123456\n");
    assert_eq!((done.code, done.err().as_str()), (0, ""));
    let lines = scratch.text("d/current");
    let lines: Vec<_> =
        lines.lines().map(|line| line.strip_prefix(failure).map_or((false, line), |line| (true, line))).collect();
    let lines: Vec<_> = lines.iter().map(|(failed, line)| (*failed, unstamped(line))).collect();
    let expected = [(true, "@ P a"), (false, "@ P a"), (true, "@ P 12345..."), (false, "@ P 123456")];
    assert_eq!(lines, expected.map(|(failed, line)| (failed, line.to_owned())));
    let scratch = configured("U255.255.255.255:9\n-b\n");
    svlogd(&scratch, &["d"], "a\nb\n");
    assert_eq!(scratch.text("d/current"), format!("{failure}a\n"));
}
