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

fn wait(runner: &mut Leases, count: f64) {
    runner.turn().unwrap().unwrap().wait_for(Some(&terms(gpus(count), &[]))).unwrap();
}

/// What waits for longer than a runner, and what does not.
fn line(runner: &mut Leases) -> (Vec<Request>, Vec<Request>) {
    let turn = runner.turn().unwrap().unwrap();
    (turn.others().earlier.clone(), turn.others().later.clone())
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
    wait(&mut one, 4.0);
    // Within a millisecond, it is chance who came first.
    std::thread::sleep(Duration::from_millis(2));
    wait(&mut two, 0.5);
    assert_eq!(line(&mut one), (vec![], vec![gpus(0.5)]));
    assert_eq!(line(&mut two), (vec![gpus(4.0)], vec![]));
    // Asking again, also for something else, changes no place.
    wait(&mut one, 4.0);
    wait(&mut one, 2.0);
    assert_eq!(line(&mut two), (vec![gpus(2.0)], vec![]));
    // What asked for the same and has started did.
    std::thread::sleep(Duration::from_millis(2));
    let mut turn = one.turn().unwrap().unwrap();
    let _served = turn.lease(&terms(gpus(2.0), &[0, 1])).unwrap();
    turn.wait_for(Some(&terms(gpus(2.0), &[]))).unwrap();
    drop(turn);
    assert_eq!(line(&mut two), (vec![], vec![gpus(2.0)]));
    one.wait_no_more();
    eventually(|| line(&mut two) == (vec![], vec![]));
}

#[test]
fn who_is_alone_waits_in_silence() {
    let machine = Machine::new();
    let mut one = machine.runner();
    wait(&mut one, 4.0);
    assert_eq!(machine.files(), [""; 0]);
}

#[test]
fn a_runner_that_was_stopped_keeps_nobody_waiting() {
    let machine = Machine::new();
    let (mut one, mut two) = (machine.runner(), machine.runner());
    let _lease = take(&mut two, 1.0, &[0]);
    wait(&mut one, 4.0);
    assert_eq!(line(&mut two).0, [gpus(4.0)]);
    let long_ago = std::time::SystemTime::now() - 2 * TOUCH.1;
    let waiting = one.waiting.as_mut().unwrap();
    waiting.file.file().file().set_modified(long_ago).unwrap();
    assert_eq!(line(&mut two).0, []);
    waiting.touched -= 2 * TOUCH.0;
    wait(&mut one, 4.0);
    assert_eq!(line(&mut two).0, [gpus(4.0)], "it goes on");
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
fn a_task_whose_runner_is_gone_is_named() {
    let machine = Machine::new();
    let (mut one, mut two) = (machine.runner(), machine.runner());
    let mut gone = std::process::Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let mut terms = terms(gpus(1.0), &[0]);
    terms.holder.pid = gone.id();
    let _lease = one.turn().unwrap().unwrap().lease(&terms).unwrap();
    assert_eq!(two.turn().unwrap().unwrap().left_behind, [terms]);
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
