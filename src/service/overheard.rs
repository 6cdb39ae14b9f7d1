//! For tests of loops: what a program says is kept for the thread that says it, and not written.

use std::cell::RefCell;

thread_local! {
    static SAID: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Keeps from now on what any thread of this process says.
pub fn listen() {
    cli::write_errors_with(|bytes| SAID.with_borrow_mut(|said| said.extend_from_slice(bytes)));
}

/// Returns what this thread has said since the last call.
pub fn take() -> String {
    String::from_utf8_lossy(&SAID.take()).into_owned()
}
