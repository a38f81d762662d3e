//! The stores that the tests share: a folder, and servers that speak S3.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::space::{Answer, Space, answer};

/// A secret that is no secret.
pub(crate) const SECRET: &str = "of-these-tests-only";
const USER: &str = "tests";
const BUCKET: &str = "results";

/// All of them.
pub(crate) struct Stores {
    all: Vec<Store>,
    used: AtomicUsize,
}

/// One of them.
pub(crate) struct Store {
    pub(crate) name: &'static str,
    /// Where its files lie, where they lie in files.
    files: TempDir,
    server: Option<(Child, SocketAddr)>,
    /// Whether it checks signatures.
    pub(crate) checks: bool,
}

impl Stores {
    pub(crate) fn start() -> Result<Self, String> {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/s3");
        let all = vec![Store::folder(), Store::gofakes3(&tools)?, Store::versitygw(&tools)?];
        Ok(Self { all, used: AtomicUsize::new(0) })
    }

    /// The smallest server alone.
    #[allow(dead_code, reason = "used by the tests of clusters")]
    pub(crate) fn gofakes3() -> Result<Self, String> {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/s3");
        Ok(Self { all: vec![Store::gofakes3(&tools)?], used: AtomicUsize::new(0) })
    }

    /// Does something with a new place in each of them.
    pub(crate) fn each(&self, test: impl Fn(&Place<'_>)) {
        for store in &self.all {
            println!("  on {}", store.name);
            test(&self.place(store));
        }
    }

    /// A new place in the one of this name.
    pub(crate) fn one(&self, name: &str) -> Place<'_> {
        self.place(self.all.iter().find(|store| store.name == name).unwrap())
    }

    fn place<'s>(&self, store: &'s Store) -> Place<'s> {
        let name = format!("place-{}", self.used.fetch_add(1, Ordering::Relaxed));
        let address = match store.server {
            None => {
                let folder = store.files.path().join(&name);
                std::fs::create_dir(&folder).unwrap();
                folder.display().to_string()
            }
            Some(_) => format!("s3://{BUCKET}/{name}"),
        };
        Place { store, address, name }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some((server, _)) = &mut self.server {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }
}

impl Store {
    fn folder() -> Self {
        Self { name: "a folder", files: tempfile::tempdir().unwrap(), server: None, checks: false }
    }

    fn gofakes3(tools: &Path) -> Result<Self, String> {
        let files = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new(tools.join("gofakes3"));
        command.args(["-backend", "memory"]).current_dir(files.path());
        command.args(["-host", &format!("127.0.0.1:{port}"), "-initialbucket", BUCKET]);
        Self::serve("gofakes3", command, port, files, false)
    }

    fn versitygw(tools: &Path) -> Result<Self, String> {
        let files = tempfile::tempdir().unwrap();
        std::fs::create_dir(files.path().join(BUCKET)).unwrap();
        let port = free_port();
        let mut command = Command::new(tools.join("versitygw"));
        command.env("ROOT_ACCESS_KEY", USER).env("ROOT_SECRET_KEY", SECRET);
        command.args(["--port", &format!("127.0.0.1:{port}"), "posix"]).arg(files.path());
        Self::serve("versitygw", command, port, files, true)
    }

    fn serve(
        name: &'static str,
        mut command: Command,
        port: u16,
        files: TempDir,
        checks: bool,
    ) -> Result<Self, String> {
        let server = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut server = server.map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if begun.elapsed() > Duration::from_secs(20) || server.try_wait().unwrap().is_some() {
                let _ = server.kill();
                let _ = server.wait();
                return Err(format!("{name} does not start"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { name, files, server: Some((server, address)), checks })
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A shared cache of one test.
pub(crate) struct Place<'s> {
    pub(crate) store: &'s Store,
    pub(crate) address: String,
    name: String,
}

impl Place<'_> {
    /// A project of another machine that shares it, with a flow.
    pub(crate) fn machine(&self, flow: &str) -> Machine {
        let machine = self.alone(flow);
        machine.share(&self.address);
        machine
    }

    /// One that does not share it yet.
    pub(crate) fn alone(&self, flow: &str) -> Machine {
        let endpoint = self.store.server.as_ref().map(|(_, address)| format!("http://{address}"));
        Machine { space: Space::with_flow(flow), endpoint, secret: SECRET.to_owned() }
    }

    /// The file in which something lies in the store.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        let bucket = if self.store.server.is_some() { BUCKET } else { "" };
        self.store.files.path().join(bucket).join(&self.name).join("v1").join(name)
    }
}

/// A project on a machine of its own: nothing but the shared cache is common.
pub(crate) struct Machine {
    pub(crate) space: Space,
    endpoint: Option<String>,
    pub(crate) secret: String,
}

impl Machine {
    pub(crate) fn share(&self, address: &str) {
        self.space.write("ghtrader.yaml", &format!("cache: {address}\n"));
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.space.command(args);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
        if let Some(endpoint) = &self.endpoint {
            command.env("AWS_ENDPOINT_URL", endpoint).env("AWS_REGION", "us-east-1");
            command.env("AWS_ACCESS_KEY_ID", USER).env("AWS_SECRET_ACCESS_KEY", &self.secret);
        }
        command
    }

    pub(crate) fn call(&self, args: &[&str]) -> Answer {
        answer(&mut self.command(args))
    }

    /// `ghtrader …`, which has to end well.
    pub(crate) fn well(&self, args: &[&str]) -> Answer {
        let answer = self.call(args);
        assert_eq!(answer.code, 0, "{args:?} {answer:#?}");
        answer
    }

    /// `ghtrader run test …`, which has to end well.
    pub(crate) fn run(&self, args: &[&str]) -> crate::space::Counts {
        self.well(&[&["run", "test"], args].concat()).counts()
    }

    pub(crate) fn output(&self, artifact: &str) -> String {
        self.well(&["get", artifact, "-o", ".output"]);
        self.space.read(".output")
    }

    /// How many objects lie in its own cache.
    pub(crate) fn objects(&self) -> usize {
        let folder = self.space.path("cache/v1/objects");
        if folder.is_dir() { crate::space::files_below(&folder).len() } else { 0 }
    }
}
