//! The environment as bytes: every string of it, even malformed ones.

use std::ffi::{CStr, CString, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// A copy of every environment string, in order.
pub fn all() -> Vec<CString> {
    let mut strings = Vec::new();
    // SAFETY: `environ` is null or an array of C strings that ends with a null; single-threaded, so nobody changes it.
    unsafe {
        let mut at = environ;
        while !at.is_null() && !(*at).is_null() {
            strings.push(CStr::from_ptr(*at).to_owned());
            at = at.add(1);
        }
    }
    strings
}

/// A copy of the environment in which some variables are set, or removed if their value is `None`.
pub fn changed(changes: &[(&str, Option<Vec<u8>>)]) -> Vec<CString> {
    let is_changed = |string: &CString| {
        let name = string.as_bytes().split(|&byte| byte == b'=').next().unwrap_or_default();
        changes.iter().any(|(changed, _)| changed.as_bytes() == name)
    };
    let kept = all().into_iter().filter(|string| !is_changed(string));
    let set = changes.iter().filter_map(|(name, value)| {
        let string = [name.as_bytes(), b"=", value.as_ref()?].concat();
        // No variable can contain a NUL; the value ends there.
        Some(crate::exec::c_string(OsStr::from_bytes(&string)))
    });
    kept.chain(set).collect()
}

/// Removes a variable from the environment of this process and of the programs that it executes. Returns its value.
pub fn take(name: &str) -> Option<std::ffi::OsString> {
    let value = std::env::var_os(name)?;
    // SAFETY: single-threaded, so nobody reads the environment meanwhile.
    unsafe { std::env::remove_var(name) };
    Some(value)
}

/// Sets a variable for this process and the programs that it executes.
pub fn set(name: &str, value: &std::ffi::OsStr) {
    // SAFETY: single-threaded, so nobody reads the environment meanwhile.
    unsafe { std::env::set_var(name, value) }
}

/// A copy of every environment string, with this variable set.
pub fn with(name: &str, value: &std::ffi::OsStr) -> Vec<CString> {
    use std::os::unix::ffi::OsStrExt;
    let prefix = [name.as_bytes(), b"="].concat();
    let mut strings: Vec<CString> =
        all().into_iter().filter(|string| !string.as_bytes().starts_with(&prefix)).collect();
    let string = [prefix.as_slice(), value.as_bytes()].concat();
    strings.push(crate::exec::c_string(std::ffi::OsStr::from_bytes(&string)));
    strings
}

/// A copy of the array of pointers, with a null at the end. It is valid until a variable is changed.
pub(crate) fn pointers() -> Vec<*const c_char> {
    let mut pointers = Vec::new();
    // SAFETY: as in `all`.
    unsafe {
        let mut at = environ;
        while !at.is_null() && !(*at).is_null() {
            pointers.push(*at);
            at = at.add(1);
        }
    }
    pointers.push(std::ptr::null());
    pointers
}

/// The array of pointers itself, for execve.
pub(crate) fn raw() -> *const *const c_char {
    // SAFETY: single-threaded, so nobody changes it.
    unsafe { environ }
}
