//! One item that is installed, and what is found in its place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::inittab;
use super::mark::Marked;
use super::tree::Tree;

/// One item that is installed. Paths are paths in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A file of our own.
    File { path: PathBuf, text: String, mode: u32 },
    /// A symbolic link of our own.
    Link { path: PathBuf, target: PathBuf },
    /// Lines in a file that is not ours, before all other lines or after them.
    Lines { path: PathBuf, text: String, first: bool },
    /// Nothing: a file that is not ours is moved away.
    Absent { path: PathBuf },
}

/// What is found in the place of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    /// A file of an earlier installation, with the paths that were made with it.
    Ours(Marked),
    /// A link with the same target as ours.
    Same,
    Foreign,
}

impl Item {
    pub fn path(&self) -> &Path {
        match self {
            Item::File { path, .. } | Item::Link { path, .. } | Item::Lines { path, .. } | Item::Absent { path } => {
                path
            }
        }
    }

    /// The text of the item; empty for links and absent files.
    pub fn text(&self) -> &str {
        match self {
            Item::File { text, .. } | Item::Lines { text, .. } => text,
            Item::Link { .. } | Item::Absent { .. } => "",
        }
    }

    /// The path of the item on disk. If a link is in the place of one of our files, the link itself is meant; if it is in
    /// the place of an inittab, its target.
    pub fn place(&self, tree: &Tree) -> io::Result<PathBuf> {
        match self {
            Item::File { path, .. } | Item::Link { path, .. } | Item::Absent { path } => tree.place(path),
            Item::Lines { path, .. } => tree.resolve(path),
        }
    }

    /// Looks what is in the place of the item.
    pub fn look(&self, tree: &Tree) -> io::Result<Found> {
        let place = self.place(tree)?;
        match self {
            Item::File { .. } => look_at_file(&place),
            Item::Link { target, .. } => look_at_link(&place, target),
            Item::Absent { .. } => {
                Ok(if fs::symlink_metadata(&place).is_ok() { Found::Foreign } else { Found::Nothing })
            }
            Item::Lines { text, .. } => {
                let bytes = fs::read(&place)?;
                if inittab::rival(&bytes, text).is_some() {
                    return Ok(Found::Foreign);
                }
                Ok(inittab::find(&bytes).map_or(Found::Nothing, Found::Ours))
            }
        }
    }
}

fn look_at_file(place: &Path) -> io::Result<Found> {
    match fs::symlink_metadata(place) {
        Ok(file) if file.is_file() => {
            let marked = String::from_utf8(fs::read(place)?).ok().and_then(|text| Marked::read(&text));
            Ok(marked.map_or(Found::Foreign, Found::Ours))
        }
        Ok(_) => Ok(Found::Foreign),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(error),
    }
}

fn look_at_link(place: &Path, target: &Path) -> io::Result<Found> {
    match fs::symlink_metadata(place) {
        Ok(link) if link.is_symlink() && fs::read_link(place)? == target => Ok(Found::Same),
        Ok(_) => Ok(Found::Foreign),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(error),
    }
}
