//! The last step of every chain program: it changes the environment and executes the next program, or says why it
//! cannot.
//!
//! The environment is bytes. Strings that are not to be changed pass through untouched, even malformed ones and second
//! strings with the same name, as with daemontools 0.76.

use std::ffi::CString;
use std::io;

use cli::{Usage, Word, text};
use sys::exec::Prepared;

/// The environment of the next program.
pub struct Environment(Vec<CString>);

impl Environment {
    /// Returns the environment of this process.
    pub fn inherited() -> Environment {
        Environment(sys::environ::all())
    }

    /// Sets the variable `name` to `value`, or removes it if that is `None`.
    ///
    /// If the name is there more than once, only the first string is removed, and the last string of the environment
    /// takes its place; a new value is added at the end. If `name` contains a `=`, it ends there, and what follows
    /// belongs to the value; so the variable is always set. Name and value must not contain a NUL.
    ///
    /// # Errors
    /// `out of memory`.
    pub fn change(&mut self, name: &[u8], value: Option<&[u8]>) -> anyhow::Result<()> {
        let mut setting = Vec::new();
        let len = name.len() + value.map_or(0, <[u8]>::len) + "=\0".len();
        let room = setting.try_reserve_exact(len).and_then(|()| self.0.try_reserve(1));
        room.map_err(|_| text!("out of memory"))?;
        setting.extend_from_slice(name);
        if let Some(value) = value {
            setting.push(b'=');
            setting.extend_from_slice(value);
        }
        let name_end = setting.iter().position(|&byte| byte == b'=');
        if let Some(old) = self.find(&setting[..name_end.unwrap_or(setting.len())]) {
            self.0.swap_remove(old);
        }
        if name_end.is_some() {
            self.0.push(CString::new(setting)?);
        }
        Ok(())
    }

    /// The strings, for an exec that is prepared.
    pub fn strings(&self) -> &[CString] {
        &self.0
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        self.0
            .iter()
            .position(|string| string.as_bytes().strip_prefix(name).is_some_and(|rest| rest.first() == Some(&b'=')))
    }
}

/// Splits `words` into the first operand and the program with its arguments.
///
/// # Errors
/// [`Usage`] if either is missing.
pub fn operand(words: &[Word]) -> Result<(Word, &[Word]), Usage> {
    match words.split_first() {
        Some((operand, program)) if !program.is_empty() => Ok((operand, program)),
        Some(_) | None => Err(Usage),
    }
}

/// Executes the program that `words` name. Returns only on failure, with the error to exit with.
pub fn pathexec(words: &[Word], environment: Option<&Environment>) -> anyhow::Error {
    let strings = environment.map(|Environment(strings)| strings.as_slice());
    unable_to_run(words, Prepared::new(&c_strings(words), strings).path_exec())
}

/// `words` as the kernel takes them.
pub fn c_strings(words: &[Word]) -> Vec<CString> {
    words.iter().map(|word| sys::exec::c_string(word)).collect()
}

/// Makes the error to exit with when the program that `words` name could not be executed.
pub fn unable_to_run(words: &[Word], failed: io::Error) -> anyhow::Error {
    let name = words.first().copied().unwrap_or_default();
    anyhow::Error::new(failed).context(text!("unable to run ", name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(before: &[&str], changes: &[(&str, Option<&str>)]) -> Vec<String> {
        let c_strings = before.iter().map(|string| CString::new(*string).expect("no NUL"));
        let mut environment = Environment(c_strings.collect());
        for (name, value) in changes {
            environment.change(name.as_bytes(), value.map(str::as_bytes)).expect("there is memory");
        }
        environment.0.iter().map(|string| string.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn the_last_string_takes_the_place_of_the_one_that_is_replaced() {
        assert_eq!(changed(&["A=1", "B=2", "C=3"], &[("A", Some("9"))]), ["C=3", "B=2", "A=9"]);
        assert_eq!(changed(&["A=1", "B=2", "C=3"], &[("A", None)]), ["C=3", "B=2"]);
        assert_eq!(changed(&["A=1"], &[("A", Some(""))]), ["A="]);
    }

    #[test]
    fn only_the_first_of_two_is_replaced_and_malformed_strings_stay() {
        assert_eq!(changed(&["A=1", "A", "", "A=2", "AB=3"], &[("A", None)]), ["AB=3", "A", "", "A=2"]);
        assert_eq!(changed(&["A", "=x"], &[("A", None), ("", None)]), ["A"]);
    }

    #[test]
    fn a_name_that_holds_an_equals_sign_always_sets() {
        assert_eq!(changed(&["A=1"], &[("A=B", None)]), ["A=B"]);
        assert_eq!(changed(&["A=1"], &[("A=B", Some("v"))]), ["A=B=v"]);
    }
}
