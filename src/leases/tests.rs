//! Leases of several runners on one machine.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn runner(&self) -> Leases {
        Leases::open(self.folder.path()).unwrap()
    }

    fn files(&self) -> Vec<String> {
        files::names(&self.folder.path().join("v1")).unwrap()
    }
}

fn gpus(count: f64) -> Request {
    Request::new(0.0, count)
}

fn terms(request: Request, devices: &[u32]) -> Terms {
    let holder = Holder {
        pid: std::process::id(),
        host: "host".into(),
        who: "me".into(),
        run: "run".into(),
        task: "task".into(),
        since: String::new(),
    };
    Terms { holder, request, devices: devices.to_vec(), scratch: PathBuf::from("/nowhere") }
}

fn take(runner: &mut Leases, count: f64, devices: &[u32]) -> Lease {
    runner.turn().unwrap().unwrap().lease(&terms(gpus(count), devices)).unwrap()
}

fn used(runner: &mut Leases) -> Vec<Vec<u32>> {
    let turn = runner.turn().unwrap().unwrap();
    turn.others().used.iter().map(|(_, devices)| devices.clone()).collect()
}

/// Waits for so many devices, once for each number.
fn wait(runner: &mut Leases, counts: &[f64]) {
    let wanted: Vec<Terms> = counts.iter().map(|count| terms(gpus(*count), &[0, 1, 2, 3])).collect();
    runner.turn().unwrap().unwrap().wait_for(&wanted).unwrap();
}

/// What others wait for, who has waited longest first.
fn line(runner: &mut Leases) -> Vec<Request> {
    let turn = runner.turn().unwrap().unwrap();
    turn.others().waits.iter().map(|(request, _)| request.clone()).collect()
}

/// How many others have waited longer than a runner for so many devices.
fn before(runner: &mut Leases, count: f64) -> Option<usize> {
    runner.turn().unwrap().unwrap().others().before.get(&gpus(count)).copied()
}

/// Within a millisecond, it is chance who came first.
fn later() {
    std::thread::sleep(Duration::from_millis(2));
}

