//! The service directory of one instance: links through `.NAME@/template`, and directories of its own.
//!
//! A link is ours if it leads where we would make it lead. Whatever else is there belongs to the instance and stays: its logs, what it has written, a file in place of the template's.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use svdir::names;

use super::family::{TEMPLATE, make_directory, remove_if_empty, with_new};
use super::template::{Part, Template};

/// Makes the directory `dir` of an instance, or brings it up to date with the template.
///
/// # Errors
/// Those of the system. What was made stays, and another call goes on from there.
pub fn fill(dir: &Path, template: &Template) -> io::Result<()> {
    make_directory(dir, &fs::metadata(&template.dir)?)?;
    for (path, part) in &template.parts {
        let (within, there) = (path.parent().map(|within| dir.join(within)), dir.join(path));
        if !within.is_some_and(|within| is_directory(&within)) {
            // The instance has something of its own in place of the directory.
            continue;
        }
        match part {
            Part::Link => make_link(dir, path)?,
            Part::Directory => {
                if is_ours(dir, path) {
                    fs::remove_file(&there)?;
                }
                if fs::symlink_metadata(&there).is_err() {
                    make_directory(&there, &fs::metadata(template.dir.join(path))?)?;
                }
            }
        }
    }
    for path in links(dir)? {
        if template.parts.get(&path) != Some(&Part::Link) {
            fs::remove_file(dir.join(path))?;
        }
    }
    Ok(())
}

/// Removes all that was made for an instance whose supervises have ended. Logs stay, and so does what it has written.
///
/// # Errors
/// Those of the system. Another call goes on from there.
pub fn clear(dir: &Path) -> io::Result<()> {
    if is_directory(dir) {
        for path in links(dir)? {
            fs::remove_file(dir.join(path))?;
        }
        let log = dir.join(names::LOG);
        for supervise in [dir, &log].map(|dir| dir.join(names::SUPERVISE)) {
            if is_directory(&supervise) {
                fs::remove_dir_all(supervise)?;
            }
        }
        for inner in directories(&log)? {
            remove_if_empty(&log.join(inner))?;
        }
        for empty in [with_new(&log), log, dir.to_path_buf()] {
            remove_if_empty(&empty)?;
        }
    }
    remove_if_empty(&with_new(dir))
}

/// Returns whether an instance has a `log/` for which the template has, or had, what is run.
pub fn has_log_of_template(dir: &Path) -> bool {
    let run = Path::new(names::LOG).join(names::RUN);
    is_directory(&dir.join(names::LOG)) && (is_ours(dir, &run) || fs::symlink_metadata(dir.join(run)).is_err())
}

/// Where our link at `path` in an instance leads.
fn target(path: &Path) -> PathBuf {
    let mut target: PathBuf = path.components().map(|_| "..").collect();
    target.push(TEMPLATE);
    target.join(path)
}

fn is_ours(dir: &Path, path: &Path) -> bool {
    fs::read_link(dir.join(path)).is_ok_and(|leads| leads == target(path))
}

fn make_link(dir: &Path, path: &Path) -> io::Result<()> {
    match symlink(target(path), dir.join(path)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Returns whether a directory is there, and no link to one.
fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| there.is_dir())
}

/// All links of ours in an instance, by their paths in it.
fn links(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let log = Path::new(names::LOG);
    let mut within = vec![PathBuf::new()];
    if is_directory(&dir.join(log)) {
        within.push(log.to_path_buf());
        within.extend(directories(&dir.join(log))?.into_iter().map(|inner| log.join(inner)));
    }
    let mut found = Vec::new();
    for within in within {
        for entry in fs::read_dir(dir.join(&within))? {
            let path = within.join(entry?.file_name());
            if is_ours(dir, &path) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// The names of the directories in a directory, without `supervise`; none if it is no directory.
fn directories(dir: &Path) -> io::Result<Vec<PathBuf>> {
    if !is_directory(dir) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = PathBuf::from(entry?.file_name());
        if name.as_os_str() != names::SUPERVISE && is_directory(&dir.join(&name)) {
            found.push(name);
        }
    }
    Ok(found)
}
