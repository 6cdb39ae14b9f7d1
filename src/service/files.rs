//! Where supervise has its own files: in `supervise/` of the service directory, or below the directory that `SUPERVISEDIR` names, as in
//! daemontools-encore. That is for service directories that cannot be written.
//!
//! Below an absolute `SUPERVISEDIR` each service directory has a directory for its files, which is named after the path of the service directory,
//! with colons for slashes; links are followed first, so that every way to a service directory leads to the same files. A relative `SUPERVISEDIR`
//! is in each service directory, in place of `supervise`.
//!
//! Earlier versions put one more colon in front of the name. Such a directory is used until it is removed: a supervise may run there, or its
//! successor may have a service to take over.

use std::borrow::Cow;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cli::{Text, text};
use svdir::names;
use sys::exec::c_string;

/// The variable that names another place for these files.
pub const VARIABLE: &str = "SUPERVISEDIR";

fn base() -> Option<OsString> {
    std::env::var_os(VARIABLE).filter(|base| !base.is_empty())
}

/// The path of the file `name`, one of [`names`], of the service directory `dir`.
pub fn of(dir: &Path, name: &str) -> PathBuf {
    match base() {
        None => dir.join(name),
        // If the service directory cannot be found, neither can its files; any path will do.
        Some(base) => below(&base, dir).map_or_else(|_| dir.join(name), |state| inside(state, name)),
    }
}

/// The path of the file `name`, one of [`names`], of the current directory.
pub fn here(name: &str) -> Cow<'_, Path> {
    match base() {
        None => Cow::Borrowed(Path::new(name)),
        Some(_) => Cow::Owned(of(Path::new("."), name)),
    }
}

/// The path of the file `name` of the current directory for a message that calls that directory `dir`.
pub fn shown(dir: &OsStr, name: &str) -> Text {
    match base() {
        None => text!(dir, "/", name),
        Some(_) => text!(here(name).as_ref()),
    }
}

fn inside(state: PathBuf, name: &str) -> PathBuf {
    match name.strip_prefix(names::SUPERVISE).map(|rest| rest.trim_start_matches('/')) {
        Some("") | None => state,
        Some(rest) => state.join(rest),
    }
}

/// The directory below `base` that the service directory `dir` has in place of `supervise/`.
fn below(base: &OsStr, dir: &Path) -> io::Result<PathBuf> {
    let base = Path::new(base);
    if !base.is_absolute() {
        return Ok(dir.join(base));
    }
    let service = std::fs::canonicalize(dir)?;
    let [name, old] = [names::below_state_directory, names::old_below_state_directory]
        .map(|name| base.join(OsStr::from_bytes(&name(service.as_os_str().as_bytes()))));
    // If both exist, somebody has gone back to a version that knows only the old name.
    let is_old = old.is_dir() && (!name.is_dir() || has_supervise(&old));
    Ok(if is_old { old } else { name })
}

fn has_supervise(state: &Path) -> bool {
    sys::fd::open_write(&inside(state.into(), names::OK)).is_ok()
}

/// Returns whether `SUPERVISEDIR` is absolute, so that the directories of these files are named after the paths of
/// service directories.
pub fn are_named_by_path() -> bool {
    base().is_some_and(|base| Path::new(&base).is_absolute())
}

/// The paths of the files of this process, a supervise, as C strings: a child that must not allocate memory uses one of them.
pub struct Own {
    /// The directory.
    pub directory: Cow<'static, CStr>,
    /// [`names::LOCK`].
    pub lock: Cow<'static, CStr>,
    /// [`names::CONTROL`].
    pub control: Cow<'static, CStr>,
    /// [`names::OK`].
    pub ok: Cow<'static, CStr>,
    /// [`names::RECORD`].
    pub record: Cow<'static, CStr>,
    /// [`names::STATUS`].
    pub status: Cow<'static, CStr>,
    /// [`names::STATUS_NEW`].
    pub status_new: Cow<'static, CStr>,
}

/// The paths for the directory that was the current one at the first call.
pub fn own() -> &'static Own {
    static OWN: OnceLock<Own> = OnceLock::new();
    OWN.get_or_init(|| match base().and_then(|base| below(&base, Path::new(".")).ok()) {
        None => Own {
            directory: Cow::Borrowed(c"supervise"),
            lock: Cow::Borrowed(c"supervise/lock"),
            control: Cow::Borrowed(c"supervise/control"),
            ok: Cow::Borrowed(c"supervise/ok"),
            record: Cow::Borrowed(names::RECORD_FILE),
            status: Cow::Borrowed(names::STATUS_FILE),
            status_new: Cow::Borrowed(names::STATUS_NEW_FILE),
        },
        Some(state) => {
            let file = |name: &str| Cow::Owned(owned(&inside(state.clone(), name)));
            Own {
                directory: Cow::Owned(owned(&state)),
                lock: file(names::LOCK),
                control: file(names::CONTROL),
                ok: file(names::OK),
                record: file(names::RECORD),
                status: file(names::STATUS),
                status_new: file(names::STATUS_NEW),
            }
        }
    })
}

fn owned(path: &Path) -> CString {
    c_string(path.as_os_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_where_encore_has_it() {
        let state = PathBuf::from("/run/service:web");
        assert_eq!(inside(state.clone(), names::STATUS_NEW), Path::new("/run/service:web/status.new"));
        assert_eq!(inside(state, names::SUPERVISE), Path::new("/run/service:web"));
        assert_eq!(below(OsStr::new("state"), Path::new("web")).ok(), Some(PathBuf::from("web/state")));
        let etc = below(OsStr::new("/nonexistent"), Path::new("/usr/../etc")).expect("it exists");
        assert_eq!(etc, Path::new("/nonexistent/etc"));
        assert_eq!(names::below_state_directory(b"/service/web/log"), b"service:web:log");
        assert_eq!(names::old_below_state_directory(b"/service/web"), b":service:web");
    }
}
