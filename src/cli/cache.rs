//! `ghtrader cache stats|verify|gc|push|pull`: what the store holds, whether it is whole, removing what nothing uses, and
//! sharing it with other machines.

use std::collections::{BTreeSet, HashSet};
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};

use super::error::print;
use super::project::terminal;
use super::{CliError, Exit, Project};
use crate::artifact::Artifact;
use crate::cache::{Amount, Cache, CacheError, Checked, Collected, Damage, Notice, Pulled, Pushed, Roots, is_older};
use crate::provenance::{forget_log, is_going_on, is_log_kept, list, load, used_keys};
use crate::refs::{Move, RefError, Refs};
use crate::report::{size, table};

/// How many bytes are read before a terminal hears of it again.
const SHOWN_EVERY: u64 = 64 << 20;

#[derive(Debug, Args)]
pub(super) struct CacheArgs {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    /// What the cache holds, and which tasks take the room
    Stats,
    /// Read and hash everything, and say what is damaged or lost; changes no content
    Verify,
    /// Remove what nothing uses any more
    Gc(GcArgs),
    /// Share all results and refs that are here with the other machines (`cache` in ghtrader.yaml)
    Push,
    /// Bring here all results and refs that other machines have shared, with what they wrote
    Pull,
}

#[derive(Debug, Args)]
struct GcArgs {
    /// Keep what was used in the last N days, beside the last result of every task and all that refs name
    #[arg(long, value_name = "N", default_value_t = 30)]
    keep_days: u32,
    /// Say what would go; remove nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn cache(project: &Project, args: &CacheArgs) -> Result<Exit, CliError> {
    match &args.command {
        CacheCommand::Stats => stats(project),
        CacheCommand::Verify => verify(project),
        CacheCommand::Gc(args) => gc(project, args),
        CacheCommand::Push => push(project),
        CacheCommand::Pull => pull(project),
    }
}

/// The cache, and where it is shared.
fn shared(project: &Project) -> Result<(Cache, String), CliError> {
    let cache = project.open()?;
    let Some(address) = cache.shared_at().map(ToString::to_string) else {
        let help = "write `cache: s3://bucket/prefix` or `cache: /a/shared/folder` in ghtrader.yaml";
        return Err(CliError::usage("this project shares its cache with no other machine", help));
    };
    Ok((cache, address))
}

/// Tells a terminal how far it is.
fn counted(project: &Project, what: &'static str) -> impl Fn() + Sync + use<> {
    let (count, shown) = (AtomicU64::new(0), terminal() && !project.quiet);
    move || {
        let count = count.fetch_add(1, Ordering::Relaxed) + 1;
        if shown {
            overwrite(&format!("{count} {what}"));
        }
    }
}

fn push(project: &Project) -> Result<Exit, CliError> {
    let (cache, address) = shared(project)?;
    let pushed = cache.push(counted(project, "results"));
    end_line(project);
    let pushed = pushed?;
    let moves = Refs::open(&cache).push()?;
    let Pushed { results, there, incomplete } = pushed;
    if !project.quiet {
        print(&format!("{results} results and {moves} moves of refs pushed to {address}; {there} results were there"));
    }
    told(&cache);
    if incomplete > 0 {
        print(&format!("{incomplete} results are not pushed: something that they wrote is not in this cache any more"));
    }
    Ok(Exit::Done)
}

fn pull(project: &Project) -> Result<Exit, CliError> {
    let (cache, address) = shared(project)?;
    let pulled = cache.pull(counted(project, "artifacts"));
    end_line(project);
    let Pulled { results, artifacts, lost } = pulled?;
    let refs = Refs::open(&cache).names()?.len();
    if !project.quiet {
        print(&format!(
            "{results} results and {artifacts} artifacts pulled from {address}; {refs} refs are known here"
        ));
    }
    told(&cache);
    if lost > 0 {
        print(&format!("{lost} artifacts could not be had from there; a run that needs them makes them again"));
        return Ok(Exit::Damaged);
    }
    Ok(Exit::Done)
}

fn end_line(project: &Project) {
    if terminal() && !project.quiet {
        overwrite("");
    }
}

fn told(cache: &Cache) {
    cache.take_notices().iter().for_each(|notice| print(&notice.to_string()));
}

