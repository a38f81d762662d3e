//! The trait of a kind, and its erased form.

use anyhow::Context as _;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Job, KindSpec, Probe, Request, Result, describe};

/// A kind of task: a function from files to files.
///
/// `Inputs` and `Outputs` are structs of path types ([`crate::InputFile`] …); an `Option` field of `Inputs` is an
/// optional input. `Params` is the shape of `with`; its serde defaults are the defaults of the flow language, so they
/// have to be part of the schema (`#[serde(default)]` on a struct that implements `Serialize` does that).
/// Unknown fields should be errors (`#[serde(deny_unknown_fields)]`).
pub trait Task {
    /// The name for `uses`.
    const NAME: &'static str;
    /// One line for people.
    const ABOUT: &'static str;
    /// Whether results lie outside the cache, so that [`Task::probe`] has to be asked before one is trusted.
    const PROBES: bool = false;
    /// Whether the bytes depend on what it runs on, processor or device: then that is part of its key. Only a task with
    /// `gpu: { optional: true }` can run on either.
    const DEVICE_DEPENDENT: bool = false;
    /// The parameters (`with`).
    type Params: DeserializeOwned + JsonSchema;
    /// The input files.
    type Inputs: DeserializeOwned + JsonSchema;
    /// The output files.
    type Outputs: DeserializeOwned + JsonSchema;

    /// Computes the outputs. The same parameters, axes and inputs have to give the same bytes.
    ///
    /// # Errors
    /// Anything that a person can act on: it is printed at the end of the task's log.
    fn run(params: Self::Params, inputs: Self::Inputs, outputs: Self::Outputs, job: &Job) -> Result<()>;

    /// Whether what the outputs of an earlier run speak of is still there, unchanged. Asked only where
    /// [`Task::PROBES`] is true.
    ///
    /// # Errors
    /// Where that cannot be found out (a server that does not answer).
    fn probe(_params: Self::Params, _outputs: Self::Outputs) -> Result<Probe> {
        Ok(Probe::Valid)
    }
}

/// A kind without its types.
#[derive(Clone, Copy)]
pub struct Kind {
    /// The name for `uses`.
    pub name: &'static str,
    pub(crate) describe: fn(code: &str) -> Result<KindSpec>,
    pub(crate) run: fn(&Request) -> Result<()>,
    pub(crate) probe: fn(&Request) -> Result<Probe>,
}

/// `T` without its types.
pub fn kind<T: Task>() -> Kind {
    Kind { name: T::NAME, describe: describe::<T>, run: run::<T>, probe: probe::<T> }
}

fn describe<T: Task>(code: &str) -> Result<KindSpec> {
    Ok(KindSpec {
        name: T::NAME.to_owned(),
        about: T::ABOUT.to_owned(),
        code: code.to_owned(),
        params: schema::<T::Params>(),
        inputs: describe::inputs(&schema::<T::Inputs>()).with_context(|| format!("inputs of `{}`", T::NAME))?,
        outputs: describe::outputs(&schema::<T::Outputs>()).with_context(|| format!("outputs of `{}`", T::NAME))?,
        probes: T::PROBES,
        device_dependent: T::DEVICE_DEPENDENT,
    })
}

fn run<T: Task>(request: &Request) -> Result<()> {
    let params = decode(&request.params, "parameters (`with`)")?;
    let inputs = decode(&serde_json::to_value(&request.inputs)?, "inputs")?;
    let outputs = decode(&serde_json::to_value(&request.outputs)?, "outputs")?;
    T::run(params, inputs, outputs, &Job::of(request))
}

fn probe<T: Task>(request: &Request) -> Result<Probe> {
    let params = decode(&request.params, "parameters (`with`)")?;
    let outputs = decode(&serde_json::to_value(&request.outputs)?, "outputs")?;
    T::probe(params, outputs)
}

fn decode<T: DeserializeOwned>(value: &Value, what: &str) -> Result<T> {
    serde_json::from_value(value.clone()).with_context(|| format!("the {what} of this request do not fit"))
}

fn schema<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value()
}
