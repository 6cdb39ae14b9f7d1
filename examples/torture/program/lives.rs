//! Whether each end of a service was followed by what is to follow it once: its `finish`, and its entry in the death tally.
//!
//! This is about services that are never replaced, so that their lives follow one another.

use std::fs;

use super::hooks::Finished;
use super::line::Micros;
use super::lines;
use super::report::Kind;
use super::world::World;

/// The beginning of a life, or of a `finish`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Begin {
    Life,
    Finish,
}

/// Checks all services.
pub fn verify(world: &mut World) -> anyhow::Result<()> {
    let messages = fs::read_to_string(world.root.join("messages")).unwrap_or_default();
    for service in (0..world.units.len()).step_by(2) {
        let unit = &world.units[service];
        if !unit.rules.steady {
            continue;
        }
        let lives: Vec<Micros> = lines::ledgers(&unit.dir)?.iter().map(|(by, _)| by.birth).collect();
        world.totals.lives += lives.len();
        if !unit.rules.finish {
            continue;
        }
        let finishes = finishes(world, service, &lives, &messages);
        if world.units[service].rules.tally {
            tally(world, service, lives.len(), finishes);
        }
    }
    Ok(())
}

/// After each life there is one `finish`. Returns how many there were at most.
fn finishes(world: &mut World, service: usize, lives: &[Micros], messages: &str) -> usize {
    let unit = &world.units[service];
    let finishes = Finished::all(&unit.dir);
    // On a busy machine one may be killed by supervise before it has noted anything.
    let killed = messages.matches(&format!("unable to end {}/finish in time", unit.name)).count();
    let mut late = killed.saturating_sub(finishes.iter().filter(|finish| finish.hangs).count());
    let mut begins: Vec<(Micros, Begin)> = lives.iter().map(|&birth| (birth, Begin::Life)).collect();
    begins.extend(finishes.iter().map(|finish| (finish.born, Begin::Finish)));
    begins.sort_unstable();
    let mut found = Vec::new();
    // The last event, and, if that was a life, that its `finish` is still to come.
    let mut last: Option<(Micros, Begin)> = None;
    let end = [(super::line::now(), Begin::Life)];
    for &(at, begin) in begins.iter().chain(&end) {
        let between = last.map_or(0, |(before, _)| before)..=at;
        match (last.map(|(_, begin)| begin), begin) {
            (Some(Begin::Life), Begin::Life) => {
                let was_killed = unit.hook_kills.iter().any(|kill| between.contains(kill));
                if !was_killed && late == 0 {
                    found.push((Kind::NoFinish, between));
                } else if !was_killed {
                    late -= 1;
                }
            }
            // One that was ended before it could note that it lives.
            (None | Some(Begin::Finish), Begin::Finish) if !unit.ends.iter().any(|end| between.contains(end)) => {
                found.push((Kind::FinishTwice, between));
            }
            _ => {}
        }
        last = Some((at, begin));
    }
    world.totals.finishes += finishes.len();
    let most = finishes.len() + killed + unit.hook_kills.len();
    let name = unit.name.clone();
    for (kind, between) in found {
        let (from, to) = between.into_inner();
        let events = world.events(service, from, to);
        world.violate(kind, format!("{name}: {from} to {to}; {events}"));
    }
    most
}

/// Each life is in the tally; around a kill of supervise one may be missing, or be there twice. There are at least so many lives, and at most so many.
fn tally(world: &mut World, service: usize, least: usize, most: usize) {
    let unit = &world.units[service];
    let bytes = fs::read(unit.dir.join("supervise/death_tally")).unwrap_or_default();
    let deaths = svdir::tally::deaths(&bytes);
    let count = deaths.len();
    let is_whole = bytes.len().is_multiple_of(svdir::tally::DEATH)
        && deaths.map(|death| death.at).is_sorted_by_key(|at| at.pack());
    let slack = unit.supervise_kills;
    world.totals.tallied += count;
    if !is_whole || count + slack < least || count > most + slack {
        let evidence = format!(
            "{}: {count} deaths ({} bytes) of {least} to {most} lives, give or take {slack}",
            unit.name,
            bytes.len()
        );
        world.violate(Kind::Tally, evidence);
    }
}
