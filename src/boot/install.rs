//! `uphold boot install`: looks at everything first, and changes nothing if something is in the way. If it fails in the middle,
//! it undoes what it has done.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context;
use cli::text;

use super::arguments::{Arguments, writable};
use super::files::{self, Paths};
use super::foreign;
use super::init::Init;
use super::inittab;
use super::item::{Found, Item};
use super::mark::Marked;
use super::rivals::{self, Rival};
use super::tree::{self, Tree, beside};
use super::voice::{PROGRAM, refuse, tell};

/// The end of the name of a file that `--force` has moved out of the way.
pub const SAVED: &str = ".uphold-saved";

pub fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    let tree = &arguments.tree;
    let init = init(arguments)?;
    let mut items = files::items(init, &paths(arguments)?, tree);
    // The path may come from a variable, so it is checked here.
    let scan_dir = writable(&arguments.scan_dir())?;
    let found = rivals::find(init, tree, &scan_dir);
    let mut rivals = found.with_context(|| text!("unable to find out what starts svscan"))?;
    // A rival in the place of one of our items is moved away anyway.
    rivals.retain(|rival| items.iter().all(|item| item.path() != rival.remedy.path()));
    if arguments.force {
        // The items are made from the last to the first: so rivals are removed before ours are made.
        items.extend(rivals.into_iter().map(|rival| rival.remedy));
    } else if let (Some(Rival { path, .. }), false) = (rivals.first(), arguments.print) {
        let first = tree.shown(items[0].path());
        let why = " starts svscan there already; --force ends that";
        return Err(refuse(&[&"unable to install ", &first, &": ", &tree.shown(path), &why]));
    }
    if arguments.print {
        print(&items);
        return Ok(0);
    }
    let found = look(&items, tree)?;
    if arguments.force {
        keep_saved(&items, &found, tree)?;
    } else {
        object(&items, &found, tree)?;
    }
    let mut installer = Installer { tree, undo: Vec::new(), made: Vec::new() };
    if let Err(error) = installer.install(&items, &found, &scan_dir) {
        installer.undo();
        return Err(error);
    }
    if tree.is_running() && foreign::runs(&scan_dir) {
        tell(&[&"to put it in the place of what runs now: uphold boot takeover --scan-dir ", &scan_dir]);
    } else if tree.is_running() {
        tell(&[&"to start it now: ", &init.now()]);
    }
    Ok(0)
}

fn init(arguments: &Arguments) -> anyhow::Result<Init> {
    if let Some(init) = arguments.init {
        return Ok(init);
    }
    let Some((init, why)) = Init::detect(&arguments.tree) else {
        return Err(refuse(&[&"unable to find out which init ", &arguments.tree.root(), &" has: name it with --init"]));
    };
    if !arguments.print {
        tell(&[&"init: ", &init.name(), &", since ", &why.as_str()]);
    }
    Ok(init)
}

fn paths(arguments: &Arguments) -> anyhow::Result<Paths> {
    let own = sys::process::own_program().with_context(|| text!("unable to find out the name of this program"))?;
    let root = fs::canonicalize(arguments.tree.root());
    let root = root.with_context(|| text!("unable to find ", arguments.tree.root()))?;
    // If the program lies in the tree, use its path there.
    let uphold = own.strip_prefix(&root).map_or_else(|_| own.clone(), |inside| Path::new("/").join(inside));
    if !arguments.tree.holds(&uphold) {
        let text = text!("installing for ", uphold, ", which is not there below ", arguments.tree.root());
        PROGRAM.voice().warn(&text);
    }
    Ok(Paths::of(&arguments.tree, writable(&uphold)?, arguments.scan_dir()))
}

fn print(items: &[Item]) {
    for item in items {
        match item {
            Item::File { path, text, mode } => tell(&[&"# ", path, &format!(", mode {mode:o}:\n{text}").as_str()]),
            Item::Link { path, target } => tell(&[&"# ", path, &" -> ", target]),
            Item::Absent { path } => tell(&[&"# nothing in the place of ", path]),
            Item::Lines { path, text, .. } => tell(&[&"# lines in ", path, &":\n", &text.as_str()]),
        }
    }
}

