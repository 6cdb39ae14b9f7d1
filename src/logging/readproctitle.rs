//! readproctitle: keeps the last of what it reads in its own command line, where `ps` shows it.

use std::io;

const READPROCTITLE: cli::Program = cli::Program {
    name: "readproctitle",
    synopsis: "arg ... placeholder",
    usage: "readproctitle: usage: readproctitle arg ... placeholder",
    usage_exit: cli::USAGE,
    about: "Shows the last bytes of stdin in its own process title, in place of the placeholder.",
    options: &[
        ("ARG", "what ps shows in front of them, such as `service errors:'"),
        ("PLACEHOLDER", "at least five bytes, such as 400 dots: how long the title shall be"),
    ],
};

/// The length of the shortest placeholder that has room for a message, in bytes.
const SHORTEST: usize = 5;
const DOTS: usize = 3;

/// Shows stdin until its end.
pub fn main(call: cli::Call) -> i32 {
    READPROCTITLE.run(&call, run)
}

fn run(call: &cli::Call) -> anyhow::Result<u8> {
    let title = if call.words().is_empty() { &mut [] } else { sys::argv::title() };
    // Silent, as the original is.
    if title.len() < SHORTEST {
        return Ok(cli::USAGE);
    }
    title.fill(b'.');
    let Some((_, window)) = title.split_at_mut_checked(DOTS) else {
        return Ok(cli::USAGE);
    };
    Ok(show(window).map_or(cli::TEMPORARY, |()| 0))
}

/// Shifts each byte that is read into `window` from the right, except for NULs, which would end the title.
fn show(window: &mut [u8]) -> io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        let count = sys::fd::read(sys::fd::stdin(), &mut buffer)?;
        let Some(block) = buffer.get(..count).filter(|block| !block.is_empty()) else {
            return Ok(());
        };
        for &byte in block.iter().filter(|&&byte| byte != 0) {
            window.rotate_left(1);
            if let Some(last) = window.last_mut() {
                *last = byte;
            }
        }
    }
}
