//! The default scan directory: the one that `svscan --default` serves, and in which svc, svstat and svok look for a service by its name.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The variable that names the default scan directory; runit uses the same one.
pub const VARIABLE: &str = "SVDIR";
/// The scan directories of the system: that of daemontools as released, and that of Debian, which counts if only it
/// exists.
const SYSTEM: [&str; 2] = ["/service", "/etc/service"];

/// The default scan directory: `$SVDIR`; without that, for root `/service` (`/etc/service` if only that exists), for others
/// `$XDG_CONFIG_HOME/service` or `~/.config/service`. `None` for an ordinary user without a home.
pub fn directory() -> Option<PathBuf> {
    choose(sys::identity::is_root(), |name| std::env::var_os(name), Path::is_dir)
}

/// The scan directory of the system: the first that `exists`, or `/service` if none does.
pub fn of_system(exists: impl Fn(&Path) -> bool) -> PathBuf {
    let [released, _] = SYSTEM;
    SYSTEM.map(Path::new).into_iter().find(|dir| exists(dir)).unwrap_or(Path::new(released)).into()
}

/// Returns whether `$SVDIR` names the default scan directory.
pub fn is_named() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|named| !named.is_empty())
}

fn choose(root: bool, variable: impl Fn(&str) -> Option<OsString>, exists: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(named) = path(VARIABLE) {
        return Some(named);
    }
    if root {
        return Some(of_system(exists));
    }
    Some(configuration(variable)?.join("service"))
}

/// The directory in which new service directories are made: for root `/etc/sv`, for others `sv` beside their scan directory. `None` for an ordinary user without a home.
pub fn of_definitions() -> Option<PathBuf> {
    if sys::identity::is_root() {
        return Some(PathBuf::from("/etc/sv"));
    }
    Some(configuration(|name| std::env::var_os(name))?.join("sv"))
}

/// The directory for the configuration of a user.
fn configuration(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // The specification of this variable says that a relative path does not count.
    let config = path("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    config.or_else(|| Some(path("HOME")?.join(".config")))
}

/// Makes the default scan directory of an ordinary user. Returns whether it was made: one that `$SVDIR` names, and the
/// system's, are not.
///
/// # Errors
/// Those of making the directory.
pub fn make(dir: &Path) -> io::Result<bool> {
    if dir.exists() || sys::identity::is_root() || is_named() {
        return Ok(false);
    }
    fs::create_dir_all(dir)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(root: bool, variables: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        choose(root, variable, |_| false).map(|path| path.display().to_string())
    }

    #[test]
    fn debians_counts_where_only_it_exists() {
        let there = |dirs: &'static [&str]| of_system(move |path| dirs.iter().any(|dir| path == Path::new(dir)));
        for (dirs, expected) in [
            (&[][..], "/service"),
            (&["/service"], "/service"),
            (&["/etc/service"], "/etc/service"),
            (&["/service", "/etc/service"], "/service"),
        ] {
            assert_eq!(there(dirs), Path::new(expected));
        }
        let root = choose(true, |_| None, |path| path == Path::new("/etc/service"));
        assert_eq!(root.as_deref(), Some(Path::new("/etc/service")));
    }

    #[test]
    fn what_is_named_comes_first_then_the_system_for_root_and_the_home_for_others() {
        let (svdir, xdg, home) = (("SVDIR", "sv"), ("XDG_CONFIG_HOME", "/x"), ("HOME", "/home/u"));
        assert_eq!(chosen(true, &[svdir, xdg, home]).as_deref(), Some("sv"));
        assert_eq!(chosen(false, &[svdir, xdg, home]).as_deref(), Some("sv"));
        assert_eq!(chosen(true, &[xdg, home]).as_deref(), Some("/service"));
        assert_eq!(chosen(false, &[xdg, home]).as_deref(), Some("/x/service"));
        assert_eq!(chosen(false, &[home]).as_deref(), Some("/home/u/.config/service"));
        assert_eq!(chosen(false, &[("XDG_CONFIG_HOME", "x"), home]).as_deref(), Some("/home/u/.config/service"));
        assert_eq!(chosen(false, &[("SVDIR", ""), ("HOME", "")]), None);
    }
}
