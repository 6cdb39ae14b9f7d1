//! The default scan directory: the one that `svscan --default` serves, and in which svc, svstat and svok look for a service by its name.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Names it; the same variable as runit's.
const VARIABLE: &str = "SVDIR";
/// The system's.
const SYSTEM: &str = "/service";

/// Where it is: `$SVDIR`, else `/service` for root, else `$XDG_CONFIG_HOME/service`, else `~/.config/service`. `None` for an ordinary user
/// without a home.
pub fn directory() -> Option<PathBuf> {
    choose(sys::identity::is_root(), |name| std::env::var_os(name))
}

fn choose(root: bool, variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(named) = path(VARIABLE) {
        return Some(named);
    }
    if root {
        return Some(SYSTEM.into());
    }
    // The specification of this variable says that a relative path does not count.
    let config = path("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let config = config.or_else(|| Some(path("HOME")?.join(".config")))?;
    Some(config.join("service"))
}

/// Makes a user's own. Returns whether it was missing; those that somebody has named, and the system's, are not made.
///
/// # Errors
/// Those of making it.
pub fn make(dir: &Path) -> io::Result<bool> {
    if dir.exists() || sys::identity::is_root() || std::env::var_os(VARIABLE).is_some_and(|named| !named.is_empty()) {
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
        choose(root, variable).map(|path| path.display().to_string())
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
