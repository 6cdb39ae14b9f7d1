//! Addresses of a test's own.

use std::sync::atomic::{AtomicU32, Ordering};

/// A TCP address on the loopback interface that nobody else asks for: clients of other tests have other addresses, of other processes too.
pub fn address() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let [_, high, low, _] = (std::process::id() << 8).to_be_bytes();
    format!("127.{}.{low}.{}:8080", 1 + high % 250, COUNT.fetch_add(1, Ordering::Relaxed))
}
