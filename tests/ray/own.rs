//! What is of Ray alone.

use std::process::Stdio;

use crate::cluster::Cluster;
use crate::space::{Counts, Space, answer, wait_for};

pub(crate) fn two_tasks_share_a_device(cluster: &Cluster) {
    let space = Space::with_flow(
        r#"
tasks:
  half:
    run: 'echo $CUDA_VISIBLE_DEVICES >>@/devices; for n in $(seq 300); do test $(wc -l <@/devices) = 8 && exit 0; sleep 0.1; done; exit 1'
    matrix: { n: [1, 2, 3, 4, 5, 6, 7, 8] }
    resources: { gpu: 0.5 }
"#,
    );
    // Each waits for the seven others.
    let told = cluster.run(&space, &[]);
    assert_eq!((told.code, told.counts()), (0, Counts(8, 0, 0, 0)), "{told:#?}");
    let mut devices: Vec<String> = space.read("devices").lines().map(str::to_owned).collect();
    devices.sort();
    assert_eq!(devices, ["0", "0", "1", "1", "2", "2", "3", "3"]);
}

pub(crate) fn a_ray_that_is_not_there_is_told(cluster: &Cluster) {
    let space = Space::with_flow("tasks:\n  a: { run: 'touch @/ran' }\n");
    let mut command = cluster.command(&space, &["run", "test"]);
    let refused = answer(command.env("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:9"));
    assert_eq!(refused.code, 1, "{refused:#?}");
    for part in ["Ray at http://127.0.0.1:9 does not answer", "refused", "help: name its dashboard"] {
        assert!(refused.err.contains(part), "{part}: {}", refused.err);
    }
    assert!(!space.exists("ran"));
}

pub(crate) fn what_somebody_else_stops_has_failed(cluster: &Cluster) {
    let space = Space::with_flow("tasks:\n  a: { run: 'touch @/begun; sleep 300' }\n");
    let mut command = cluster.command(&space, &["run", "test"]);
    let runner = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the task", || space.exists("begun"));
    cluster.stop_all();
    let output = runner.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && told.contains("a failed: stopped by Ray (STOPPED)"), "{told}");
}