fn amount(amount: Amount) -> Vec<String> {
    vec![amount.count.to_string(), size(amount.bytes)]
}

fn stats(project: &Project) -> Result<Exit, CliError> {
    let cache = project.look()?;
    let stats = cache.stats()?;
    let refs = Refs::here(&cache).names()?.len();
    let runs = list(&cache.runs())?.len();
    let row = |name: &str, cells: Vec<String>| [vec![name.to_owned()], cells].concat();
    let rows = vec![
        row("objects", amount(stats.objects)),
        row("results", amount(stats.results)),
        row("left by failed tasks", amount(stats.scratch)),
        row("index", vec![String::new(), size(stats.index)]),
        row("refs", vec![refs.to_string(), String::new()]),
        row("runs", vec![runs.to_string(), String::new()]),
    ];
    print(&table(&[cache.root().display().to_string(), "count".into(), "size".into()], rows));
    if !stats.tasks.is_empty() {
        // What several results share is counted for each of them here, and once in `objects`.
        let rows = stats.tasks.into_iter().map(|(task, total)| row(&task, amount(total))).collect();
        print(&format!("\n{}", table(&["task".into(), "results".into(), "outputs".into()], rows)));
    }
    Ok(Exit::Done)
}

/// Shows one line in the place of the one before it. What a terminal does not take is not worth an error.
fn overwrite(line: &str) {
    let _ = write!(std::io::stderr(), "\r{line}\x1b[K");
}

fn verify(project: &Project) -> Result<Exit, CliError> {
    let cache = project.look()?;
    let mut wrong = Vec::new();
    let needed = named_by_refs(&cache, &mut wrong)?;
    let read = AtomicU64::new(0);
    let shown = terminal() && !project.quiet;
    let checked = cache.check(&needed, |bytes| {
        let before = read.fetch_add(bytes, Ordering::Relaxed);
        let now = before + bytes;
        if shown && now / SHOWN_EVERY > before / SHOWN_EVERY {
            overwrite(&format!("{} read", size(now)));
        }
    })?;
    if shown {
        overwrite("");
    }
    for notice in cache.take_notices() {
        if matches!(notice, Notice::IndexRebuilt { damaged: true, .. }) {
            wrong.push("damaged  the index".to_owned());
        }
    }
    wrong.extend(checked.damage.iter().map(described));
    wrong.iter().for_each(|line| print(line));
    for path in &checked.strays {
        print(&format!("stray    {}: not the cache's; nothing uses it, remove it", path.display()));
    }
    distrust(project, &checked.damage)?;
    let Checked { objects, manifests, collected, tasks, .. } = &checked;
    if !project.quiet {
        print(&format!(
            "{} objects ({}), {manifests} manifests, {} named by refs, {collected} collected results: {}",
            objects.count,
            size(objects.bytes),
            needed.len(),
            if wrong.is_empty() { "all whole".to_owned() } else { format!("{} damaged or lost", wrong.len()) }
        ));
    }
    if wrong.is_empty() {
        return Ok(Exit::Done);
    }
    let flows: BTreeSet<&str> = tasks.iter().map(|(flow, _)| flow.as_str()).collect();
    for flow in flows {
        print(&format!("help: `ghtrader run {flow}` makes what it needs of it again"));
    }
    if checked.damage.iter().any(|damage| matches!(damage, Damage::Manifest { .. })) {
        print("help: a damaged manifest that no run needs is set aside by `ghtrader cache gc`");
    }
    Ok(Exit::Damaged)
}

/// Sees to it that no run feeds on what was found damaged, whatever the file system says of it: it is made again instead.
fn distrust(project: &Project, damage: &[Damage]) -> Result<(), CliError> {
    let (mut objects, mut results) = (Vec::new(), Vec::new());
    for damage in damage {
        match damage {
            Damage::Object { hash, .. } => objects.push(*hash),
            Damage::Manifest { key, n, .. } => results.push((*key, *n)),
            Damage::Lost { .. } | Damage::Index(_) => {}
        }
    }
    if objects.is_empty() && results.is_empty() {
        return Ok(());
    }
    let cache = project.open()?;
    cache.distrust(&objects)?;
    Ok(cache.forget_results(&results)?)
}