/// Waits until something holds: what another test starts has all that is open here until it is a program of its own.
fn eventually(mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_lease_lasts_as_long_as_anything_of_the_task() {
    let machine = Machine::new();
    let (mut one, mut two) = (machine.runner(), machine.runner());
    let lease = take(&mut one, 2.0, &[0, 1]);
    assert_eq!(used(&mut one), [[0; 0]; 0], "its own");
    assert_eq!(used(&mut two), [[0, 1]]);
    let of_a_process = lease.share().unwrap();
    one.give_back(lease, false);
    assert_eq!(used(&mut two), [[0, 1]]);
    assert_eq!(used(&mut one), [[0, 1]], "what the task left behind is nobody's own");
    drop(of_a_process);
    eventually(|| used(&mut two).is_empty());
    assert_eq!(machine.files(), [""; 0]);
}

#[test]
fn a_lease_given_back_leaves_nothing() {
    let machine = Machine::new();
    let mut one = machine.runner();
    let lease = take(&mut one, 1.0, &[3]);
    assert_eq!(machine.files().len(), 1);
    let of_another = lease.share().unwrap();
    one.give_back(lease, true);
    assert_eq!(used(&mut one), [[0; 0]; 0], "whatever else has it open");
    assert_eq!(machine.files(), [""; 0]);
    drop(of_another);
}

#[test]
fn only_one_decides_at_a_time() {
    let machine = Machine::new();
    let (mut one, mut two) = (machine.runner(), machine.runner());
    let turn = one.turn().unwrap().unwrap();
    assert!(two.turn().unwrap().is_none());
    drop(turn);
    eventually(|| two.turn().unwrap().is_some());
}

#[test]
fn who_waits_longest_comes_first_until_it_is_served() {
    let machine = Machine::new();
    let (mut one, mut two, mut busy) = (machine.runner(), machine.runner(), machine.runner());
    let _lease = take(&mut busy, 4.0, &[0, 1, 2, 3]);
    wait(&mut one, &[4.0]);
    later();
    wait(&mut two, &[0.5]);
    assert_eq!((before(&mut one, 4.0), before(&mut two, 0.5)), (Some(0), Some(1)));
    // Asking again, and for something else too, changes no place.
    later();
    wait(&mut one, &[4.0, 2.0]);
    assert_eq!(line(&mut two), [gpus(4.0), gpus(2.0)]);
    assert_eq!((before(&mut one, 4.0), before(&mut one, 2.0), before(&mut two, 0.5)), (Some(0), Some(1), Some(1)));
    // What asked for the same and has started did.
    later();
    let mut turn = one.turn().unwrap().unwrap();
    let _served = turn.lease(&terms(gpus(4.0), &[0, 1, 2, 3])).unwrap();
    turn.wait_for(&[terms(gpus(2.0), &[]), terms(gpus(4.0), &[])]).unwrap();
    drop(turn);
    assert_eq!(line(&mut two), [gpus(2.0), gpus(4.0)]);
    assert_eq!((before(&mut one, 4.0), before(&mut two, 0.5)), (Some(1), Some(0)));
    one.wait_no_more();
    eventually(|| line(&mut two).is_empty());
}

/// Else each of two could wait for the other: the first of one behind the second of the other, and that behind its first.
#[test]
fn what_is_behind_another_of_its_run_is_so_for_all() {
    let machine = Machine::new();
    let (mut one, mut two, mut busy) = (machine.runner(), machine.runner(), machine.runner());
    let _lease = take(&mut busy, 4.0, &[0, 1, 2, 3]);
    wait(&mut one, &[0.5]);
    later();
    wait(&mut two, &[1.0]);
    later();
    wait(&mut two, &[4.0, 1.0]);
    later();
    wait(&mut one, &[4.0, 2.0, 0.5]);
    assert_eq!(line(&mut busy), [gpus(4.0), gpus(1.0), gpus(4.0), gpus(2.0), gpus(0.5)]);
    assert_eq!((before(&mut two, 4.0), before(&mut two, 1.0), before(&mut one, 0.5)), (Some(0), Some(0), Some(2)));
    // What is in order stays where it is.
    let files = machine.files();
    wait(&mut one, &[4.0, 2.0, 0.5]);
    wait(&mut two, &[4.0, 1.0]);
    assert_eq!(machine.files(), files);
}

#[test]
fn who_is_alone_waits_in_silence() {
    let machine = Machine::new();
    let mut one = machine.runner();
    wait(&mut one, &[4.0]);
    assert_eq!(machine.files(), [""; 0]);
}

#[test]
fn a_runner_that_was_stopped_keeps_nobody_waiting() {
    let machine = Machine::new();
    let (mut one, mut two) = (machine.runner(), machine.runner());
    let _lease = take(&mut two, 1.0, &[0]);
    wait(&mut one, &[4.0]);
    assert_eq!(line(&mut two), [gpus(4.0)]);
    let long_ago = std::time::SystemTime::now() - 2 * TOUCH.1;
    let waiting = one.waiting.values_mut().next().unwrap();
    waiting.file.file().file().set_modified(long_ago).unwrap();
    assert_eq!(line(&mut two), []);
    waiting.touched -= 2 * TOUCH.0;
    wait(&mut one, &[4.0]);
    assert_eq!(line(&mut two), [gpus(4.0)], "it goes on");
}

#[test]
fn what_the_dead_leave_is_seen_through() {
    let machine = Machine::new();
    let mut one = machine.runner();
    let folder = machine.folder.path().join("v1");
    fs::write(folder.join("0.lease"), serde_json::to_vec(&terms(gpus(1.0), &[0])).unwrap()).unwrap();
    fs::write(folder.join("1.wait"), "{").unwrap();
    let strange = fs::File::create(folder.join("2.lease")).unwrap();
    strange.file().lock().unwrap();
    assert_eq!(used(&mut one), [[0; 0]; 0]);
    assert_eq!(machine.files(), ["2.lease"], "somebody has it, whatever it is");
}

#[test]
fn what_is_no_file_or_nobody_elses_business_is_passed_by() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let machine = Machine::new();
    let mut one = machine.runner();
    let folder = machine.folder.path().join("v1");
    mknodat(CWD, folder.join("0.lease"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    drop(std::os::unix::net::UnixListener::bind(folder.join("1.lease")).unwrap());
    std::os::unix::fs::symlink("/dev/zero", folder.join("2.lease")).unwrap();
    fs::create_dir(folder.join("3.wait")).unwrap();
    let begun = Instant::now();
    assert_eq!(used(&mut one), [[0; 0]; 0]);
    assert!(Leases::list(machine.folder.path()).unwrap().0.is_empty() && begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn who_only_looks_removes_nothing() {
    let machine = Machine::new();
    let mut one = machine.runner();
    let folder = machine.folder.path().join("v1");
    for name in ["0.lease", "1.wait", "2.lease.new"] {
        fs::write(folder.join(name), serde_json::to_vec(&terms(gpus(1.0), &[0])).unwrap()).unwrap();
    }
    assert_eq!(Leases::list(machine.folder.path()).unwrap(), (vec![], vec![]));
    assert_eq!(machine.files().len(), 3);
    drop(one.turn().unwrap().unwrap());
    assert_eq!(machine.files(), [""; 0], "who has the turn does");
}

#[test]
fn a_lease_that_somebody_removes_is_written_down_again() {
    let machine = Machine::new();
    let (mut one, mut two) = (machine.runner(), machine.runner());
    let lease = take(&mut one, 2.0, &[0, 1]);
    wait(&mut two, &[4.0]);
    fs::remove_dir_all(machine.folder.path().join("v1")).unwrap();
    assert_eq!(used(&mut one), [[0; 0]; 0]);
    assert_eq!(used(&mut two), [[0, 1]]);
    wait(&mut two, &[4.0]);
    assert_eq!(line(&mut one), [gpus(4.0)], "what waits too");
    assert_eq!(machine.files().len(), 2);
    fs::remove_file(machine.folder.path().join("v1").join(&machine.files()[0])).unwrap();
    assert_eq!(used(&mut one), [[0; 0]; 0]);
    assert_eq!(used(&mut two), [[0, 1]], "as often as that happens");
    one.give_back(lease, true);
    assert_eq!(used(&mut two), [[0; 0]; 0]);
}

#[test]
fn it_is_told_who_is_in_the_way() {
    let machine = Machine::new();
    let (mut one, mut two, mut three) = (machine.runner(), machine.runner(), machine.runner());
    let of = |task: &str, request: Request, devices: &[u32]| {
        let terms = terms(request, devices);
        Terms { holder: Holder { task: task.into(), ..terms.holder.clone() }, ..terms }
    };
    let _core = one.turn().unwrap().unwrap().lease(&of("core", Request::new(1.0, 0.0), &[])).unwrap();
    later();
    let _all = two.turn().unwrap().unwrap().lease(&of("all", Request::new(1.0, 4.0), &[0, 1, 2, 3])).unwrap();
    let turn = three.turn().unwrap().unwrap();
    let who = |request| turn.in_the_way(&request).map(|holder| holder.task.as_str());
    assert_eq!(who(Request::new(1.0, 1.0)), Some("all"));
    assert_eq!(who(Request::new(1.0, 0.0)), Some("core"));
    assert_eq!(who(Request::new(0.0, 0.0).token("tqsdk", 1.0)), None);
}

#[test]
fn a_task_whose_runner_is_gone_is_named() {
    let machine = Machine::new();
    let (mut one, mut two) = (machine.runner(), machine.runner());
    let mut gone = std::process::Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let mut terms = terms(gpus(1.0), &[0]);
    terms.holder.pid = gone.id();
    let _lease = one.turn().unwrap().unwrap().lease(&terms).unwrap();
    let found = std::mem::take(&mut two.turn().unwrap().unwrap().left_behind);
    assert_eq!(found, [(terms, machine.folder.path().join("v1").join(&machine.files()[0]))]);
    let _lease = take(&mut two, 1.0, &[1]);
    assert_eq!(one.turn().unwrap().unwrap().left_behind, []);
}

#[test]
fn a_folder_that_somebody_removes_is_made_again() {
    let machine = Machine::new();
    let (mut one, mut two) = (machine.runner(), machine.runner());
    fs::remove_dir_all(machine.folder.path().join("v1")).unwrap();
    let _lease = take(&mut one, 1.0, &[0]);
    assert_eq!(used(&mut two), [[0]]);
}

#[test]
fn every_user_can_take_part() {
    let machine = Machine::new();
    let folder = machine.folder.path().join("a/b");
    let mut one = Leases::open(&folder).unwrap();
    let _lease = take(&mut one, 1.0, &[0]);
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(folder.join("v1")), 0o1777);
    assert_eq!(mode(folder.clone()), 0o1777);
    for file in fs::read_dir(folder.join("v1")).unwrap() {
        assert_eq!(mode(file.unwrap().path()), 0o644);
    }
}
