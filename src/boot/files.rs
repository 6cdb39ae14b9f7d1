//! The files that are installed for each init: those under `examples/boot`, with the paths of this system filled in.

use std::path::{Path, PathBuf};

use super::init::Init;
use super::item::Item;
use super::tree::Tree;

const SYSTEMD: &str = include_str!("../../examples/boot/systemd/svscan.service");
const SYSVINIT: &str = include_str!("../../examples/boot/sysvinit/svscan");
const SYSVINIT_INITTAB: &str = include_str!("../../examples/boot/sysvinit/inittab");
const OPENRC: &str = include_str!("../../examples/boot/openrc/svscan");
const UPSTART: &str = include_str!("../../examples/boot/upstart/svscan.conf");
const RC_D: &str = include_str!("../../examples/boot/rc.d/svscan");
const RC_CONF: &str = include_str!("../../examples/boot/rc.d/rc.conf");
const BUSYBOX_INITTAB: &str = include_str!("../../examples/boot/busybox/inittab");

const INITTAB: &str = "/etc/inittab";

/// The directory of the programs in the examples.
const EXAMPLE_PROGRAMS: &str = "/usr/bin/";
const EXAMPLE_SCAN_DIR: &str = "/service";
/// The programs that the examples name.
const PROGRAMS: [&str; 4] = ["svscanboot", "svscan", "pgrphack", "uphold"];

/// The paths that are filled in.
pub struct Paths {
    /// The path of the all-in-one file in the tree.
    pub uphold: PathBuf,
    /// The other programs in the same directory.
    pub beside: Vec<&'static str>,
    /// The path of the scan directory in the tree.
    pub scan_dir: PathBuf,
}

impl Paths {
    /// Finds the paths for the all-in-one file `uphold` in the tree. What counts are the programs beside it in the tree, not
    /// those beside the running program.
    pub fn of(tree: &Tree, uphold: PathBuf, scan_dir: PathBuf) -> Paths {
        let beside = PROGRAMS.into_iter().filter(|name| tree.holds(&uphold.with_file_name(name))).collect();
        Paths { uphold, beside, scan_dir }
    }

    /// Returns the text of an example with the paths of this system.
    fn fill(&self, example: &str) -> String {
        let mut filled = String::new();
        let mut rest = example;
        while let Some(at) = rest.find('/') {
            filled.push_str(&rest[..at]);
            rest = &rest[at..];
            let (length, path) = self.path(rest).unwrap_or((1, "/".into()));
            filled.push_str(&path);
            rest = &rest[length..];
        }
        filled + rest
    }

    /// If `text` begins with a path of the examples: the length of that, and the path on this system.
    fn path(&self, text: &str) -> Option<(usize, String)> {
        let ends = |length: usize| !text[length..].starts_with(|c: char| c.is_alphanumeric() || "-_./".contains(c));
        if text.starts_with(EXAMPLE_SCAN_DIR) && ends(EXAMPLE_SCAN_DIR.len()) {
            return Some((EXAMPLE_SCAN_DIR.len(), self.scan_dir.display().to_string()));
        }
        let name = text.strip_prefix(EXAMPLE_PROGRAMS)?;
        let program = PROGRAMS.into_iter().find(|program| name.starts_with(program))?;
        let length = EXAMPLE_PROGRAMS.len() + program.len();
        ends(length).then(|| (length, self.program(program)))
    }

    /// The command that runs a program: its own file, or the all-in-one file with its name.
    fn program(&self, name: &str) -> String {
        let uphold = self.uphold.display();
        match name {
            "uphold" => uphold.to_string(),
            _ if self.beside.contains(&name) => self.uphold.with_file_name(name).display().to_string(),
            _ => format!("{uphold} {name}"),
        }
    }
}

