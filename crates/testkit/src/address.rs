//! Network addresses for tests.

use std::net::TcpListener;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Returns a TCP address on the loopback interface that no other test uses, neither in this process nor in another one.
///
/// # Panics
/// If the machine has no port left, or more addresses are asked for than there are.
pub fn address() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    // This process holds its port on another address, so the kernel gives that to no other process.
    static PORT: LazyLock<TcpListener> = LazyLock::new(|| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    assert!(count < 1 << 16, "no address is left");
    let port = PORT.local_addr().expect("it is bound").port();
    format!("127.1.{}.{}:{port}", count >> 8, count & 0xff)
}