fn described(damage: &Damage) -> String {
    match damage {
        Damage::Object { hash, path } => format!("damaged  object {}: {}", hash.short(), path.display()),
        Damage::Lost { hash, needed } => format!("lost     object {}: {needed}", hash.short()),
        Damage::Manifest { what, .. } => format!("damaged  {what}"),
        Damage::Index(why) => {
            format!("damaged  the index: {why}; the next `ghtrader run` rebuilds it once it is deleted")
        }
    }
}

/// What all moves of all refs name. A move that cannot be read is said in `wrong`.
fn named_by_refs(cache: &Cache, wrong: &mut Vec<String>) -> Result<Vec<(String, Artifact)>, CliError> {
    let refs = Refs::here(cache);
    let mut named = Vec::new();
    for name in refs.names()? {
        let log = match refs.log(&name) {
            Ok(log) => log,
            Err(error @ RefError::Damaged { .. }) => {
                wrong.push(format!("damaged  {error}"));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        for Move { n, change, .. } in log {
            let decision = change.decision.map(|decision| (format!("decision of move {n} of ref {name}"), decision));
            named.push((format!("move {n} of ref {name}"), change.artifact));
            named.extend(decision);
        }
    }
    Ok(named)
}

fn gc(project: &Project, args: &GcArgs) -> Result<Exit, CliError> {
    let cache = if args.dry_run { project.look()? } else { project.open()? };
    let collected = cache.collect(|| roots(&cache, args.keep_days))?;
    let logs = forget_logs(&cache, &collected)?;
    if project.quiet {
        return Ok(Exit::Done);
    }
    let would = if args.dry_run { "would remove" } else { "removed" };
    let Collected { objects, kept, results, scratch, .. } = collected;
    print(&format!("{would} {} objects, {}: outputs of {results} results", objects.count, size(objects.bytes)));
    print(&format!("{would} {} folders of failed tasks, {}", scratch.count, size(scratch.bytes)));
    print(&format!("{would} the logs of {} runs, {}", logs.count, size(logs.bytes)));
    print(&format!(
        "{} {} objects, {}",
        if args.dry_run { "would keep" } else { "kept" },
        kept.count,
        size(kept.bytes)
    ));
    Ok(Exit::Done)
}

/// What has to stay: see [`Roots`].
fn roots(cache: &Cache, keep_days: u32) -> Result<Roots, CacheError> {
    let now = Timestamp::now();
    let since = now.checked_sub(SignedDuration::from_hours(24 * i64::from(keep_days))).unwrap_or(Timestamp::MIN);
    let living = cache.in_use_since()?;
    let since = living.map_or(since, |living| living.min(since));
    let mut keys = HashSet::new();
    let mut flows = BTreeSet::new();
    let mut runs = HashSet::new();
    for run in list(&cache.runs())? {
        if is_going_on(&cache.runs(), &run) {
            runs.insert(run.clone());
        }
        if is_older(&run, since) {
            continue;
        }
        keys.extend(used_keys(&cache.runs(), &run));
        // A run without an end is going on, or was killed.
        if living.is_some_and(|living| !is_older(&run, living))
            && let Ok((start, None)) = load(&cache.runs(), &run)
        {
            flows.insert(start.flow);
        }
    }
    let mut artifacts = Vec::new();
    let refs = Refs::here(cache);
    for name in refs.names().map_err(unreadable)? {
        for Move { change, .. } in refs.log(&name).map_err(unreadable)? {
            artifacts.push(change.artifact);
            artifacts.extend(change.decision);
            keys.extend(change.key);
        }
    }
    Ok(Roots { since, keys, artifacts, flows, runs })
}

/// Nothing is removed while it is not known what a ref points to.
fn unreadable(error: RefError) -> CacheError {
    CacheError::Io(std::io::Error::other(error.to_string()))
}

/// Removes the logs of older runs, but not of those that executed a result that stays. What was asked and how each task ended
/// stays of all.
fn forget_logs(cache: &Cache, collected: &Collected) -> Result<Amount, CliError> {
    let mut logs = Amount::default();
    for run in list(&cache.runs())? {
        if is_older(&run, collected.since) && !collected.runs.contains(&run) && is_log_kept(&cache.runs(), &run) {
            logs.add(forget_log(&cache.runs(), &run, !cache.is_writable())?);
        }
    }
    Ok(logs)
}
