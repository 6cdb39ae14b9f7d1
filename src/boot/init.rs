//! The inits that can start svscan, and how to find out which one a system has.

use std::ffi::OsStr;
use std::path::Path;

use super::tree::Tree;

/// An init.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    Systemd,
    Sysvinit,
    Openrc,
    Upstart,
    RcD,
    Busybox,
}

impl Init {
    /// All inits, in the order in which they are looked for. OpenRC runs on top of sysvinit's or busybox's init; a system with systemd
    /// or upstart may have the directories of sysvinit too.
    pub const ALL: [Init; 6] = [Init::Systemd, Init::Openrc, Init::Upstart, Init::RcD, Init::Busybox, Init::Sysvinit];

    /// The name for `--init`.
    pub fn name(self) -> &'static str {
        match self {
            Init::Systemd => "systemd",
            Init::Sysvinit => "sysvinit",
            Init::Openrc => "openrc",
            Init::Upstart => "upstart",
            Init::RcD => "rc.d",
            Init::Busybox => "busybox",
        }
    }

    pub fn named(name: &OsStr) -> Option<Init> {
        Init::ALL.into_iter().find(|init| name == init.name())
    }

    /// Finds the init that a system has, and the sign by which it was found.
    pub fn detect(tree: &Tree) -> Option<(Init, String)> {
        Init::ALL.into_iter().find_map(|init| Some((init, init.sign(tree)?)))
    }

    fn sign(self, tree: &Tree) -> Option<String> {
        let there = |path: &str| tree.holds(Path::new(path)).then(|| format!("{path} is there"));
        let init_is = |name: &str| {
            let target = tree.link_target(Path::new("/sbin/init"))?;
            let found = target.to_string_lossy().contains(name);
            found.then(|| format!("/sbin/init is {}", target.display()))
        };
        match self {
            Init::Systemd => there("/run/systemd/system").or_else(|| init_is("systemd")),
            Init::Openrc => there("/sbin/openrc-run"),
            Init::Upstart => there("/etc/init").filter(|_| tree.holds(Path::new("/sbin/initctl"))),
            Init::RcD => there("/etc/rc.subr"),
            Init::Busybox => init_is("busybox"),
            Init::Sysvinit => there("/etc/inittab").or_else(|| there("/etc/init.d")),
        }
    }

    /// The command that makes a running system start what was installed.
    pub fn now(self) -> &'static str {
        match self {
            Init::Systemd => "systemctl daemon-reload && systemctl start svscan",
            Init::Sysvinit => "telinit q, or /etc/init.d/svscan start where there is no /etc/inittab",
            Init::Openrc => "rc-service svscan start",
            Init::Upstart => "start svscan",
            Init::RcD => "service svscan start",
            Init::Busybox => "kill -HUP 1",
        }
    }
}
