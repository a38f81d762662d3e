//! What was observed beside what the reference says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value as Json;

use crate::play::{Difference, Expectation};
use crate::project::Project;
use crate::reference::{Ask, Observed};
use crate::space::{Answer, Snapshot};
use crate::value::{self, File, Folder, Value};

/// A dry run's states, exit code and counts.
pub(crate) fn dry(expectation: &Expectation, answer: &Answer) -> Result<(), Difference> {
    if answer.code == Some(2) && (expectation.error || expectation.perhaps_error) {
        return Ok(());
    }
    if expectation.error || answer.code != Some(0) {
        return Err(format!("exit code {:?}, an error is expected: {}", answer.code, expectation.error));
    }
    states(expectation, answer)?;
    let count =
        |wanted: &[&str]| answer.states.values().filter(|state| wanted.contains(&state.as_str())).count() as u64;
    counts(answer, [count(&["runs", "may-run"]), count(&["cached"]), 0, count(&["skipped"])])
}

fn states(expectation: &Expectation, answer: &Answer) -> Result<(), Difference> {
    for (name, expected) in &expectation.expected {
        match answer.states.get(name) {
            Some(state) if *state == expected.state => {}
            None if expectation.soft => {}
            state => return Err(format!("{name} is {state:?}, and should be {:?}", expected.state)),
        }
    }
    match answer.states.keys().find(|name| !expectation.expected.contains_key(*name)) {
        Some(name) => Err(format!("{name} takes no part, and is {}", answer.states[name])),
        None => Ok(()),
    }
}

fn counts(answer: &Answer, wanted: [u64; 4]) -> Result<(), Difference> {
    if answer.counts == Some(wanted) {
        return Ok(());
    }
    Err(format!("it counts {:?} (ran, cached, failed, skipped), and should {wanted:?}", answer.counts))
}

/// A run's states, exit code, counts and executions.
pub(crate) fn run(
    expectation: &Expectation,
    answer: &Answer,
    observed: &Observed,
    late: bool,
) -> Result<(), Difference> {
    states(expectation, answer)?;
    let count = |wanted: &str| answer.states.values().filter(|state| *state == wanted).count() as u64;
    counts(answer, ["ran", "cached", "failed", "skipped"].map(count))?;
    let code = i32::from(count("failed") > 0);
    if answer.code != Some(code) {
        return Err(format!("exit code {:?}, and should be {code}", answer.code));
    }
    executions(expectation, observed, usize::from(late))
}

/// What was executed how often; `late` is for the lines that tasks of a killed run may still write.
fn executions(expectation: &Expectation, observed: &Observed, late: usize) -> Result<(), Difference> {
    let mut allowed: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for expected in expectation.expected.values() {
        let entry = allowed.entry(&expected.logged).or_default();
        entry.0 += expected.executions.0;
        entry.1 += expected.executions.1;
    }
    for name in allowed.keys().copied().chain(observed.executed.keys().map(String::as_str)) {
        let (least, most) = allowed.get(name).copied().unwrap_or_default();
        let times = observed.executed.get(name).copied().unwrap_or_default();
        if times < least || times > most + late {
            return Err(format!("{name} was executed {times} times, and should be {least} to {most}"));
        }
    }
    Ok(())
}

/// A call that starts nothing.
pub(crate) fn nothing_started(answer: &Answer, observed: &Observed, late: bool) -> Result<(), Difference> {
    let executed = &observed.executed;
    if answer.code != Some(2) || !executed.is_empty() && !late {
        return Err(format!(
            "a source is missing; exit code {:?}, executed {executed:?}\n{}",
            answer.code, answer.text
        ));
    }
    Ok(())
}

/// What was foretold holds: `runs` runs, `cached` is cached.
pub(crate) fn foretold(dry: &Answer, run: &Answer, ask: &Ask) -> Result<(), Difference> {
    let stopped = !ask.keep_going && run.states.values().any(|state| state == "failed");
    for (name, state) in &dry.states {
        let after = run.states.get(name).map(String::as_str);
        let holds = match state.as_str() {
            "runs" => matches!(after, Some("ran" | "failed")) || stopped && after == Some("skipped"),
            "cached" | "skipped" => after == Some(state),
            _ => true,
        };
        if !holds {
            return Err(format!("{name} was foretold as {state}, and is {after:?}\n{}\n{}", dry.text, run.text));
        }
    }
    Ok(())
}

/// The two answers as one: what ran in either ran.
pub(crate) fn merged(answers: &[Answer; 2], executed: BTreeMap<String, usize>) -> Observed {
    let mut states = answers[0].states.clone();
    for (name, state) in &answers[1].states {
        let first = states.entry(name.clone()).or_insert_with(|| state.clone());
        if state == "ran" {
            first.clone_from(state);
        }
    }
    Observed { states, executed }
}

