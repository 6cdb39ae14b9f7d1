//! The file system below `--root`, with paths as that system would use them: a symbolic link in it leads to where it would lead
//! if `--root` were the root directory.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Component, Path, PathBuf};

/// How many links are followed in one path: as many as the kernel follows.
const LINKS: usize = 40;

/// A root directory.
pub struct Tree(PathBuf);

impl Tree {
    pub fn new(root: PathBuf) -> Tree {
        Tree(root)
    }

    /// Returns whether this is the root directory of the running system.
    pub fn is_running(&self) -> bool {
        self.0 == Path::new("/")
    }

    pub fn root(&self) -> &Path {
        &self.0
    }

    /// The path of the file `path` of the tree as seen from outside, for messages.
    pub fn shown(&self, path: &Path) -> PathBuf {
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Resolves all links in `path` but for its last component.
    pub fn place(&self, path: &Path) -> io::Result<PathBuf> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(self.0.clone());
        };
        Ok(self.resolve(parent)?.join(name))
    }

    /// Resolves all links in `path`. Components that do not exist stay as they are.
    pub fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut ahead: Vec<OsString> = components(path);
        let mut there = self.0.clone();
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            if name == ".." {
                // The parent of the root is the root.
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

    /// Returns whether `path` exists in the tree.
    pub fn holds(&self, path: &Path) -> bool {
        self.resolve(path).is_ok_and(|path| path.exists())
    }

    /// The target of the link `path`.
    pub fn link_target(&self, path: &Path) -> Option<PathBuf> {
        fs::read_link(self.place(path).ok()?).ok()
    }

    /// The directories that would have to be made for `dir` to exist, the outermost first.
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

/// Writes a file with these contents and this mode to `path`, so that at any moment there is the complete old file or the complete new
/// one.
pub fn write(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    replace(path, contents, |file| file.set_permissions(Permissions::from_mode(mode)))
}

/// Replaces an existing file as [`write()`] does, and keeps its mode and owner.
pub fn rewrite(path: &Path, contents: &[u8]) -> io::Result<()> {
    let old = fs::metadata(path)?;
    replace(path, contents, |file| {
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            chown(beside(path, ".uphold-new"), Some(old.uid()), Some(old.gid()))?;
        }
        // After chown, since that clears the set-user-id bit.
        file.set_permissions(old.permissions())
    })
}

fn replace(path: &Path, contents: &[u8], prepare: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let new = beside(path, ".uphold-new");
    // A file that an earlier attempt has left, or a link that somebody has put there.
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

/// A hidden name beside `path`, so that inits which read whole directories pass it over.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(suffix);
    path.with_file_name(name)
}
