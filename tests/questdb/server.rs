//! A QuestDB of a test's own: on a free port, its data in a temporary folder, ended with the test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Server {
    root: PathBuf,
    data: TempDir,
    port: u16,
    environment: Vec<(&'static str, &'static str)>,
    running: Option<Child>,
}

impl Server {
    /// Starts one; `root` is the repository. Why not, where that cannot be.
    pub(crate) fn start(root: &Path) -> Result<Self, String> {
        Self::start_with(root, &[])
    }

    /// The same with variables of QuestDB's.
    pub(crate) fn start_with(root: &Path, environment: &[(&'static str, &'static str)]) -> Result<Self, String> {
        let jars = root.join(".tools/questdb");
        let there = std::fs::read_dir(&jars).into_iter().flatten().flatten();
        if !there.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().ends_with(".jar")) {
            return Err(
                "it is not here: `sh tests/questdb/server.sh install .tools/questdb`, as ./x test does".to_owned()
            );
        }
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).map_err(|e| e.to_string())?;
        let data = tempfile::tempdir().map_err(|error| error.to_string())?;
        let environment = environment.to_vec();
        let mut server = Self { root: root.to_owned(), data, port: port.port(), environment, running: None };
        server.begin()?;
        Ok(server)
    }

    fn begin(&mut self) -> Result<(), String> {
        let log = std::fs::File::create(self.data.path().join("log")).map_err(|error| error.to_string())?;
        let child = Command::new("sh")
            .arg(self.root.join("tests/questdb/server.sh"))
            .arg("run")
            .arg(self.root.join(".tools/questdb"))
            .arg(self.data.path().join("data"))
            .arg(self.port.to_string())
            .envs(self.environment.iter().copied())
            .stdin(Stdio::null())
            .stderr(log.try_clone().map_err(|error| error.to_string())?)
            .stdout(log)
            .spawn()
            .map_err(|error| error.to_string())?;
        let child = self.running.insert(child);
        let begun = Instant::now();
        let ping = || {
            let request = ureq::get(format!("http://127.0.0.1:{}/ping", self.port));
            request.config().http_status_as_error(false).build().call()
        };
        while ping().is_err() {
            let ended = child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || begun.elapsed() > Duration::from_secs(60) {
                let log = std::fs::read_to_string(self.data.path().join("log")).unwrap_or_default();
                return Err(format!("it does not start: {}", log.lines().last().unwrap_or_default()));
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// On the same port, with the same data.
    pub(crate) fn start_again(&mut self) {
        self.begin().unwrap();
    }

    /// What a flow calls it.
    pub(crate) fn address(&self) -> String {
        format!("questdb::http::addr=127.0.0.1:{};", self.port)
    }

    /// The rows of a query.
    pub(crate) fn rows(&self, query: &str) -> Vec<Vec<Value>> {
        let request = ureq::get(format!("http://127.0.0.1:{}/exec", self.port)).query("query", query);
        let request = request.config().http_status_as_error(false).build();
        let text = request.call().unwrap().body_mut().read_to_string().unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer.get("error"), None, "{query}: {answer}");
        serde_json::from_value(answer.get("dataset").cloned().unwrap_or(Value::Array(Vec::new()))).unwrap()
    }

    /// Does a command, and waits until it can be seen in `table`.
    pub(crate) fn execute(&self, command: &str, table: &str) {
        self.rows(command);
        let query = format!("SELECT sequencerTxn, writerTxn FROM wal_tables() WHERE name = '{table}'");
        while let Some([sent, seen]) = self.rows(&query).first().map(Vec::as_slice) {
            if sent == seen {
                break;
            }
            sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
