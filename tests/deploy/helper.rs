//! Programs that the services of these tests run: parts of this test's own file, chosen by the environment.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Shell words that run the part `role` with `word`. It is silent.
pub fn run(role: &str, word: &str) -> String {
    let program = env::current_exe().expect("the test has a path");
    format!("DEPLOY_HELPER={role} DEPLOY_WORD='{word}' '{}' --exact helper::helper >/dev/null 2>&1", program.display())
}

/// Sends a datagram as a service does.
pub fn tell(socket: &str, text: &[u8]) {
    let name = socket.strip_prefix('@').expect("an abstract name");
    let address = SocketAddr::from_abstract_name(name).expect("a name");
    UnixDatagram::unbound().and_then(|sender| sender.send_to_addr(text, &address)).expect("it is sent");
}

#[test]
fn helper() {
    let (Ok(role), Ok(word)) = (env::var("DEPLOY_HELPER"), env::var("DEPLOY_WORD")) else {
        return;
    };
    match role.as_str() {
        "tell" => tell(&env::var("NOTIFY_SOCKET").expect("it is set"), word.as_bytes()),
        other => panic!("there is no {other}"),
    }
}
