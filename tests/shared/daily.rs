//! The flow `daily` with eight trainings, from the cache of another run, with a runner that is killed in the middle: the same on
//! this machine and on clusters. `ghtrader-tasks` has to be built: `./x test` does.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::space::{Counts, answer, files_below, results, wait_for};
use crate::store::{Machine, Place};

const MARKET: &str = include_str!("../markets/small/market.yaml");

/// Four horizons and two models.
const EIGHT: [&str; 6] = ["-p", "market=market", "-p", "horizons=[5, 10, 20, 50]", "-p", "models=[logistic, lightgbm]"];
/// Trainings, evaluations, promotions, and the summary.
const AFTER: usize = 8 + 8 + 4 + 1;

/// The program, with tasks that leave a line when they begin, and one when they have ended well.
struct Programs(tempfile::TempDir);

impl Programs {
    fn new() -> Self {
        let own = Path::new(env!("CARGO_BIN_EXE_ghtrader"));
        let release = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/release/ghtrader-tasks");
        let tasks = [own.with_file_name("ghtrader-tasks"), release].into_iter().find(|path| path.is_file());
        let tasks = tasks.expect("ghtrader-tasks is not built: run ./x test, or ./x build first");
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(own, folder.path().join("ghtrader")).unwrap();
        let wrapper = folder.path().join("ghtrader-tasks");
        let text = format!(
            r#"#!/bin/sh
[ "$1" = run ] || exec '{0}' "$@"
task=$(basename "$(dirname "$GHTRADER_TASK")")
echo "$task" >>'{1}/begun'
'{0}' "$@" || exit
echo "$task" >>'{1}/ended'
"#,
            tasks.display(),
            folder.path().display()
        );
        std::fs::write(&wrapper, text).unwrap();
        std::fs::set_permissions(wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    /// `ghtrader run daily …` on a machine.
    fn command(&self, machine: &Machine, args: &[&str]) -> Command {
        let usual = machine.command(&[&["run", "daily"], &EIGHT[..], args].concat());
        let mut command = Command::new(self.0.path().join("ghtrader"));
        command.args(usual.get_args()).current_dir(machine.space.root()).stdin(Stdio::null());
        for (name, value) in usual.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.0.path().join(file)).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    fn forget(&self) {
        for file in ["begun", "ended"] {
            let _ = std::fs::remove_file(self.0.path().join(file));
        }
    }
}

/// A machine with the flow, of which a training wants a device.
fn machine(place: &Place<'_>, alone: bool) -> Machine {
    let flow = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("flows/daily.yaml")).unwrap();
    let flow = flow.replacen("    uses: train\n", "    uses: train\n    resources: { gpu: 1 }\n", 1);
    assert!(flow.contains("gpu: 1"));
    let machine = if alone { place.alone("tasks: {}\n") } else { place.machine("tasks: {}\n") };
    machine.space.write("flows/daily.yaml", &flow);
    let market = MARKET.replacen("days: 10, rows: 4000", "days: 6, rows: 1500", 1);
    assert_ne!(market, MARKET);
    machine.space.write("market/market.yaml", &market);
    machine
}

/// What its cache has, of each key one execution.
fn executed(machine: &Machine) -> BTreeMap<String, BTreeMap<String, Value>> {
    let results = results(&machine.space.path("cache"));
    assert_eq!(results.len(), files_below(&machine.space.path("cache/v1/results")).len(), "a key was executed twice");
    results
}

/// Runs it on the executor that `on` names. `goes_on`: what runs there outlives the runner.
pub(crate) fn from_the_cache_of_another_run(place: &Place<'_>, on: impl Fn(&mut Command), goes_on: bool) {
    let programs = Programs::new();
    let whole = machine(place, true);
    let answered = answer(&mut programs.command(&whole, &["--gpus", "4"]));
    assert_eq!(answered.code, 0, "{answered:#?}");
    let before = answered.counts().0 - AFTER;
    let other = machine(place, false);
    let answered = answer(&mut programs.command(&other, &["build", "--gpus", "4"]));
    assert_eq!((answered.code, answered.counts()), (0, Counts(before, 0, 0, 0)), "{answered:#?}");

    programs.forget();
    let here = machine(place, false);
    let mut command = programs.command(&here, &[]);
    on(&mut command);
    let mut run = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("some trainings", || programs.lines("ended").len() >= 3 && programs.lines("begun").len() >= 5);
    run.kill().unwrap();
    run.wait().unwrap();
    // On this machine, what it had started ends with it.
    std::thread::sleep(Duration::from_millis(500));
    let unrecorded = before + programs.lines("ended").len() - executed(&here).len();
    let mut command = programs.command(&here, &[]);
    on(&mut command);
    let answered = answer(&mut command);
    assert_eq!(answered.code, 0, "{answered:#?}");
    let Counts(ran, cached, 0, 0) = answered.counts() else { panic!("{answered:#?}") };
    assert_eq!(ran + cached, before + AFTER);

    let (begun, ended) = (programs.lines("begun"), programs.lines("ended"));
    let mut once = ended.clone();
    once.dedup();
    assert_eq!(once.len(), AFTER, "{once:#?}");
    if goes_on {
        assert_eq!((&begun, &ended), (&once, &once), "something ran twice");
    } else {
        // What had ended, and was not recorded yet when the runner was killed, is all that may.
        assert_eq!(ended.len(), AFTER + unrecorded, "something that was recorded ran again");
    }
    assert_eq!(executed(&here), executed(&whole));
}
