//! `ghtrader serve`: every page, over HTTP as a browser asks for it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::space::{Space, files_below, signal, wait_for};

/// The page of a project, until this is dropped.
struct Site {
    child: Child,
    port: u16,
}

/// What came back.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Site {
    fn of(space: &Space) -> Self {
        Self::start(&mut space.command(&["serve", "--port", "0"]))
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("http://127.0.0.1:").and_then(|rest| rest.strip_suffix('/'));
        let port = port.unwrap_or_else(|| panic!("{line}")).parse().unwrap();
        Self { child, port }
    }

    fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, "localhost")
    }

    fn ask(&self, method: &str, path: &str, host: &str) -> Reply {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let reply = String::from_utf8(bytes).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Reply { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// A page that has to be there.
    fn page(&self, path: &str) -> String {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {reply:#?}");
        reply.body
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The addresses that a page leads to.
fn links(page: &str) -> Vec<String> {
    let parts = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    parts.map(|link| link.replace("&amp;", "&")).filter(|link| !link.starts_with("data:")).collect()
}

/// A task with odd values, one that writes a log, one that fails, and a ref.
const FLOW: &str = r#"
description: 'odd <b>names</b> & "quotes"'
params: { x: { type: string, default: "<i>", help: "a <u>parameter</u>" } }
tasks:
  odd: { run: 'echo "::metric loss=0.5"; echo "<script>alert(1)</script>"; echo "$MATRIX_A" >$OUTPUT_X', matrix: { a: ["a b&c=d", "<script>", "é+%2f"] }, outputs: { x: x } }
  all: { run: 'cat "$INPUT_X"/*/* >$OUTPUT_Y', inputs: { x: { from: odd.x }, src: { path: src.txt } }, outputs: { y: y }, publish: { y: { ref: model/one } } }
  bad: { run: 'echo this is why; exit 3', when: "${{ params.x == 'bad' }}" }
"#;

fn space() -> Space {
    let space = Space::with_flow(FLOW);
    space.write("src.txt", "a source");
    space.up_to_date(&[]);
    assert_eq!(space.run(&["-p", "x=bad"]).code, 1);
    space
}

#[test]
fn every_link_leads_to_a_page_and_every_name_is_text() {
    let space = space();
    space.flow_named("broken", "tasks: { a: { rum: x } }\n");
    let before = state(&space);
    let site = Site::of(&space);
    let mut pages: BTreeMap<String, String> = BTreeMap::new();
    let mut open = vec!["/".to_owned()];
    while let Some(path) = open.pop() {
        if pages.contains_key(&path) {
            continue;
        }
        let page = site.page(&path);
        if !path.starts_with("/log") {
            assert!(!page.contains("<script") && !page.contains("<b>names"), "{path}: {page}");
            open.extend(links(&page));
        }
        pages.insert(path, page);
    }
    let kinds: BTreeSet<&str> = pages.keys().map(|path| path.split('?').next().unwrap()).collect();
    let all = ["/", "/flow", "/lineage", "/locks", "/log", "/refs", "/run", "/runs", "/style.css", "/task"];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), all);
    let with = |path: &str, parts: &[&str]| {
        let has =
            |(known, page): (&String, &String)| known.starts_with(path) && parts.iter().all(|part| page.contains(part));
        assert!(pages.iter().any(has), "no {path} says all of {parts:?}");
    };
    with("/", &["odd &lt;b&gt;names&lt;/b&gt;", "is not valid", "1 failed", "exit 1"]);
    with("/flow?name=test", &["a &lt;u&gt;parameter", "<td>all</td><td>a command</td><td></td><td>odd</td>"]);
    with("/flow?name=broken", &["did you mean"]);
    with("/run?", &["odd[a=&quot;a b&amp;c=d&quot;]", "class=\"count failed\"", "this is why", "exit status 3"]);
    with("/task?", &["metric loss", "<dd>0.5</dd>", "&lt;script&gt;alert(1)"]);
    with("/log?", &["<script>alert(1)</script>\n"]);
    with("/lineage?of=model%2Fone", &["src.txt  content", "Content"]);
    with("/refs?name=model%2Fone", &["test:all"]);
    assert_eq!(state(&space), before, "looking changes nothing");
}

/// All files of a cache, and what they hold, but for what SQLite keeps for those who read.
fn state(space: &Space) -> BTreeMap<String, Vec<u8>> {
    let files = files_below(&space.path("cache")).into_iter();
    let files = files.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap_or_default()));
    files.filter(|(path, _)| !path.ends_with("-shm") && !path.ends_with("-wal")).collect()
}