fn look(items: &[Item], tree: &Tree) -> anyhow::Result<Vec<Found>> {
    let look = |item: &Item| item.look(tree).with_context(|| text!("unable to read ", tree.shown(item.path())));
    items.iter().map(look).collect()
}

/// Refuses if an existing file would be changed.
fn object(items: &[Item], found: &[Found], tree: &Tree) -> anyhow::Result<()> {
    for (item, found) in items.iter().zip(found) {
        let shown = tree.shown(item.path());
        let why = match (item, found) {
            (_, Found::Nothing | Found::Same) => continue,
            (_, Found::Ours(marked)) if marked.text == item.text() => continue,
            (_, Found::Ours(_)) => ": it was installed before, with other contents",
            (Item::Lines { .. }, Found::Foreign) => ": a line there starts svscan, or has the same id",
            (_, Found::Foreign) => ": it exists, and was not written by install",
        };
        return Err(refuse(&[&"unable to install ", &shown, &why, &"; --force replaces it"]));
    }
    Ok(())
}

/// Refuses if moving a file out of the way would overwrite a file that was moved before.
fn keep_saved(items: &[Item], found: &[Found], tree: &Tree) -> anyhow::Result<()> {
    let moved = |(item, found): &(&Item, &Found)| !matches!(item, Item::Lines { .. }) && **found == Found::Foreign;
    for (item, _) in items.iter().zip(found).filter(moved) {
        let shown = tree.shown(item.path());
        let place = item.place(tree).with_context(|| text!("unable to read ", shown))?;
        if fs::symlink_metadata(beside(&place, SAVED)).is_ok() {
            let saved = beside(&shown, SAVED);
            let why = ", which --force has moved away before";
            return Err(refuse(&[&"unable to install ", &shown, &" without losing ", &saved, &why]));
        }
    }
    Ok(())
}

/// How to undo one change.
enum Undo {
    Directory(PathBuf),
    File(PathBuf),
    Rename { from: PathBuf, to: PathBuf },
    Contents { path: PathBuf, bytes: Vec<u8> },
}

struct Installer<'a> {
    tree: &'a Tree,
    undo: Vec<Undo>,
    /// The directories and links that were made, by their paths in the tree.
    made: Vec<PathBuf>,
}

