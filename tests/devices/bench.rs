//! Projects whose tasks use devices, runners on them, and what kills them.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How much of the devices a task asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    Half,
    One,
    Two,
    Four,
}

impl Share {
    const ALL: [Self; 4] = [Self::Half, Self::One, Self::Two, Self::Four];

    pub(crate) fn devices(self) -> f64 {
        match self {
            Self::Half => 0.5,
            Self::One => 1.0,
            Self::Two => 2.0,
            Self::Four => 4.0,
        }
    }

    fn task(self) -> &'static str {
        match self {
            Self::Half => "half",
            Self::One => "one",
            Self::Two => "two",
            Self::Four => "four",
        }
    }
}

/// A task that came to its end.
#[derive(Debug)]
pub(crate) struct Execution {
    pub(crate) name: String,
    pub(crate) share: Share,
    pub(crate) begin: f64,
    pub(crate) end: f64,
}

/// How often each share comes.
const ROUNDS: usize = 4;

/// What every task does: it takes its devices by locks of its own (two for a device, a share takes either), sleeps, and
/// leaves a line. ROOT is the bench's folder, I names the task and says for how long it sleeps.
const TASK: &str = r#"
      begin=$EPOCHREALTIME
      take() { local fd; exec {fd}>>"ROOT/devices/$1"; flock -n "$fd"; }
      [ -n "$CUDA_VISIBLE_DEVICES" ] || echo "SHARE-$MATRIX_I has no device" >>"ROOT/wrong"
      for device in ${CUDA_VISIBLE_DEVICES//,/ }; do
          if [ SHARE = half ]; then take "$device.0" || take "$device.1"; else take "$device.0" && take "$device.1"; fi ||
              echo "SHARE-$MATRIX_I finds device $device in use" >>"ROOT/wrong"
      done
      printf -v seconds '%d.%03d' $((${MATRIX_I#*-} / 1000)) $((${MATRIX_I#*-} % 1000))
      sleep "$seconds"
      echo "NUMBER.SHARE-$MATRIX_I SHARE $begin $EPOCHREALTIME" >>"ROOT/done"
"#;

pub(crate) struct Bench {
    folder: tempfile::TempDir,
    /// For how long tasks sleep, in milliseconds.
    sleep: Range<u64>,
}

/// A project, and the runner on it while there is one.
pub(crate) struct Runner<'b> {
    bench: &'b Bench,
    number: usize,
    child: Option<Child>,
    done: bool,
}

impl Bench {
    pub(crate) fn new(sleep: Range<u64>) -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap(), sleep };
        std::fs::create_dir(bench.path("devices")).unwrap();
        bench
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    pub(crate) fn leases(&self) -> PathBuf {
        self.path("leases")
    }

    /// A project with tasks of all shares.
    pub(crate) fn runner(&self, number: usize, tasks: usize) -> Runner<'_> {
        self.runner_of(number, tasks, &Share::ALL)
    }

    /// A project with tasks of these shares, equally many of each, which come in rounds.
    pub(crate) fn runner_of(&self, number: usize, tasks: usize, shares: &[Share]) -> Runner<'_> {
        let mut flow = "tasks:\n".to_owned();
        // Spread evenly, and the same in every run.
        let length = |task: usize| {
            let spread = ((task as u64 * 2_654_435_761) >> 7) % (self.sleep.end - self.sleep.start);
            self.sleep.start + spread
        };
        let rounds =
            (0..ROUNDS).flat_map(|round| shares.iter().enumerate().map(move |(place, share)| (round, place, share)));
        for (round, place, share) in rounds {
            let own = (0..tasks).filter(|task| task % shares.len() == place && task / shares.len() % ROUNDS == round);
            let names: Vec<String> = own.map(|task| format!("{task}-{}", length(task + 1000 * number))).collect();
            if names.is_empty() {
                continue;
            }
            let script = TASK.replace("ROOT", &self.folder.path().display().to_string());
            let script = script.replace("SHARE", share.task()).replace("NUMBER", &number.to_string());
            let (name, gpu) = (share.task(), share.devices());
            flow += &format!(
                "  {name}{round}:\n    run: |{}\n    matrix: {{ i: {names:?} }}\n    resources: {{ cpu: 0, gpu: {gpu} }}\n",
                script.trim_end()
            );
        }
        let project = self.path(&format!("project{number}"));
        std::fs::create_dir_all(project.join("flows")).unwrap();
        std::fs::write(project.join("flows/test.yaml"), flow).unwrap();
        Runner { bench: self, number, child: None, done: false }
    }

    /// What came to its end so far.
    pub(crate) fn executions(&self) -> Vec<Execution> {
        let text = std::fs::read_to_string(self.path("done")).unwrap_or_default();
        let line = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let share = Share::ALL.into_iter().find(|one| one.task() == words[1]).unwrap();
            let (begin, end) = (words[2].parse().unwrap(), words[3].parse().unwrap());
            Execution { name: words[0].to_owned(), share, begin, end }
        };
        text.lines().map(line).collect()
    }

    /// That no task found its devices in use.
    pub(crate) fn assert_in_order(&self) {
        assert_eq!(std::fs::read_to_string(self.path("wrong")).unwrap_or_default(), "");
    }

    pub(crate) fn wait_until(&self, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < Duration::from_secs(60), "in vain");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn wait_for_executions(&self, count: usize) {
        self.wait_until(|| self.executions().len() >= count);
    }

    /// Kills, in turn: a runner, one of its tasks, its supervisor, the runner and its supervisor. Whether there was one.
    pub(crate) fn kill_something(&self, runners: &mut [Runner<'_>], turn: usize) -> bool {
        let living: Vec<&mut Runner<'_>> = runners.iter_mut().filter(|runner| runner.child.is_some()).collect();
        let Some(runner) = (!living.is_empty()).then(|| &living[turn % living.len()]) else { return false };
        let Some(child) = &runner.child else { return false };
        let supervisors: Vec<u32> =
            children(child.id()).into_iter().filter(|pid| command_line(*pid).contains("__supervise")).collect();
        let tasks: Vec<u32> = supervisors.iter().flat_map(|supervisor| children(*supervisor)).collect();
        let victims: Vec<u32> = match turn % 4 {
            0 => vec![child.id()],
            1 => tasks.first().copied().into_iter().collect(),
            2 => supervisors,
            _ => supervisors.into_iter().chain([child.id()]).collect(),
        };
        victims.iter().for_each(|pid| signal(*pid, "KILL"));
        !victims.is_empty()
    }

    /// Processes that have to do with this bench.
    pub(crate) fn survivors(&self) -> Vec<u32> {
        let mark = self.folder.path().display().to_string();
        let of_this = |pid: &u32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(&mark)
        };
        processes().filter(of_this).collect()
    }
}

