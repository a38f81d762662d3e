//! What `ghtrader run` is asked, and what follows from that alone.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{CliError, FlowArgs, Format, Project, completions};
use crate::diagnostic::Diagnostic;
use crate::flow::units;
use crate::graph::Selector;
use crate::machine::{Declared, Devices};
use crate::report::{Call, Human, Json, Reporter, Style};

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) flow: FlowArgs,
    /// A task, or instances of it (`build[day=2022-*]`); `TASK+` also what depends on it
    #[arg(value_name = "TASK", add = completions::tasks())]
    pub(super) tasks: Vec<String>,
    /// Show the plan and the reason for every task; write nothing
    #[arg(short = 'n', long)]
    pub(super) dry_run: bool,
    /// Run again whenever the flow or an input changes
    #[arg(long)]
    pub(super) watch: bool,
    /// On a failure, finish what does not depend on it
    #[arg(short, long)]
    pub(super) keep_going: bool,
    /// Run it although a result is recorded
    #[arg(long, value_name = "TASK", add = completions::tasks())]
    pub(super) force: Vec<String>,
    /// At most N tasks at once [default: the cores; 1000 on a cluster]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) jobs: Option<u32>,
    /// What the machine is taken to have [default: `ghtrader.yaml`, or what it has]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) cpus: Option<u32>,
    /// What the machine is taken to have, e.g. `16GiB` [default: likewise]
    #[arg(long, value_name = "SIZE")]
    pub(super) memory: Option<String>,
    /// Devices: how many, or their indices (`2,5`) [default: those that are there]
    #[arg(long, value_name = "N or LIST")]
    pub(super) gpus: Option<String>,
    /// How long to wait for a lock held elsewhere [default: for ever]
    #[arg(long, value_name = "DURATION")]
    pub(super) wait_locks: Option<String>,
    /// Do not wait for locks
    #[arg(long, conflicts_with = "wait_locks")]
    pub(super) no_wait: bool,
    /// Where tasks run
    #[arg(long, value_enum, default_value_t = ExecutorName::Local)]
    pub(super) executor: ExecutorName,
    /// People, or one JSON event a line
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(super) format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ExecutorName {
    /// On this machine
    Local,
    /// On the nodes of a Slurm, which have to see the project's folder and the cache under the same paths
    Slurm,
    /// On the nodes of a Ray (`RAY_API_SERVER_ADDRESS`), which have to see the same
    Ray,
}

pub(super) fn reporter(project: &Project, args: &RunArgs) -> Box<dyn Reporter> {
    match args.format {
        Format::Json => Box::new(Json),
        Format::Human => Box::new(Human::new(Style { call: call(project, args), ..project.style.clone() })),
    }
}

/// What has to be said again to run one of the tasks again as they were run.
fn call(project: &Project, args: &RunArgs) -> Call {
    let mut flow = vec![args.flow.flow.clone()];
    let mut add =
        |name: &str, value: Option<String>| flow.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    args.flow.params.iter().for_each(|param| add("-p", Some(param.clone())));
    add("--params", args.flow.params_file.as_ref().map(|path| path.display().to_string()));
    add("--cpus", args.cpus.map(|cpus| cpus.to_string()));
    add("--memory", args.memory.clone());
    add("--gpus", args.gpus.clone());
    let executor = args.executor.to_possible_value().filter(|_| args.executor != ExecutorName::Local);
    add("--executor", executor.map(|name| name.get_name().to_owned()));
    Call { global: project.given.clone(), flow }
}

pub(super) fn selectors(texts: &[String]) -> Result<Vec<Selector>, CliError> {
    texts.iter().map(|text| text.parse().map_err(|error: Diagnostic| CliError::Invalid(vec![error]))).collect()
}

/// What this call says that the machine has.
pub(super) fn declared(args: &RunArgs) -> Result<Declared, CliError> {
    let memory = args.memory.as_deref().map(|text| match text.parse::<u64>() {
        // As in a flow.
        Ok(bytes) => Ok(bytes),
        Err(_) => {
            units::size(text).map_err(|what| CliError::usage(format!("`--memory {text}` {what}"), "e.g. `16GiB`"))
        }
    });
    Ok(Declared {
        cpus: args.cpus.map(f64::from),
        memory: memory.transpose()?,
        devices: devices(args.gpus.as_deref())?,
        ..Declared::default()
    })
}

/// `4` declares devices 0–3, `2,5` those two, `2,` the one.
pub(super) fn devices(text: Option<&str>) -> Result<Option<Devices>, CliError> {
    const EXAMPLE: &str = "e.g. `--gpus 4` or `--gpus 2,5`; `--gpus 0` declares none";
    let Some(text) = text else { return Ok(None) };
    let wrong = |what: String| CliError::usage(format!("`--gpus {text}` {what}"), EXAMPLE);
    let number =
        |text: &str| text.parse::<u32>().map_err(|_| wrong("is neither a number nor a list of indices".into()));
    let text = text.trim();
    let listed = text.strip_suffix(',').unwrap_or(text);
    if listed.is_empty() {
        return Err(CliError::usage("`--gpus` names no devices: a variable that is not set?", EXAMPLE));
    }
    if !text.contains(',') {
        return match number(text) {
            Ok(count) if count <= Devices::MOST => Ok(Some(Devices::Count(count))),
            Err(error) if !text.chars().all(|c| c.is_ascii_digit()) => Err(error),
            _ => Err(wrong(format!("is more than {} devices", Devices::MOST))),
        };
    }
    let mut devices = BTreeMap::new();
    for index in listed.split(',').map(str::trim) {
        if devices.insert(number(index)?, None).is_some() {
            return Err(wrong(format!("names the device {index} twice")));
        }
    }
    Ok(Some(Devices::Listed(devices)))
}

pub(super) fn wait(args: &RunArgs) -> Result<Option<Duration>, CliError> {
    match &args.wait_locks {
        _ if args.no_wait => Ok(Some(Duration::ZERO)),
        None => Ok(None),
        Some(text) => units::duration(text)
            .map(Some)
            .map_err(|what| CliError::usage(format!("`--wait-locks {text}` {what}"), "e.g. `10m`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_declared_by_their_number_or_one_by_one() {
        let listed = |indices: &[u32]| Some(Devices::Listed(indices.iter().map(|index| (*index, None)).collect()));
        for (text, expected) in [
            ("0", Some(Devices::Count(0))),
            ("1024", Some(Devices::Count(1024))),
            ("2,", listed(&[2])),
            (" 5, 2", listed(&[2, 5])),
            ("2000,", listed(&[2000])),
        ] {
            assert_eq!(devices(Some(text)).unwrap(), expected, "{text}");
        }
        assert_eq!(devices(None).unwrap(), None);
        for (text, told) in [
            ("", "`--gpus` names no devices"),
            (" ", "`--gpus` names no devices"),
            (",", "`--gpus` names no devices"),
            ("2,2", "`--gpus 2,2` names the device 2 twice"),
            ("1025", "`--gpus 1025` is more than 1024 devices"),
            ("99999999999", "`--gpus 99999999999` is more than 1024 devices"),
            (",2", "is neither a number nor a list of indices"),
            ("2,,5", "is neither a number nor a list of indices"),
            ("-1", "is neither a number nor a list of indices"),
            ("all", "is neither a number nor a list of indices"),
        ] {
            let error = match devices(Some(text)) {
                Err(CliError::Invalid(errors)) => errors[0].message.clone(),
                other => panic!("{text}: {other:?}"),
            };
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
