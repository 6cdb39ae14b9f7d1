//! The torture program, as the example and its test run it.

mod chaos;
mod check;
mod clients;
mod crowd;
mod dice;
mod ending;
mod ends;
mod evidence;
mod hooks;
mod limits;
mod line;
mod lines;
mod lives;
mod needs;
mod options;
mod orders;
mod report;
mod rules;
mod service;
mod site;
mod stored;
mod suite;
mod told;
mod unit;
mod upgrade;
mod world;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use chaos::Chaos;
use options::Options;
use world::World;

/// How long the loop sleeps between two looks around.
const TICK: Duration = Duration::from_millis(5);
/// How often every process is looked at.
const CHECK: Duration = Duration::from_millis(100);
/// How long the first start of everything may take.
const BOOT: Duration = Duration::from_secs(30);

/// Runs as the service itself or as one of its hooks, if the first of these words says so.
pub fn called(words: &[OsString]) -> Option<ExitCode> {
    if words.first().is_some_and(|word| word == "service") {
        return Some(service::main());
    }
    hooks::main(words)
}

/// Runs with these words: [called](called) as something that is run in a service directory, else as the torturer.
pub fn main(words: Vec<OsString>) -> ExitCode {
    if let Some(code) = called(&words) {
        return code;
    }
    let outcome = Options::parse(&words).and_then(|options| torture(&options));
    outcome.unwrap_or_else(|error| {
        say(&format!("torture: fatal: {error:#}\n"));
        ExitCode::from(111)
    })
}

fn torture(options: &Options) -> anyhow::Result<ExitCode> {
    let mut world = World::new(options)?;
    if let Some(missing) = limits::missing().filter(|_| world.kind == suite::Kind::Ours) {
        say(missing);
    }
    let mut chaos = Chaos::new(options);
    world.start()?;
    let begin = Instant::now();
    while !world.all_up() {
        anyhow::ensure!(begin.elapsed() < BOOT, "not all services came up in {BOOT:?}");
        world.turn()?;
        thread::sleep(TICK);
    }
    world.begin();
    let begin = Instant::now();
    while begin.elapsed() < options.duration {
        chaos.turn(&mut world)?;
        world.turn()?;
        thread::sleep(TICK);
    }
    ending::settle(&mut world)?;
    ending::stop(&mut world)?;
    lines::verify(&mut world)?;
    lives::verify(&mut world)?;
    needs::verify(&mut world)?;
    world.totals.returned = world.units.iter().map(|unit| stored::returns(&unit.dir)).sum();
    anyhow::ensure!(world.totals.found > 0, "no line was found");
    say(&report::table(options, &world));
    if options.keep {
        let kept = world.root.with_extension("kept");
        std::fs::rename(&world.root, &kept)?;
        say(&format!("kept             {}\n", kept.display()));
    }
    Ok(ExitCode::from(u8::from(world.violations.any())))
}

/// Whoever reads this may be gone; that changes nothing.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