#[test]
fn a_run_that_goes_on_is_shown_as_it_goes() {
    let space = Space::with_flow(
        "tasks:\n  slow: { run: 'echo \"::progress 1/4 warming up\"; echo begun; while ! test -e @/go; do sleep 0.05; done; echo 1 >$OUTPUT_X', outputs: { x: x } }\n  after: { run: 'true', needs: [slow] }\n",
    );
    let site = Site::of(&space);
    assert!(site.page("/").contains("no runs yet"));
    let mut runner = space.spawn(&["run", "test"]);
    wait_for("progress", || site.get("/run?run=last").body.contains("1 of 4 warming up"));
    let (overview, run) = (site.page("/"), site.page("/run?run=last"));
    assert!(overview.contains("class=\"running\"") && overview.contains("http-equiv=\"refresh\""), "{overview}");
    assert!(run.contains("1 running") && run.contains("http-equiv=\"refresh\""), "{run}");
    let task = site.page("/task?run=last&task=slow");
    assert!(task.contains("<pre>begun\n</pre>") && task.contains("http-equiv=\"refresh\""), "{task}");
    assert!(site.page("/locks").contains("slow"));
    space.write("go", "");
    assert!(runner.wait().unwrap().success());
    let run = site.page("/run?run=last");
    assert!(run.contains("2 ran") && !run.contains("running") && !run.contains("refresh"), "{run}");
    assert!(site.page("/task?run=last&task=after").contains("It wrote nothing."));
    assert_eq!(site.page("/locks").matches("none is held").count(), 2);
}

#[test]
fn what_a_killed_run_was_doing_is_shown() {
    let space = Space::with_flow("tasks: { slow: { run: 'echo begun; sleep 600' } }\n");
    let mut runner = space.spawn(&["run", "test"]);
    let site = Site::of(&space);
    wait_for("its start", || site.get("/run?run=last").body.contains("1 running"));
    runner.kill().unwrap();
    runner.wait().unwrap();
    let shown = space.call(&["show", "last"]).out;
    assert!(shown.contains("killed") && shown.lines().any(|line| line.starts_with("slow  killed")), "{shown}");
    for path in ["/run?run=last", "/task?run=last&task=slow"] {
        let page = site.page(path);
        assert!(page.contains("killed") && !page.contains("running") && !page.contains("refresh"), "{page}");
    }
}

#[test]
fn what_is_not_there_is_said() {
    let space = space();
    let site = Site::of(&space);
    for (path, part) in [
        ("/nowhere", "there is no page /nowhere"),
        ("/run", "the address says no `run`"),
        ("/run?run=zz", "there is no run `zz`"),
        ("/run?run=..%2F..%2Fetc", "there is no run"),
        ("/task?run=last&task=no", "has no task `no`"),
        ("/log?run=last&task=..%2F..%2Fstart", "there is no such log"),
        ("/flow?name=..%2Fx", "there is no flow"),
        ("/refs?name=no", "the ref `no` was never set"),
        ("/lineage?of=nothing", "nothing here is called `nothing`"),
        ("/lineage?of=%2Fetc%2Fpasswd", "nothing here is called"),
        ("/lineage?of=%00%ff", "nothing here is called"),
    ] {
        let reply = site.get(path);
        assert!(reply.status == 404 && reply.body.contains(part), "{path}: {reply:#?}");
    }
    let run = files_below(&space.path("cache/v1/runs")).into_iter().find(|path| path.ends_with("end.json")).unwrap();
    std::fs::write(run, "{").unwrap();
    let overview = site.page("/");
    assert!(overview.contains("is damaged") && overview.matches("/run?run=").count() == 2, "{overview}");
    std::fs::write(space.path("cache/v1/refs/model/one/1.json"), "{").unwrap();
    std::fs::create_dir_all(space.path("cache/v1/refs/other")).unwrap();
    std::fs::copy(space.path("cache/v1/refs/model/one/1.json"), space.path("cache/v1/refs/other/1.json")).unwrap();
    assert_eq!(site.page("/refs").matches("is not a move of a ref").count(), 2);
    let one = site.get("/refs?name=other");
    assert!(one.status == 500 && one.body.contains("is not a move of a ref"), "{one:#?}");
}

