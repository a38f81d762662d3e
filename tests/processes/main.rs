//! Tasks as processes: that all of a task ends, and its locks with it, whatever is killed.

#![allow(clippy::unwrap_used, reason = "in a test, what fails is to fail it")]
#![allow(clippy::print_stderr, reason = "what a test cannot see here, it says")]

mod killed;
mod memory;
mod output;

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use fs_err as fs;
use ghtrader::execute::{ExecEvent, Executor as _, Exit, Job, LocalExecutor, Usage};
use ghtrader::locks::{Attempt, Held, Holder, LockRequest, Locks};

const GHTRADER: &str = env!("CARGO_BIN_EXE_ghtrader");
/// Long enough for a shell to handle SIGTERM, short enough for a test.
const GRACE: Duration = Duration::from_millis(700);
const LONG: Duration = Duration::from_secs(20);

/// A folder for tasks, and an executor for them.
struct Bench {
    folder: tempfile::TempDir,
    executor: LocalExecutor,
    events: Receiver<ExecEvent>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (executor, events) = LocalExecutor::with(Path::new(GHTRADER), &scratch(folder.path()), GRACE).unwrap();
        Self { folder, executor, events }
    }

    fn job(&self, id: u64, script: &str) -> Job {
        job(self.folder.path(), id, script)
    }

    fn run(&self, id: u64, script: &str) -> (Exit, Usage) {
        self.executor.start(self.job(id, script));
        self.exit(id)
    }

    /// Waits for the end of a job.
    fn exit(&self, id: u64) -> (Exit, Usage) {
        loop {
            if let ExecEvent::Exited { id: ended, exit, usage, .. } = self.events.recv_timeout(LONG).unwrap()
                && ended == id
            {
                return (exit, usage);
            }
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn scratch(folder: &Path) -> PathBuf {
    folder.join("scratch")
}

fn job(folder: &Path, id: u64, script: &str) -> Job {
    let mark = scratch(folder).join(id.to_string()).join("request.json");
    Job {
        id,
        wanted: None,
        argv: ["/bin/bash", "-c", script].map(OsString::from).to_vec(),
        env: vec![("PATH".into(), std::env::var_os("PATH").unwrap_or_default()), ("GHTRADER_TASK".into(), mark.into())],
        secrets: Vec::new(),
        cwd: folder.to_owned(),
        log: folder.join(format!("{id}.log")),
        locks: Vec::new(),
        timeout: None,
        memory: None,
        apart: false,
    }
}

/// Writes its own number into `$1`, ignores what `$2` says, and stays.
const STAY: &str = r#"trap "" $2; echo $BASHPID > "$1.new"; mv "$1.new" "$1"; while :; do sleep 0.05; done"#;

/// A shell script that starts `STAY` in ways that leave the process group, and waits until all of them run.
fn escapes(signals: &str) -> String {
    format!(
        "export STAY='{STAY}'
         bash -c \"$STAY\" x child '{signals}' &
         setsid bash -c \"$STAY\" x session '{signals}' &
         (setsid bash -c 'bash -c \"$STAY\" x double \"$1\" & exit' x '{signals}' &)
         (setsid env -i PATH=\"$PATH\" bash -c '{STAY}' x bare '{signals}' &)
         until [ -e child -a -e session -a -e double -a -e bare ]; do sleep 0.02; done\n"
    )
}

const ESCAPED: [&str; 4] = ["child", "session", "double", "bare"];

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LONG, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn pid(path: &Path) -> u32 {
    wait_for(&format!("{}", path.display()), || path.exists());
    fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

/// Whether a process runs: one that nobody has waited for yet does not.
fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.starts_with(" Z") && !rest.starts_with(" X"))
}

fn kill(pid: u32) {
    signal("KILL", pid);
}

fn signal(signal: &str, pid: u32) {
    assert!(Command::new("/bin/kill").args(["-s", signal, &pid.to_string()]).status().unwrap().success());
}

fn holder(task: &str) -> Holder {
    Holder {
        pid: std::process::id(),
        host: "here".into(),
        who: "me".into(),
        run: "run".into(),
        task: task.into(),
        since: String::new(),
    }
}

fn take(locks: &Locks, requests: &[LockRequest]) -> Option<Held> {
    match locks.waiter(requests, holder("t")).attempt().unwrap() {
        Attempt::Got(held) => Some(held),
        Attempt::Busy(_) => None,
    }
}

#[test]
fn a_task_reports_and_its_log_keeps_the_rest() {
    let bench = Bench::new();
    let script = "echo one; echo ::progress 1/2 half; echo two >&2; echo ::metric loss=0.25; \
                  echo secret=$HOME-$GHTRADER_X; printf 'no newline'; exit 3";
    bench.executor.start(bench.job(1, script));
    let mut events = Vec::new();
    loop {
        let event = bench.events.recv_timeout(LONG).unwrap();
        let end = matches!(event, ExecEvent::Exited { .. });
        events.push(event);
        if end {
            break;
        }
    }
    assert!(matches!(events.first(), Some(ExecEvent::Started { id: 1, .. })), "{events:?}");
    assert!(events.contains(&ExecEvent::Progress { id: 1, done: 1, total: 2, text: "half".into() }), "{events:?}");
    assert!(events.contains(&ExecEvent::Metric { id: 1, name: "loss".into(), value: 0.25 }), "{events:?}");
    assert!(matches!(events.last(), Some(ExecEvent::Exited { exit: Exit::Code(3), .. })), "{events:?}");
    let log = fs::read_to_string(bench.file("1.log")).unwrap();
    let mut lines: Vec<&str> = log.lines().collect();
    lines.sort_unstable();
    // The environment is the job's and nothing else.
    assert_eq!(lines, ["no newline", "one", "secret=-", "two"]);
}

#[test]
fn usage_counts_all_processes() {
    let bench = Bench::new();
    let burn = "i=0; while [ $i -lt 150000 ]; do i=$((i+1)); done";
    let script = format!("bash -c '{burn}' & x=$(head -c 60000000 /dev/zero | tr '\\0' 'x'); wait");
    let (exit, usage) = bench.run(1, &script);
    assert_eq!(exit, Exit::Code(0));
    assert!(usage.cpu > Duration::from_millis(100) && usage.time > Duration::from_millis(100), "{usage:?}");
    assert!(usage.peak_memory > 50_000_000 && usage.peak_memory < 2_000_000_000, "{usage:?}");
}

#[test]
fn what_cannot_be_started_says_why() {
    let bench = Bench::new();
    let jobs: [fn(&mut Job); 4] = [
        |job| job.argv = vec!["/no/such/program".into()],
        |job| job.cwd = "/no/such/folder".into(),
        |job| job.log = "/no/such/log".into(),
        |job| job.argv.clear(),
    ];
    for (id, (edit, named)) in (1..).zip(jobs.into_iter().zip(["program", "folder", "log", "no program"])) {
        let mut job = bench.job(id, "");
        edit(&mut job);
        bench.executor.start(job);
        let (exit, _) = bench.exit(id);
        assert!(matches!(&exit, Exit::NotStarted(why) if why.contains(named)), "{exit:?}");
    }
    assert_eq!(bench.run(9, "exit 0").0, Exit::Code(0));
}

#[test]
fn a_signal_is_told() {
    assert_eq!(Bench::new().run(1, "kill -SEGV $$").0, Exit::Signal(11));
}

#[test]
fn what_a_task_leaves_running_is_ended_with_it() {
    let bench = Bench::new();
    let (exit, _) = bench.run(1, &escapes("TERM HUP"));
    assert_eq!(exit, Exit::Code(0));
    for name in ESCAPED {
        assert!(!lives(pid(&bench.file(name))), "{name}");
    }
}

#[test]
fn a_stop_reaches_all_and_kills_what_does_not_listen() {
    let bench = Bench::new();
    bench.executor.start(bench.job(1, &format!("{} touch ready; wait", escapes("TERM HUP"))));
    wait_for("the task", || bench.file("ready").exists());
    let start = Instant::now();
    bench.executor.stop(1);
    assert_eq!(bench.exit(1).0, Exit::Stopped);
    assert!(start.elapsed() >= GRACE);
    for name in ESCAPED {
        assert!(!lives(pid(&bench.file(name))), "{name}");
    }
}

#[test]
fn a_stop_lets_a_task_clean_up() {
    let bench = Bench::new();
    bench.executor.start(bench.job(1, "trap 'echo bye; exit 7' TERM; touch ready; while :; do sleep 0.02; done"));
    wait_for("the task", || bench.file("ready").exists());
    let start = Instant::now();
    bench.executor.stop(1);
    assert_eq!(bench.exit(1).0, Exit::Stopped);
    assert!(start.elapsed() < GRACE, "nothing was left to kill");
    assert!(fs::read_to_string(bench.file("1.log")).unwrap().ends_with("bye\n"));
}

#[test]
fn a_timeout_ends_all() {
    let bench = Bench::new();
    let script = format!("{} wait", escapes("TERM HUP"));
    bench.executor.start(Job { timeout: Some(Duration::from_millis(1500)), ..bench.job(1, &script) });
    assert_eq!(bench.exit(1).0, Exit::Timeout);
    for name in ESCAPED {
        assert!(!lives(pid(&bench.file(name))), "{name}");
    }
}

#[test]
fn the_end_of_one_task_spares_what_another_has_left_running_so_far() {
    let bench = Bench::new();
    let other = format!("(setsid bash -c '{STAY}' x daemon HUP &); until [ -e go ]; do sleep 0.02; done");
    bench.executor.start(bench.job(1, &other));
    let daemon = pid(&bench.file("daemon"));
    assert_eq!(bench.run(2, "exit 0").0, Exit::Code(0));
    std::thread::sleep(Duration::from_millis(100));
    assert!(lives(daemon));
    fs::write(bench.file("go"), "").unwrap();
    assert_eq!(bench.exit(1).0, Exit::Code(0));
    assert!(!lives(daemon));
}

#[test]
fn a_lock_is_held_until_the_last_process_has_ended() {
    let bench = Bench::new();
    fs::create_dir(bench.file("locks")).unwrap();
    let locks = Locks::at(bench.file("locks"));
    let requests = [LockRequest::named("table", false), LockRequest::named("read", true)];
    let held = take(&locks, &requests).unwrap();
    let script = format!("(setsid bash -c '{STAY}' x daemon 'TERM HUP' &); until [ -e daemon ]; do sleep 0.02; done");
    bench.executor.start(Job { locks: held.share().unwrap(), ..bench.job(1, &script) });
    drop(held);
    let daemon = pid(&bench.file("daemon"));
    // The main process has ended, the daemon does not listen to SIGTERM.
    while lives(daemon) {
        let free = take(&locks, &requests[..1]).is_some();
        assert!(!free || !lives(daemon), "the lock is free while a process of the task runs");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(bench.exit(1).0, Exit::Code(0));
    assert!(take(&locks, &requests).is_some());
    assert!(locks.list().unwrap().is_empty());
}

#[test]
fn when_only_the_supervisor_is_killed_the_runner_ends_its_tasks() {
    let bench = Bench::new();
    bench.executor.start(bench.job(1, &format!("bash -c '{STAY}' x child HUP")));
    let child = pid(&bench.file("child"));
    kill(bench.executor.supervisor().unwrap());
    assert_eq!(bench.exit(1).0, Exit::Lost);
    assert!(!lives(child));
    assert_eq!(bench.run(2, "exit 0").0, Exit::Code(0), "there is another one");
}

#[test]
fn a_job_with_a_supervisor_of_its_own_ends_nothing_but_itself() {
    let bench = Bench::new();
    bench.executor.start(bench.job(1, "until [ -e go ]; do sleep 0.02; done"));
    bench.executor.start(Job { apart: true, ..bench.job(2, "until [ -e go ]; do sleep 0.02; done") });
    bench.executor.start(Job { apart: true, ..bench.job(3, "kill -KILL $PPID; sleep 60") });
    assert_eq!(bench.exit(3).0, Exit::Lost);
    bench.executor.start(Job { apart: true, ..bench.job(4, "touch ready; sleep 60") });
    wait_for("the task", || bench.file("ready").exists());
    bench.executor.stop(4);
    assert_eq!(bench.exit(4).0, Exit::Stopped);
    fs::write(bench.file("go"), "").unwrap();
    let mut ended = Vec::new();
    while ended.len() < 2 {
        if let ExecEvent::Exited { id, exit, .. } = bench.events.recv_timeout(LONG).unwrap() {
            ended.push((id, exit));
        }
    }
    ended.sort_by_key(|(id, _)| *id);
    assert_eq!(ended, [(1, Exit::Code(0)), (2, Exit::Code(0))]);
}

#[test]
fn many_tasks_at_once_end_each_with_its_own_status() {
    let bench = Bench::new();
    let mut expected = Vec::new();
    for id in 0..60 {
        bench.executor.start(bench.job(id, &format!("echo ::metric id={id}; exit {}", id % 7)));
        expected.push((id, Exit::Code(i32::try_from(id % 7).unwrap())));
    }
    let (mut exits, mut metrics) = (Vec::new(), 0);
    while exits.len() < expected.len() {
        match bench.events.recv_timeout(LONG).unwrap() {
            ExecEvent::Exited { id, exit, .. } => exits.push((id, exit)),
            ExecEvent::Metric { id, value, .. } => {
                assert_eq!(value, id as f64);
                metrics += 1;
            }
            _ => {}
        }
    }
    exits.sort_by_key(|(id, _)| *id);
    assert_eq!((exits, metrics), (expected, 60));
}

/// What a task costs beside its own program. `cargo test --release -- --ignored --nocapture overhead`
#[test]
#[ignore = "a measurement"]
fn overhead() {
    let bench = Bench::new();
    let count = 1000;
    let start = Instant::now();
    for id in 0..count {
        let mut job = bench.job(id, "");
        job.argv = vec!["/bin/true".into()];
        bench.executor.start(job);
        assert_eq!(bench.exit(id).0, Exit::Code(0));
    }
    println!("one after the other: {:.3} ms a task", start.elapsed().as_secs_f64() * 1e3 / count as f64);
    let used = fs::read_to_string(format!("/proc/{}/schedstat", bench.executor.supervisor().unwrap())).unwrap();
    let used: f64 = used.split(' ').next().unwrap().parse().unwrap();
    println!("the supervisor on its CPU: {:.3} ms a task", used / 1e6 / count as f64);
    let on_cpu = || -> f64 {
        let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    let (start, cpu) = (Instant::now(), on_cpu());
    for _ in 0..count {
        assert!(Command::new("/bin/true").process_group(0).status().unwrap().success());
    }
    println!("this thread on its CPU: {:.3} ms", (on_cpu() - cpu) / 1e6 / count as f64);
    println!("std::process alone: {:.3} ms", start.elapsed().as_secs_f64() * 1e3 / count as f64);
}
