//! Network addresses for tests.

use std::sync::atomic::{AtomicU32, Ordering};

/// Returns a TCP address on the loopback interface that no other test uses, neither in this process nor in another one.
pub fn address() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let [_, high, low, _] = (std::process::id() << 8).to_be_bytes();
    format!("127.{}.{low}.{}:8080", 1 + high % 250, COUNT.fetch_add(1, Ordering::Relaxed))
}
