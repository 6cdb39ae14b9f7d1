//! The contents of the scratch directory: the programs, the scan directory, and the service directories.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::hooks;
use super::options::Options;
use super::rules::Rules;
use super::service::{LEDGERS, READY, SOCKET};
use super::suite::{Kind, Suite};

/// How long new copies live before they count as ready, in milliseconds.
const WARM_UPS: [u32; 4] = [0, 20, 200, 600];

/// The directory of the programs. Ours are copied, so that they can be replaced.
pub fn programs(root: &Path, options: &Options) -> anyhow::Result<PathBuf> {
    if options.suite.kind != Kind::Ours {
        return Ok(options.suite.bin.clone());
    }
    let bin = root.join("bin");
    fs::create_dir(&bin)?;
    for program in ["svscan", "supervise", "svc", "multilog"] {
        let from = options.suite.bin.join(program);
        fs::copy(&from, bin.join(program)).with_context(|| format!("unable to copy {}", from.display()))?;
    }
    Ok(bin)
}

/// Makes the directory of one service and of its logger, and lists it in the scan directory. Only ours knows the rules.
pub fn make_service(root: &Path, number: usize, rules: Rules, suite: &Suite) -> anyhow::Result<PathBuf> {
    let name = &service_name(number);
    let own = root.join("torture");
    if !own.exists() {
        // A short name: the kernel reads no long ones behind #!.
        for name in std::iter::once("torture").chain(hooks::ALL) {
            symlink(std::env::current_exe()?, root.join(name))?;
        }
    }
    let dir = root.join("services").join(name);
    fs::create_dir_all(dir.join("log/main"))?;
    fs::create_dir_all(dir.join(LEDGERS))?;
    write_executable(&dir.join("run"), &format!("#!{} service\n", own.display()))?;
    if suite.kind == Kind::Ours {
        fs::write(dir.join("warmup"), format!("{}\n", WARM_UPS[number % WARM_UPS.len()]))?;
        if number % 3 == 1 {
            fs::write(dir.join("notification-fd"), format!("{READY}\n"))?;
        }
        if number % 5 == 2 {
            fs::create_dir(dir.join("sockets"))?;
            fs::write(dir.join("sockets/own"), format!("unix {SOCKET}\n"))?;
        }
        rules.write(root, &dir)?;
    }
    write_executable(&dir.join("log/run"), suite.logger())?;
    if suite.kind == Kind::Runit {
        fs::write(dir.join("log/main/config"), "s262144\nn0\n")?;
    }
    fs::create_dir_all(root.join("scan"))?;
    symlink(&dir, root.join("scan").join(name))?;
    Ok(dir)
}

/// The name of the service with this number.
pub fn service_name(number: usize) -> String {
    format!("s{number:02}")
}

/// Writes an executable file.
pub fn write_executable(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)?;
    testkit::make_executable(path);
    Ok(())
}

/// Cleans up on a panic: a release build does not unwind, so nothing would be dropped.
pub fn clean_up_on_panic(root: PathBuf) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        super::ending::kill_all(&root);
        let _ = fs::remove_dir_all(&root);
    }));
}