/// What one of two runs has made may show the other that a source is missing before it starts anything; the first fails there.
pub(crate) fn late_refusal(answers: &mut [Answer; 2]) {
    let failed = |answer: &Answer| answer.states.values().any(|state| state == "failed");
    for (one, other) in [(0, 1), (1, 0)] {
        let refused = answers[one].code == Some(2) && answers[one].text.contains("is not there");
        if refused && failed(&answers[other]) {
            answers[one].states = answers[other].states.clone();
        }
    }
}

/// Two runs: each instance is executed once by one of them, but for what fails or is never cached.
pub(crate) fn two(
    expectation: &Expectation,
    answers: &[Answer; 2],
    observed: &Observed,
    (late, project): (bool, &Project),
    ask: &Ask,
) -> Result<(), Difference> {
    let mut expected = expectation.expected.clone();
    for (name, expected) in &mut expected {
        let task = name.split('[').next().unwrap_or_default();
        let task = project.tasks.iter().position(|decl| decl.name == task).unwrap();
        let twice = expected.state == "failed" || project.tasks[task].never_cached || ask.force.contains(&task);
        expected.executions.1 *= if twice { 2 } else { 1 };
        let states: Vec<&str> =
            answers.iter().map(|answer| answer.states.get(name).map_or("", String::as_str)).collect();
        let fits = match expected.state.as_str() {
            "ran" => states.contains(&"ran") && states.iter().all(|state| matches!(*state, "ran" | "cached")),
            state => states.iter().all(|other| *other == state || expectation.soft && other.is_empty()),
        };
        if !fits {
            return Err(format!("{name} is {states:?}, and should be {}", expected.state));
        }
    }
    let expectation = Expectation { expected, error: false, perhaps_error: false, soft: expectation.soft };
    executions(&expectation, observed, usize::from(late))
}

/// The bytes in the cache are those that the reference computes.
pub(crate) fn outputs(cache: &Path, expectation: &Expectation, answer: &Answer) -> Result<(), Difference> {
    for (name, key) in &answer.keys {
        let (Some(outputs), true) = (expectation.outputs(name), key.len() > 2) else { continue };
        let recorded = manifest(cache, key).ok_or_else(|| format!("{name} has no manifest for key {key}"))?;
        for (output, value) in outputs {
            let hash = recorded["outputs"][output]["hash"].as_str().unwrap_or_default().to_owned();
            let stored = object(cache, &hash, recorded["outputs"][output]["folder"] == true);
            if stored.as_ref() != Some(value) {
                return Err(format!("output {output} of {name} is {stored:?}, and should be {value:?}"));
            }
        }
    }
    Ok(())
}

/// The newest manifest of a key.
fn manifest(cache: &Path, key: &str) -> Option<Json> {
    let folder = cache.join("results").join(&key[..2]);
    let mut newest = None;
    for number in 0.. {
        let name = if number == 0 { format!("{key}.json") } else { format!("{key}.{number}.json") };
        match std::fs::read(folder.join(&name)).or_else(|_| std::fs::read(folder.join(&name[2..]))) {
            Ok(bytes) => newest = Some(serde_json::from_slice(&bytes).unwrap()),
            Err(_) => break,
        }
    }
    newest
}

/// What an object holds.
fn object(cache: &Path, hash: &str, folder: bool) -> Option<Value> {
    let text =
        |hash: &str| std::fs::read_to_string(cache.join("objects").join(hash.get(..2)?).join(hash.get(2..)?)).ok();
    let own = text(hash)?;
    if !folder {
        return Some(value::file(own));
    }
    let listing: BTreeMap<String, Json> = serde_json::from_str(&own).ok()?;
    let mut found = Folder::new();
    for (path, entry) in listing {
        let file = match entry["hash"].as_str() {
            Some(hash) => Some(File { text: text(hash)?, executable: false }),
            None => None,
        };
        found.insert(path, file);
    }
    Some(Value::Folder(found))
}

/// What lies at published paths is what it should be.
pub(crate) fn published(project: &Path, published: &BTreeMap<String, Value>) -> Result<(), Difference> {
    for (path, value) in published {
        let there = value::read(&project.join(path));
        if there.as_ref() != Some(value) {
            return Err(format!("at {path} lies {there:?}, and should {value:?}"));
        }
    }
    Ok(())
}

/// No value of a secret variable is anywhere in the cache.
pub(crate) fn no_secret(cache: &Path, project: &Project) -> Result<(), Difference> {
    let Some(secret) = project.env.get("SECRET").filter(|secret| secret.len() > 8) else { return Ok(()) };
    let mut folders = vec![cache.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read(&path)
                .is_ok_and(|bytes| bytes.windows(secret.len()).any(|w| w == secret.as_bytes()))
            {
                return Err(format!("the secret is in {}", path.display()));
            }
        }
    }
    Ok(())
}

/// Which paths differ between two looks.
pub(crate) fn changed(before: &Snapshot, after: &Snapshot) -> String {
    let paths: BTreeSet<_> =
        before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).collect();
    format!("{paths:?}")
}