impl Installer<'_> {
    fn install(&mut self, items: &[Item], found: &[Found], scan_dir: &Path) -> anyhow::Result<()> {
        let before = found.iter().find_map(|found| match found {
            Found::Ours(marked) if !marked.made.is_empty() => Some(marked.made.clone()),
            Found::Ours(_) | Found::Nothing | Found::Same | Found::Foreign => None,
        });
        self.made = before.unwrap_or_default();
        self.make_directory(scan_dir)?;
        let shown = self.tree.shown(scan_dir);
        if !self.tree.resolve(scan_dir).is_ok_and(|place| place.is_dir()) {
            let error = io::Error::from(io::ErrorKind::NotADirectory);
            return Err(error).with_context(|| text!("unable to use ", shown));
        }
        for item in items {
            if let Some(parent) = item.path().parent() {
                self.make_directory(parent)?;
            }
        }
        // The item that makes init start svscan comes last, and lists all the others.
        for (index, (item, found)) in items.iter().zip(found).enumerate().rev() {
            let shown = self.tree.shown(item.path());
            let unable = || text!("unable to write ", shown);
            let place = item.place(self.tree).with_context(unable)?;
            match item {
                Item::Absent { path } => {
                    self.save(&place, &shown, found).with_context(unable)?;
                    self.note(path);
                }
                Item::Link { path, target } => self.link(&place, path, target, found).with_context(unable)?,
                Item::File { text, mode, .. } => {
                    let marked = self.marked(text, index);
                    self.write(&place, &shown, &marked, *mode, found).with_context(unable)?;
                }
                Item::Lines { text, first, .. } => {
                    let marked = self.marked(text, index);
                    self.add_lines(&place, &shown, &marked, *first).with_context(unable)?;
                }
            }
        }
        Ok(())
    }

    fn marked(&self, text: &str, index: usize) -> Marked {
        Marked { text: text.into(), made: if index == 0 { self.made.clone() } else { Vec::new() } }
    }

    fn make_directory(&mut self, dir: &Path) -> anyhow::Result<()> {
        // If `dir` is a link, its target is made and noted; the link is not ours.
        let resolved = self.tree.resolve(dir).with_context(|| text!("unable to make ", self.tree.shown(dir)))?;
        let inside = Path::new("/").join(resolved.strip_prefix(self.tree.root()).unwrap_or(&resolved));
        for dir in self.tree.missing(&inside) {
            // The path is written into a file of init.
            let dir = writable(&dir)?;
            let shown = self.tree.shown(&dir);
            let unable = || text!("unable to make ", shown);
            let place = self.tree.resolve(&dir).with_context(unable)?;
            fs::create_dir(&place).with_context(unable)?;
            self.undo.push(Undo::Directory(place.clone()));
            fs::set_permissions(&place, Permissions::from_mode(0o755)).with_context(unable)?;
            tell(&[&"made ", &shown]);
            self.note(&dir);
        }
        Ok(())
    }

    fn note(&mut self, made: &Path) {
        if !self.made.iter().any(|known| known == made) {
            self.made.push(made.to_path_buf());
        }
    }

    fn link(&mut self, place: &Path, path: &Path, target: &Path, found: &Found) -> io::Result<()> {
        let shown = self.tree.shown(path);
        if *found == Found::Same {
            tell(&[&"there already: ", &shown]);
            return Ok(());
        }
        self.save(place, &shown, found)?;
        symlink(target, place)?;
        self.undo.push(Undo::File(place.to_path_buf()));
        self.note(path);
        tell(&[&"linked ", &shown, &" to ", &target]);
        Ok(())
    }

    fn write(&mut self, place: &Path, shown: &Path, marked: &Marked, mode: u32, found: &Found) -> io::Result<()> {
        if *found == Found::Ours(marked.clone()) {
            tell(&[&"there already: ", &shown]);
            return Ok(());
        }
        self.save(place, shown, found)?;
        if let Found::Ours(_) = found {
            self.undo.push(Undo::Contents { path: place.into(), bytes: fs::read(place)? });
        }
        tree::write(place, marked.write().as_bytes(), mode)?;
        if !matches!(found, Found::Ours(_)) {
            self.undo.push(Undo::File(place.into()));
        }
        tell(&[&"wrote ", &shown]);
        Ok(())
    }

    /// Moves a file that is not ours out of the way.
    fn save(&mut self, place: &Path, shown: &Path, found: &Found) -> io::Result<()> {
        if *found != Found::Foreign {
            return Ok(());
        }
        let saved = beside(place, SAVED);
        fs::rename(place, &saved)?;
        self.undo.push(Undo::Rename { from: saved, to: place.into() });
        tell(&[&"moved ", &shown, &" to ", &beside(shown, SAVED)]);
        Ok(())
    }

    fn add_lines(&mut self, place: &Path, shown: &Path, marked: &Marked, first: bool) -> io::Result<()> {
        let bytes = fs::read(place)?;
        // Remove our own lines first, or they would count as rivals.
        let others = inittab::silence(&inittab::remove(&bytes), &marked.text);
        let with = inittab::insert(&others, marked, first);
        if with == bytes {
            tell(&[&"there already: lines in ", &shown]);
            return Ok(());
        }
        tree::rewrite(place, &with)?;
        self.undo.push(Undo::Contents { path: place.into(), bytes });
        for line in marked.text.lines() {
            tell(&[&"added to ", &shown, &": ", &line]);
        }
        Ok(())
    }

    /// Undoes all changes, the last one first.
    fn undo(self) {
        for change in self.undo.into_iter().rev() {
            let done = match change {
                Undo::Directory(path) => fs::remove_dir(path),
                Undo::File(path) => fs::remove_file(path),
                Undo::Rename { from, to } => fs::rename(from, to),
                Undo::Contents { path, bytes } => tree::rewrite(&path, &bytes),
            };
            if let Err(error) = done {
                PROGRAM.voice().warning(&text!("unable to undo what was done"), &error);
            }
        }
    }
}
