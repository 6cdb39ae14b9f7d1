//! Ids that tell one boot from another: of the machine, and of a container on it.

use crate::process::Pid;
use crate::{fd, proc};

/// The kernel's id of this boot of the machine; in a container, that of the host. Records of older releases have it. `None` if it is unknown,
/// as without `/proc/sys`.
pub fn boot_id() -> Option<[u8; 16]> {
    let mut text = [0; 64];
    let text = fd::read_file(c"/proc/sys/kernel/random/boot_id", &mut text).ok()?;
    let mut digits = text.iter().filter_map(|&byte| char::from(byte).to_digit(16));
    let mut id = [0; 16];
    for byte in &mut id {
        *byte = (digits.next()? << 4 | digits.next()?) as u8;
    }
    Some(id)
}

/// The id of this boot of the machine or the container, within which a pid and a time of birth identify one process. It is made of the
/// [boot id](boot_id); of the time at which process 1 of this PID namespace was born, since a container that is started again has the same
/// boot id; and of the time namespace, which shifts times of birth: a container that was moved may be in another one.
///
/// Without a boot id (a `/proc` with `subset=pid`), process 1 is enough in a container, since no two boots give it the same time of birth.
/// In the first PID namespace it is not enough, since init is always born at the beginning. `None` if nothing is known.
pub fn same_boot_id() -> Option<[u8; 16]> {
    let first = proc::stat(Pid::from_raw(1)).ok().map(|stat| stat.start);
    let name = |kind: &str| std::fs::read_link(format!("/proc/self/ns/{kind}")).ok();
    let boot = boot_id();
    let contained = || first.is_some() && name("pid").is_some_and(|name| name.as_os_str() != FIRST_PID_NAMESPACE);
    if boot.is_none() && !contained() {
        return None;
    }
    let mut mix = Mix::default();
    mix.take(&boot.unwrap_or_default());
    mix.take(&first.unwrap_or(0).to_le_bytes());
    // Before Linux 5.5 there are no time namespaces.
    mix.take(name("time").unwrap_or_default().as_os_str().as_encoded_bytes());
    mix.take(fd::read_file(c"/proc/self/timens_offsets", &mut [0; 256]).unwrap_or_default());
    Some(mix.made())
}

/// The kernel's name of the first PID namespace (PROC_PID_INIT_INO).
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Makes sixteen bytes from any number of bytes, by FNV-1a. They tell different inputs apart; nobody would gain by making
/// two inputs that give the same bytes.
struct Mix([u64; 2]);

impl Default for Mix {
    fn default() -> Mix {
        Mix([0xcbf2_9ce4_8422_2325, 0x6c62_272e_07bb_0142])
    }
}

impl Mix {
    /// Takes in these bytes, and the place where they end.
    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes.iter().chain(&(bytes.len() as u64).to_le_bytes()) {
            for half in &mut self.0 {
                *half = (*half ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }

    fn made(&self) -> [u8; 16] {
        let mut made = [0; 16];
        made[..8].copy_from_slice(&self.0[0].to_le_bytes());
        made[8..].copy_from_slice(&self.0[1].to_le_bytes());
        made
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io;
    use std::process::Command;

    use super::*;

    /// What the next test runs in a container.
    #[test]
    #[ignore = "a part of another test"]
    fn tell_the_boot() {
        let told = format!("told {:?} {:?} told\n", boot_id(), same_boot_id());
        io::Write::write_all(&mut io::stdout(), told.as_bytes()).expect("somebody reads it");
    }

    /// What such a container tells.
    fn told_in(options: &[&str]) -> Option<String> {
        let own = std::env::current_exe().expect("the test has a path");
        let mut command = Command::new("unshare");
        command.args(options).arg(own).args(["--exact", "boot::tests::tell_the_boot", "--ignored", "--nocapture"]);
        let out = String::from_utf8(command.output().ok()?.stdout).ok()?;
        Some(out.split("told ").nth(1)?.to_owned())
    }

    #[test]
    fn a_container_that_is_started_again_is_another_boot() {
        let own = same_boot_id().expect("it is told");
        assert_eq!(same_boot_id(), Some(own));
        assert_ne!(boot_id(), Some(own));
        if !crate::identity::is_root() {
            return;
        }
        let contained = ["--pid", "--fork", "--mount-proc"];
        let first = told_in(&contained);
        // The next one is born in another tick of the clock.
        let tick = || {
            let uptime = std::fs::read_to_string("/proc/uptime").expect("it is told");
            uptime.split(' ').next().map(str::to_owned)
        };
        let before = tick();
        while tick() == before {
            std::thread::yield_now();
        }
        let (second, moved) = (told_in(&contained), told_in(&["--time", "--fork", "--boottime", "1000"]));
        let (Some(first), Some(second)) = (first, second) else {
            let _ = io::Write::write_all(&mut io::stderr(), b"skipped a_container: there can be no namespaces\n");
            return;
        };
        let plain = format!("{:?} ", boot_id());
        assert!(first.starts_with(&plain) && second.starts_with(&plain), "they have one boot id: {first} {second}");
        assert_ne!(first, second);
        if let Some(moved) = moved {
            assert_ne!(moved, format!("{plain}{:?} ", Some(own)));
        }
        let bare = told_in(
            &[&contained[..], &["sh", "-c", "mount -t proc -o subset=pid proc /proc && exec \"$@\"", "sh"]].concat(),
        );
        if let Some(bare) = bare {
            assert!(bare.starts_with("None Some("), "{bare}");
        }
    }
}
