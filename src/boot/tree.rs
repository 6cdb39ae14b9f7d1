//! The file system below `--root`, with the names that it has for itself: a symbolic link in it leads to where it would lead if
//! that were the root.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Component, Path, PathBuf};

/// As many as the kernel follows.
const LINKS: usize = 40;

/// A root directory.
pub struct Tree(PathBuf);

impl Tree {
    pub fn new(root: PathBuf) -> Tree {
        Tree(root)
    }

    /// Whether it is that of the running system.
    pub fn is_running(&self) -> bool {
        self.0 == Path::new("/")
    }

    pub fn root(&self) -> &Path {
        &self.0
    }

    /// What people call the file `path` of the tree, who are outside of it.
    pub fn shown(&self, path: &Path) -> PathBuf {
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The name of `path` that no link stands in, its last component excepted.
    pub fn place(&self, path: &Path) -> io::Result<PathBuf> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(self.0.clone());
        };
        Ok(self.resolve(parent)?.join(name))
    }

    /// The name of `path` that no link stands in. Components that do not exist stay as they are.
    pub fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut ahead: Vec<OsString> = components(path);
        let mut there = self.0.clone();
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            if name == ".." {
                // Above the root is the root.
                if there != self.0 {
                    there.pop();
                }
                continue;
            }
            let Ok(target) = fs::read_link(there.join(&name)) else {
                there.push(name);
                continue;
            };
            links += 1;
            if links > LINKS {
                return Err(io::Error::from_raw_os_error(sys::ELOOP));
            }
            if target.is_absolute() {
                there = self.0.clone();
            }
            ahead.extend(components(&target));
        }
        Ok(there)
    }

    /// Whether something is there.
    pub fn holds(&self, path: &Path) -> bool {
        self.resolve(path).is_ok_and(|path| path.exists())
    }

    /// What the link `path` says.
    pub fn link_target(&self, path: &Path) -> Option<PathBuf> {
        fs::read_link(self.place(path).ok()?).ok()
    }

    /// The directories that would have to be made for `dir` to be there, the outermost first.
    pub fn missing(&self, dir: &Path) -> Vec<PathBuf> {
        let mut missing: Vec<PathBuf> =
            dir.ancestors().take_while(|dir| !self.holds(dir)).map(Path::to_path_buf).collect();
        missing.reverse();
        missing
    }
}

/// The names in a path, the last one first.
fn components(path: &Path) -> Vec<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_os_string()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(name).collect()
}

/// Puts a file with these contents and this mode in the place of `path`: at any moment there is the whole old one or the whole new one.
pub fn write(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    replace(path, contents, |file| file.set_permissions(Permissions::from_mode(mode)))
}

/// The same for a file that exists; the new one has its mode and owner.
pub fn rewrite(path: &Path, contents: &[u8]) -> io::Result<()> {
    let old = fs::metadata(path)?;
    replace(path, contents, |file| {
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            chown(beside(path, ".uphold-new"), Some(old.uid()), Some(old.gid()))?;
        }
        // After chown, which takes setuid away.
        file.set_permissions(old.permissions())
    })
}

fn replace(path: &Path, contents: &[u8], prepare: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let new = beside(path, ".uphold-new");
    // What an earlier attempt left, or a link that somebody put there.
    let _ = fs::remove_file(&new);
    let done = (|| {
        let mut file = File::options().write(true).create_new(true).open(&new)?;
        file.write_all(contents)?;
        prepare(&file)?;
        file.sync_all()?;
        fs::rename(&new, path)
    })();
    if done.is_err() {
        let _ = fs::remove_file(&new);
    }
    done
}

/// A hidden name beside `path`: what reads whole directories, as some inits do, passes it over.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(suffix);
    path.with_file_name(name)
}
