//! Ray, by its Jobs REST API: a submission for each job, one list for all of them, a stop for each. Ray shares out cores, memory
//! and devices (parts of one too), and sets `CUDA_VISIBLE_DEVICES`. Where it is, is said by Ray's own variables.
//!
//! It knows no task: a job is what [`super::cluster`] makes of one. A job costs Ray a second, so it is for long tasks.
//!
//! Source: the REST API of Ray's Jobs (`/api/jobs/`) and of its state (`/api/v0/nodes`), as Ray 2.60 answers.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::ExecuteError;
use super::cluster::{Batch, Cluster, End, JOB, JobState, Refused, Size, quoted};
use crate::resources::Pool;
use crate::text::cause;

/// The variables that say where Ray's dashboard is, in the order in which Ray's own client looks at them.
const VARIABLES: [&str; 2] = ["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"];
const DEFAULT: &str = "http://127.0.0.1:8265";
/// So long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many submissions are on their way at once.
const AT_ONCE: usize = 16;
/// In one batch; Ray has none of its own.
const MOST: usize = 1000;
/// Ray's, where nobody has set `RAY_JOB_STOP_WAIT_TIME_S`.
const GRACE: Duration = Duration::from_secs(3);

/// The Ray that the environment names.
pub(super) struct Ray {
    api: Api,
}

impl Ray {
    /// Looks whether it is there.
    pub(super) fn reach() -> Result<Self, ExecuteError> {
        let api = Api::new()?;
        api.get("/api/version").map_err(|failed| api.unreachable(&failed))?;
        Ok(Self { api })
    }
}

/// What each node has, whether it is free or not.
pub(super) fn nodes() -> Result<Vec<Pool>, ExecuteError> {
    let api = Api::new()?;
    let answer = api.get("/api/v0/nodes?detail=1&limit=10000").map_err(|failed| api.unreachable(&failed))?;
    let nodes = answer.pointer("/data/result/result").and_then(Value::as_array).into_iter().flatten();
    let nodes: Vec<Pool> =
        nodes.filter(|node| node.get("state").is_none_or(|state| state == "ALIVE")).map(node).collect();
    if nodes.is_empty() {
        let what = format!("`--executor ray`: the Ray at {} has no nodes", api.address);
        return Err(ExecuteError::Cluster { what, help: "`ray status` shows them".to_owned() });
    }
    Ok(nodes)
}

fn node(node: &Value) -> Pool {
    let has = |name: &str| node.pointer(&format!("/resources_total/{name}")).and_then(Value::as_f64).unwrap_or(0.0);
    let devices: Vec<u32> = (0..has("GPU") as u32).collect();
    Pool::new(has("CPU"), has("memory") as u64, &devices)
}

/// A job, as Ray lists it.
#[derive(Debug, Deserialize)]
struct Listed {
    submission_id: Option<String>,
    status: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    error_type: Option<String>,
}

impl Cluster for Ray {
    fn name(&self) -> &'static str {
        "Ray"
    }

    fn most(&self) -> usize {
        MOST
    }

    fn grace(&self) -> Duration {
        GRACE
    }

    fn rounds(&self, _: &Size) -> Option<String> {
        None
    }

    fn submit(&mut self, batch: &Batch<'_>) -> Result<(), Refused> {
        let jobs = (0..batch.count).map(|index| submission(batch, index));
        self.api.post_all("/api/jobs/", jobs.collect())
    }

    fn ask(&mut self, batches: &BTreeSet<&str>) -> Result<BTreeMap<(String, u32), JobState>, String> {
        let answer = self.api.get("/api/jobs/").map_err(|failed| failed.to_string())?;
        let listed: Vec<Value> =
            serde_json::from_value(answer).map_err(|error| format!("it gives no list: {error}"))?;
        // Of other kinds of jobs nothing has to be understood.
        let jobs = listed.into_iter().filter_map(|job| serde_json::from_value::<Listed>(job).ok());
        Ok(jobs.filter_map(|job| Some((place(job.submission_id.as_deref()?, batches)?, state(&job)?))).collect())
    }

    fn cancel(&mut self, jobs: &[(&str, u32)]) -> Result<(), String> {
        let stops = jobs.iter().map(|(batch, index)| format!("/api/jobs/{batch}-{index}/stop"));
        self.api.stop_all(stops.collect())
    }
}