/// The items that are installed for an init. The first one is the most important: it carries the list of everything
/// that was made.
pub fn items(init: Init, paths: &Paths, tree: &Tree) -> Vec<Item> {
    let file = |path: &str, text: &str, mode: u32| Item::File { path: path.into(), text: paths.fill(text), mode };
    let link = |path: &str, target: &str| Item::Link { path: path.into(), target: target.into() };
    let lines = |text: &str, first: bool| Item::Lines { path: INITTAB.into(), text: paths.fill(text), first };
    match init {
        Init::Systemd => vec![
            file("/etc/systemd/system/svscan.service", SYSTEMD, 0o644),
            link("/etc/systemd/system/multi-user.target.wants/svscan.service", "/etc/systemd/system/svscan.service"),
        ],
        Init::Sysvinit => {
            let by_init = tree.holds(Path::new(INITTAB));
            let script = file("/etc/init.d/svscan", SYSVINIT, 0o755);
            let (starts, stops): (&[u8], &[u8]) = if by_init { (&[], &[0, 6]) } else { (&[2, 3, 4, 5], &[0, 1, 6]) };
            let at = |level: &u8, what: &str| link(&format!("/etc/rc{level}.d/{what}svscan"), "../init.d/svscan");
            let mut items: Vec<Item> = by_init.then(|| lines(SYSVINIT_INITTAB, false)).into_iter().collect();
            items.push(script);
            items.extend(starts.iter().map(|level| at(level, "S99")));
            items.extend(stops.iter().map(|level| at(level, "K01")));
            items
        }
        Init::Openrc => {
            vec![file("/etc/init.d/svscan", OPENRC, 0o755), link("/etc/runlevels/default/svscan", "/etc/init.d/svscan")]
        }
        Init::Upstart => vec![file("/etc/init/svscan.conf", UPSTART, 0o644)],
        Init::RcD => {
            vec![file("/usr/local/etc/rc.d/svscan", RC_D, 0o555), file("/etc/rc.conf.d/svscan", RC_CONF, 0o644)]
        }
        Init::Busybox => vec![lines(BUSYBOX_INITTAB, true)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(paths: &Paths) -> Vec<String> {
        let tree = Tree::new("/nonexistent".into());
        let text = |item: Item| match item {
            Item::File { text, .. } | Item::Lines { text, .. } => Some(text),
            Item::Link { .. } | Item::Absent { .. } => None,
        };
        Init::ALL.into_iter().flat_map(|init| items(init, paths, &tree)).filter_map(text).collect()
    }

    #[test]
    fn the_examples_are_what_is_installed_in_their_own_places() {
        let paths =
            Paths { uphold: "/usr/bin/uphold".into(), beside: PROGRAMS.into(), scan_dir: EXAMPLE_SCAN_DIR.into() };
        let texts = texts(&paths);
        for example in [SYSTEMD, SYSVINIT, OPENRC, UPSTART, RC_D, RC_CONF, BUSYBOX_INITTAB] {
            assert!(texts.iter().any(|text| text == example), "{example}");
        }
        assert_eq!(paths.fill(SYSVINIT_INITTAB), SYSVINIT_INITTAB);
    }

    #[test]
    fn every_path_is_filled_in() {
        let paths = Paths { uphold: "/opt/u/uphold".into(), beside: vec!["svscanboot"], scan_dir: "/srv/sv".into() };
        for text in texts(&paths) {
            assert!(!text.contains(EXAMPLE_PROGRAMS) && !text.contains("/service "), "{text}");
            assert!(!text.lines().any(|line| line.ends_with("/service")), "{text}");
        }
        assert_eq!(paths.fill(SYSVINIT_INITTAB), "SV:123456:respawn:/opt/u/svscanboot /srv/sv\n");
        assert_eq!(paths.fill("a /usr/bin/svscan /service"), "a /opt/u/uphold svscan /srv/sv");
        assert_eq!(
            paths.fill("/usr/bin/svscanx /usr/bin/env /services /"),
            "/usr/bin/svscanx /usr/bin/env /services /"
        );
    }
}
