//! Random bytes that cannot be guessed.

use std::io;

/// Returns `N` random bytes.
///
/// # Errors
/// If the system has no random bytes (yet).
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    #[cfg(target_os = "linux")]
    crate::fd::uninterrupted(|| {
        // By number: std knows libc's function by a weak name, which makes it null in a static file that was optimized as a whole.
        // SAFETY: the kernel writes at most as many bytes as there are.
        let count = unsafe { libc::syscall(libc::SYS_getrandom, bytes.as_mut_ptr(), N, libc::GRND_NONBLOCK) };
        // Up to 256 bytes are returned completely or not at all.
        if nix::errno::Errno::result(count)? as usize == N { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    })?;
    #[cfg(not(target_os = "linux"))]
    io::Read::read_exact(&mut crate::fd::open_read(c"/dev/urandom")?, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike() {
        let [one, two] = [bytes::<16>(), bytes::<16>()].map(|bytes| bytes.expect("there are some"));
        assert!(one != two && one != [0; 16] && two != [0; 16]);
    }
}