/// How a job of a batch is submitted.
fn submission(batch: &Batch<'_>, index: usize) -> Value {
    let Size { cpus, memory, devices, .. } = batch.size;
    let mut entrypoint = "exec".to_owned();
    for word in batch.command(JOB).into_iter().chain([OsStr::new(&index.to_string())]) {
        entrypoint.push_str(&format!(" {}", quoted(&String::from_utf8_lossy(word.as_bytes()))));
    }
    let said = batch.folder.join(format!("{index}.out"));
    entrypoint.push_str(&format!(" >{} 2>&1", quoted(&said.to_string_lossy())));
    let mut job = json!({
        "submission_id": format!("{}-{index}", batch.name),
        "entrypoint": entrypoint,
        "entrypoint_num_cpus": cpus,
        "entrypoint_num_gpus": *devices as f64 / 1000.0,
    });
    if let (Some(bytes), Some(job)) = (memory, job.as_object_mut()) {
        job.insert("entrypoint_memory".to_owned(), json!(bytes));
    }
    job
}

/// The batch and the index of a job of ours.
fn place(id: &str, batches: &BTreeSet<&str>) -> Option<(String, u32)> {
    let (batch, index) = id.rsplit_once('-')?;
    batches.contains(batch).then_some((batch.to_owned(), index.parse().ok()?))
}

/// `None`: it is as if Ray did not know it, and it may be submitted again.
fn state(job: &Listed) -> Option<JobState> {
    // It waited for resources for longer than Ray lets a job wait (15 minutes): that says nothing of the job.
    if job.error_type.as_deref() == Some("JOB_SUPERVISOR_ACTOR_START_TIMEOUT") {
        return None;
    }
    let how = match job.error_type.as_deref() {
        Some(kind) => format!("{}, {kind}", job.status),
        None => job.status.clone(),
    };
    Some(match job.status.as_str() {
        "PENDING" => JobState::Waits(String::new()),
        "RUNNING" => JobState::Runs,
        // One that ended well and left nothing found no ticket that was its own. One whose own command failed was at fault
        // itself; of any other, what was to execute it went away.
        "SUCCEEDED" => JobState::Ended(End { how, innocent: true }),
        "FAILED" => {
            let own = "JOB_ENTRYPOINT_COMMAND_ERROR";
            let of_command = |text: &String| text.contains("entrypoint command failed");
            let innocent = job.error_type.as_deref() != Some(own) && !job.message.as_ref().is_some_and(of_command);
            JobState::Ended(End { how, innocent })
        }
        _ => JobState::Ended(End { how, innocent: false }),
    })
}

/// Questions to Ray.
struct Api {
    address: String,
    client: reqwest::Client,
    runtime: Runtime,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
enum Failed {
    /// Nobody answers, or breaks off.
    #[error("{0}")]
    Silent(String),
    /// It answers that it does not do that.
    #[error("{1} ({0})")]
    Said(u16, String),
}

impl Api {
    fn new() -> Result<Self, ExecuteError> {
        let [api, any] = VARIABLES.map(|name| std::env::var(name).ok().filter(|address| !address.is_empty()));
        let api = api.map(|address| if address.contains("://") { address } else { format!("http://{address}") });
        // That may be the address of Ray's own protocols: `127.0.0.1:6379`, `ray://…`.
        let any = any.filter(|address| address.starts_with("http"));
        let address = api.or(any).unwrap_or_else(|| DEFAULT.to_owned());
        let failed =
            |why: String| ExecuteError::Cluster { what: format!("`--executor ray`: {why}"), help: String::new() };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| failed(error.to_string()))?;
        let client = reqwest::Client::builder().timeout(PATIENCE).build().map_err(|error| failed(error.to_string()))?;
        Ok(Self { address: address.trim_end_matches('/').to_owned(), client, runtime })
    }

    fn unreachable(&self, failed: &Failed) -> ExecuteError {
        let what = format!("`--executor ray`: Ray at {} does not answer: {failed}", self.address);
        let help = format!("name its dashboard by {}: http://host:8265", VARIABLES[0]);
        ExecuteError::Cluster { what, help }
    }

    fn get(&self, path: &str) -> Result<Value, Failed> {
        self.runtime.block_on(answer(self.client.get(format!("{}{path}", self.address))))
    }

    /// Submits all of them. What was taken already, by a try that broke off, is taken.
    fn post_all(&self, path: &str, bodies: Vec<Value>) -> Result<(), Refused> {
        let post = |body: Value| self.client.post(format!("{}{path}", self.address)).json(&body);
        let posts = futures_util::stream::iter(bodies).map(|body| answer(post(body))).buffer_unordered(AT_ONCE);
        let answers: Vec<Result<Value, Failed>> = self.runtime.block_on(posts.collect());
        // Of a batch that was taken in part, what Ray does not know is submitted again: that is told by its list.
        if answers.iter().any(Result::is_ok) {
            return Ok(());
        }
        match answers.into_iter().find_map(Result::err) {
            None => Ok(()),
            Some(Failed::Said(_, why)) if why.contains("already exists") => Ok(()),
            Some(Failed::Said(400..500, why)) => Err(Refused::Never(why)),
            Some(failed) => Err(Refused::Later(failed.to_string())),
        }
    }

