//! `uphold boot remove`: removes what `install` has made, and nothing else.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cli::text;

use super::arguments::Arguments;
use super::files::{self, Paths};
use super::init::Init;
use super::inittab;
use super::install::SAVED;
use super::item::{Found, Item};
use super::rivals::MASK;
use super::tree::{self, Tree, beside};
use super::voice::tell;

pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let tree = &arguments.tree;
    let inits = arguments.init.map_or(Init::ALL.to_vec(), |init| vec![init]);
    // The paths of the items do not depend on what is filled into them.
    let paths = Paths { uphold: PathBuf::new(), beside: Vec::new(), scan_dir: PathBuf::new() };
    let items: Vec<Item> = inits.into_iter().flat_map(|init| files::items(init, &paths, tree)).collect();
    let mut made = Vec::new();
    let mut removed = false;
    for item in &items {
        let unable = || text!("unable to remove ", tree.shown(item.path()));
        if let Some(with_it) = take_away(item, tree).with_context(unable)? {
            made.extend(with_it);
            removed = true;
        }
    }
    for path in made.iter().rev() {
        take_back(path, &items, tree).with_context(|| text!("unable to remove ", tree.shown(path)))?;
    }
    if !removed {
        tell(&[&"nothing is installed below ", &tree.root()]);
    }
    Ok(0)
}

/// Removes the item if it is ours, and returns what was made with it.
fn take_away(item: &Item, tree: &Tree) -> io::Result<Option<Vec<PathBuf>>> {
    let place = item.place(tree)?;
    let shown = tree.shown(item.path());
    match item {
        Item::Lines { .. } => {
            let Ok(bytes) = fs::read(&place) else {
                return Ok(None);
            };
            let Some(marked) = inittab::find(&bytes) else {
                return Ok(None);
            };
            tree::rewrite(&place, &inittab::restore(&inittab::remove(&bytes)))?;
            tell(&[&"removed our lines from ", &shown]);
            Ok(Some(marked.made))
        }
        Item::File { .. } => {
            let Found::Ours(marked) = item.look(tree)? else {
                return Ok(None);
            };
            fs::remove_file(&place)?;
            tell(&[&"removed ", &shown]);
            restore(&place, &shown)?;
            Ok(Some(marked.made))
        }
        // The mark in the installed file lists which links are ours.
        Item::Link { .. } | Item::Absent { .. } => Ok(None),
    }
}

/// Removes a link or directory that `install` has made. A directory that is not empty stays, and so does a link that somebody has put
/// there since: its target is not that of any of `items`.
fn take_back(path: &Path, items: &[Item], tree: &Tree) -> io::Result<()> {
    let place = tree.place(path)?;
    let shown = tree.shown(path);
    let done = match fs::symlink_metadata(&place) {
        Ok(there) if there.is_symlink() => {
            let leads = fs::read_link(&place)?;
            let is_ours = |item: &Item| matches!(item, Item::Link { target, .. } if *target == leads);
            if leads != Path::new(MASK) && !items.iter().any(is_ours) {
                tell(&[&"left ", &shown, &", which is a link to ", &leads]);
                return Ok(());
            }
            fs::remove_file(&place)
        }
        Ok(there) if there.is_dir() => fs::remove_dir(&place),
        // Something else has taken its place.
        Ok(_) => return Ok(()),
        // It is gone already, or `install` had moved away what was here.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return restore(&place, &shown),
        Err(error) => Err(error),
    };
    match done {
        Ok(()) => {
            tell(&[&"removed ", &shown]);
            restore(&place, &shown)
        }
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            tell(&[&"left ", &shown, &", which is not empty"]);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Puts back what `--force` had moved out of the way.
fn restore(place: &Path, shown: &Path) -> io::Result<()> {
    let saved = beside(place, SAVED);
    if fs::symlink_metadata(&saved).is_err() {
        return Ok(());
    }
    fs::rename(&saved, place)?;
    tell(&[&"put back ", &shown]);
    Ok(())
}