/// Nobody writes into it: whoever opens it as a file waits for ever.
fn pipe(path: &std::path::Path) {
    std::fs::remove_file(path).unwrap();
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn what_is_no_file_and_what_is_damaged_keeps_no_page() {
    let space = space();
    let site = Site::of(&space);
    let files = |folder: &str, name: &str| {
        let found = files_below(&space.path(folder)).into_iter();
        found.filter(|path| path.file_name().unwrap().to_string_lossy().contains(name)).collect::<Vec<_>>()
    };
    let run = site.page("/run?run=last");
    let all = links(&run).into_iter().find(|link| link.contains("task=all")).unwrap();
    for manifest in files("cache/v1/results", ".json") {
        std::fs::write(manifest, "{").unwrap();
    }
    assert!(site.page(&all).contains("the manifest"), "what is damaged is told");
    files("cache/v1/runs", ".log").iter().for_each(|log| pipe(log));
    assert!(site.get("/log?run=last&task=bad").body.contains("is no file"));
    files("cache/v1/runs", "events.jsonl").iter().for_each(|events| pipe(events));
    assert!(site.page("/run?run=last").contains("exit status 3"));
    files("cache/v1/runs", "end.json").iter().for_each(|end| pipe(end));
    pipe(&space.path("cache/v1/refs/model/one/1.json"));
    std::fs::create_dir(space.path("flows/folder.yaml")).unwrap();
    let overview = site.page("/");
    assert!(overview.contains("is damaged") && !overview.contains("folder"), "{overview}");
    assert!(site.page("/refs").contains("is not a move"));
}

#[test]
fn what_is_not_told_yet_is_no_error() {
    let space = Space::with_flow(
        "tasks:\n  quick: { run: 'echo 1 >$OUTPUT_X', matrix: { n: [1, 2] }, outputs: { x: x } }\n  slow: { run: 'while ! test -e @/go; do sleep 0.05; done', needs: [quick] }\n  after: { run: 'true', needs: [slow] }\n",
    );
    space.up_to_date(&["quick"]);
    let site = Site::of(&space);
    let mut runner = space.spawn(&["run", "test"]);
    wait_for("its start", || site.get("/run?run=last").body.contains("1 running"));
    let run = site.page("/run?run=last");
    assert!(run.contains("of 4 tasks") && !run.contains("cached<"), "{run}");
    for task in ["quick[n=1]", "after"] {
        let page = site.page(&format!("/task?run=last&task={task}"));
        assert!(page.contains("it is cached, or has not begun") && page.contains("refresh"), "{page}");
    }
    assert!(site.page("/task?run=last&task=slow").contains("It has written nothing yet."));
    space.write("go", "");
    assert!(runner.wait().unwrap().success());
    assert!(site.page("/task?run=last&task=quick[n=1]").contains("This run did not execute it; run "));
    assert!(site.page("/run?run=last").contains("2 cached"));
}

#[test]
fn what_is_of_another_place_is_no_link() {
    let (space, other) =
        (space(), Space::with_flow("tasks: { long: { run: 'sleep 600', resources: { cpu: 0.5 } } }\n"));
    other.flow_named("elsewhere", "tasks: { a: { run: 'true' } }\n");
    let path = other.path("flows/elsewhere.yaml");
    assert_eq!(space.call(&["run", path.to_str().unwrap()]).code, 0);
    let same = other.path("flows/test.yaml");
    let mut beside = other.command(&["run", "test"]);
    let site = Site::of(&space);
    let mut beside = beside.env("GHTRADER_LEASES", space.leases()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("a lease of another project", || site.get("/locks").body.contains("long"));
    assert!(!site.page("/locks").contains("/run?"), "its run is not here");
    beside.kill().unwrap();
    beside.wait().unwrap();
    assert!(!site.page("/runs").contains("name=elsewhere"));
    assert_eq!(space.call(&["run", same.to_str().unwrap(), "-n"]).code, 0);
    assert_eq!(site.page("/flow?name=test").matches("/run?run=").count(), 2, "those of flows/test.yaml alone");
}

#[test]
fn of_very_many_failures_a_part_is_shown() {
    let space = Space::with_flow("tasks: { bad: { run: 'seq 20000; exit 1', matrix: { n: '${{ range(50) }}' } } }\n");
    assert_eq!(space.run(&["-k"]).code, 1);
    let site = Site::of(&space);
    let run = site.page("/run?run=last");
    assert!(run.contains("30 more failed.") && run.len() < 1_000_000, "{} bytes", run.len());
}

#[test]
fn all_runs_are_there_page_by_page() {
    let space = Space::with_flow("tasks: { a: { run: 'true' } }\n");
    space.up_to_date(&[]);
    let runs = space.path("cache/v1/runs");
    let first = std::fs::read_dir(&runs).unwrap().next().unwrap().unwrap().path();
    for n in 0..149 {
        let copy = runs.join(format!("01M8000000000000000000{n:04}"));
        std::fs::create_dir(&copy).unwrap();
        for file in ["start.json", "end.json"] {
            std::fs::copy(first.join(file), copy.join(file)).unwrap();
        }
    }
    let site = Site::of(&space);
    let mut seen = BTreeSet::new();
    let mut path = "/runs".to_owned();
    for expected in [100, 50] {
        let links = links(&site.page(&path));
        let found: Vec<String> = links.iter().filter(|link| link.starts_with("/run?")).cloned().collect();
        assert_eq!(found.len(), expected);
        seen.extend(found);
        path = links.into_iter().rev().find(|link| link.contains("before=")).unwrap_or_default();
    }
    assert_eq!((seen.len(), path.as_str()), (150, ""));
}

#[test]
fn a_project_without_a_cache_or_flows_has_pages_too() {
    let space = Space::new();
    let site = Site::of(&space);
    assert!(site.page("/").contains("no runs yet"));
    for path in ["/runs", "/refs", "/locks"] {
        site.page(path);
    }
    assert!(!space.exists("cache"), "nothing is made");
}

#[test]
fn only_a_browser_on_this_machine_is_answered() {
    let space = space();
    let site = Site::of(&space);
    for host in ["evil.example", "127.0.0.1.evil.example:80", "", "localhost\r\nHost: evil.example"] {
        assert_eq!(site.ask("GET", "/runs", host).status, 421, "{host}");
    }
    assert_eq!(
        site.ask("GET", "/runs", "localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors").status,
        403
    );
    assert_eq!(site.ask("POST", "/runs", "localhost").status, 405);
    let head = site.get("/runs").head;
    for part in ["default-src 'none'", "nosniff", "no-store", "frame-ancestors 'none'"] {
        assert!(head.contains(part), "{head}");
    }
    let log = site.get(&links(&site.page("/task?run=last&task=bad")).pop().unwrap());
    assert!(log.head.contains("text/plain"), "{log:#?}");
    // Port in hexadecimal, as the kernel tells of who listens.
    let listens = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let own: Vec<&str> =
        listens.lines().filter(|line| line.contains(&format!(":{:04X} 00000000:0000 0A", site.port))).collect();
    assert!(own.len() == 1 && own[0].contains(&format!("0100007F:{:04X}", site.port)), "{own:?}");
}

#[test]
fn a_large_log_comes_whole() {
    let space = Space::with_flow("tasks: { a: { run: 'seq 3000000' } }\n");
    space.up_to_date(&[]);
    let site = Site::of(&space);
    let page = site.page("/task?run=last&task=a");
    assert!(page.contains("of which this is the end") && page.contains("2999999\n3000000\n") && page.len() < 100_000);
    let log = site.page("/log?run=last&task=a");
    assert!(log.contains("\n1234567\n") && log.contains("\n3000000\n"));
}

#[test]
fn a_port_that_is_taken_is_told_and_ctrl_c_ends_it() {
    let space = space();
    let mut site = Site::of(&space);
    let port = site.port.to_string();
    let taken = space.call(&["serve", "--port", &port]);
    assert!(taken.code == 2 && taken.err.contains(&format!("127.0.0.1:{port} cannot be listened on")), "{taken:#?}");
    assert!(taken.err.contains("--port 0"), "{taken:#?}");
    assert_eq!(space.call(&["serve", "--port", "99999"]).code, 2);
    // Also while somebody holds a connection and says nothing.
    let _idle = TcpStream::connect(("127.0.0.1", site.port)).unwrap();
    signal(site.child.id(), "INT");
    assert_eq!(site.child.wait().unwrap().code(), Some(130));
}