impl Runner<'_> {
    fn project(&self) -> PathBuf {
        self.bench.path(&format!("project{}", self.number))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ghtrader"));
        command.args(args).current_dir(self.project()).stdin(Stdio::null());
        command.env("GHTRADER_LEASES", self.bench.leases()).env_remove("GHTRADER_CACHE");
        command
    }

    pub(crate) fn start(&mut self) {
        let said = std::fs::File::options().create(true).append(true).open(self.project().join("said")).unwrap();
        let mut command = self.command(&["run", "test", "--gpus", "4", "--jobs", "16", "--keep-going"]);
        self.child = Some(command.stdout(Stdio::null()).stderr(said).spawn().unwrap());
    }

    /// What all runners of the project said.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.project().join("said")).unwrap_or_default()
    }

    /// The exit code, if the runner ends in time.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if let Some(status) = self.child.as_mut()?.try_wait().unwrap() {
                self.child = None;
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// Interrupts the runner twice, and waits for it.
    pub(crate) fn stop(&mut self) {
        let Some(child) = &mut self.child else { return };
        for _ in 0..2 {
            signal(child.id(), "INT");
            std::thread::sleep(Duration::from_millis(100));
        }
        child.wait().unwrap();
        self.child = None;
    }

    /// Whether all has run; a runner that was killed, or whose tasks were, is followed by another one.
    pub(crate) fn is_up_to_date(&mut self) -> bool {
        if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().unwrap()) {
            self.child = None;
            self.done = status.success();
        }
        if self.child.is_none() && !self.done {
            self.start();
        }
        self.done
    }

    /// What a command prints.
    pub(crate) fn call(&self, args: &[&str]) -> String {
        String::from_utf8(self.command(args).output().unwrap().stdout).unwrap()
    }
}

impl Drop for Runner<'_> {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn signal(pid: u32, signal: &str) {
    // It may have ended meanwhile.
    let _ = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).stderr(Stdio::null()).status();
}

fn processes() -> impl Iterator<Item = u32> {
    std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
}

fn children(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = stat.rsplit_once(") ").map(|(_, after)| after.to_owned()).unwrap_or_default();
        after.split(' ').nth(1) == Some(&parent.to_string())
    };
    processes().filter(is_child).collect()
}

fn command_line(pid: u32) -> String {
    let line = std::fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).into_owned()
}