    fn stop_all(&self, paths: Vec<String>) -> Result<(), String> {
        let post = |path: String| self.client.post(format!("{}{path}", self.address));
        let posts = futures_util::stream::iter(paths).map(|path| answer(post(path))).buffer_unordered(AT_ONCE);
        let answers: Vec<Result<Value, Failed>> = self.runtime.block_on(posts.collect());
        for failed in answers.into_iter().filter_map(Result::err) {
            match failed {
                // What it does not know need not be stopped.
                Failed::Said(404, _) => {}
                failed => return Err(failed.to_string()),
            }
        }
        Ok(())
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Value, Failed> {
    let silent = |error: reqwest::Error| Failed::Silent(cause(&error));
    let answer = request.send().await.map_err(silent)?;
    let status = answer.status();
    let text = answer.text().await.map_err(silent)?;
    if status.is_success() {
        return serde_json::from_str(&text).map_err(|error| Failed::Silent(format!("it answers no JSON: {error}")));
    }
    // A trace of Python's: what it says is its last line that says anything.
    let line = text.lines().rev().map(str::trim).find(|line| line.len() > 1).unwrap_or_default();
    Err(Failed::Said(status.as_u16(), line.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn listed(text: &str) -> Option<JobState> {
        state(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn states_are_told_apart() {
        let end = |how: &str, innocent| Some(JobState::Ended(End { how: how.to_owned(), innocent }));
        let cases = [
            (r#"{"status":"PENDING"}"#, Some(JobState::Waits(String::new()))),
            (r#"{"status":"RUNNING","message":null}"#, Some(JobState::Runs)),
            (r#"{"status":"SUCCEEDED"}"#, end("SUCCEEDED", true)),
            (r#"{"status":"STOPPED"}"#, end("STOPPED", false)),
            (
                r#"{"status":"FAILED","error_type":"JOB_ENTRYPOINT_COMMAND_ERROR"}"#,
                end("FAILED, JOB_ENTRYPOINT_COMMAND_ERROR", false),
            ),
            (r#"{"status":"FAILED","message":"Job entrypoint command failed with exit code 1"}"#, end("FAILED", false)),
            (
                r#"{"status":"FAILED","error_type":"JOB_SUPERVISOR_ACTOR_DIED"}"#,
                end("FAILED, JOB_SUPERVISOR_ACTOR_DIED", true),
            ),
            (r#"{"status":"FAILED","error_type":"JOB_SUPERVISOR_ACTOR_START_TIMEOUT"}"#, None),
        ];
        for (text, expected) in cases {
            assert_eq!(listed(text), expected, "{text}");
        }
    }

    #[test]
    fn a_job_is_found_by_its_name() {
        let batches = BTreeSet::from(["ghtrader-1"]);
        assert_eq!(place("ghtrader-1-12", &batches), Some(("ghtrader-1".to_owned(), 12)));
        for other in ["ghtrader-2-12", "ghtrader-1", "raysubmit_x", "ghtrader-1-x"] {
            assert_eq!(place(other, &batches), None, "{other}");
        }
    }

    #[test]
    fn resources_are_asked_for_as_they_are() {
        let size = Size { cpus: 2, memory: Some(5), devices: 500, timeout: None };
        let (program, jobs, folder) = (Path::new("/it's/ghtrader"), Path::new("/jobs"), Path::new("/jobs/b"));
        let batch = Batch { name: "b", count: 2, size: &size, program, jobs, folder };
        let expected = json!({
            "submission_id": "b-1",
            "entrypoint": r"exec '/it'\''s/ghtrader' '__job' '/jobs' 'b' '1' >'/jobs/b/1.out' 2>&1",
            "entrypoint_num_cpus": 2,
            "entrypoint_num_gpus": 0.5,
            "entrypoint_memory": 5,
        });
        assert_eq!(submission(&batch, 1), expected);
    }

    #[test]
    fn a_node_has_what_ray_says() {
        let text = r#"{"resources_total":{"GPU":4.0,"CPU":16.0,"memory":2000000000.0}}"#;
        assert_eq!(node(&serde_json::from_str(text).unwrap()), Pool::new(16.0, 2_000_000_000, &[0, 1, 2, 3]));
    }
}
