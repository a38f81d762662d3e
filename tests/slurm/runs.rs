//! What a run on Slurm does, and how that compares with one on this machine.

use std::collections::BTreeSet;

use crate::cluster::Cluster;
use crate::space::{Counts, Space, answer};

const FLOW: &str = r#"
tasks:
  part:
    run: 'echo "::metric size=$MATRIX_N"; echo "part $MATRIX_N of $(cat "$INPUT_TEXT")" >"$OUTPUT_X"; echo "$MATRIX_N" >>@/trace'
    matrix: { n: [1, 2, 3, 4, 5, 6, 7, 8] }
    inputs: { text: { path: text.txt } }
    outputs: { x: x }
  folder:
    run: 'mkdir -p "$OUTPUT_ALL"; find "$INPUT_X" -type f | sort | xargs cat >"$OUTPUT_ALL/text"'
    inputs: { x: { from: part } }
    outputs: { all: all }
  end: { run: 'wc -l <"$INPUT_ALL/text" >"$OUTPUT_N"', inputs: { all: { from: folder } }, outputs: { n: n }, publish: { n: n.txt } }
"#;

/// The contents of all outputs that a project's cache has.
fn objects(space: &Space) -> BTreeSet<String> {
    let name = |path: std::path::PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    crate::space::files_below(&space.path("cache/v1/objects")).into_iter().map(name).collect()
}

pub(crate) fn a_flow_has_the_same_outputs_as_locally(cluster: &Cluster) {
    let (local, there) = (Space::with_flow(FLOW), Space::with_flow(FLOW));
    local.write("text.txt", "it");
    there.write("text.txt", "it");
    let before = cluster.batches();
    let answer = cluster.run(&there, &[]);
    assert_eq!((answer.code, answer.counts()), (0, Counts(10, 0, 0, 0)), "{answer:#?}");
    // Eight instances are one array.
    assert_eq!(cluster.batches() - before, 3);
    assert_eq!(there.read("n.txt"), "8\n");
    local.up_to_date(&[]);
    assert_eq!(objects(&there), objects(&local));
    assert_eq!(cluster.run(&there, &[]).counts(), Counts(0, 10, 0, 0));
    assert_eq!(there.read("trace").lines().count(), 8);
    let left = crate::space::files_below(&there.path("cache/v1/jobs"));
    assert!(left.is_empty(), "nothing is left of jobs that are over: {left:?}");
}

pub(crate) fn four_tasks_at_a_time_have_a_device_each(cluster: &Cluster) {
    let space = Space::with_flow(
        r#"
tasks:
  one:
    run: |
      mkdir @/at-work/$CUDA_VISIBLE_DEVICES
      grep -q '"devices":\['$CUDA_VISIBLE_DEVICES'\]' "$GHTRADER_TASK"
      for n in $(seq 200); do test $(ls @/at-work | wc -l) = 4 && break; sleep 0.1; done
      ls @/at-work | wc -l >>@/together
      sleep 0.5
      echo $CUDA_VISIBLE_DEVICES >"$OUTPUT_X"
      rmdir @/at-work/$CUDA_VISIBLE_DEVICES
    matrix: { n: [1, 2, 3, 4, 5, 6, 7, 8] }
    resources: { gpu: 1 }
    outputs: { x: x }
  none: { run: 'echo "[$CUDA_VISIBLE_DEVICES] $GHTRADER_MEMORY" >"$OUTPUT_X"', resources: { memory: 100MiB }, outputs: { x: x }, publish: { x: none.txt } }
  all: { run: 'find $INPUT_X -type f | xargs cat | sort >$OUTPUT_X', inputs: { x: { from: one } }, outputs: { x: x }, publish: { x: x.txt } }
"#,
    );
    std::fs::create_dir(space.path("at-work")).unwrap();
    let answer = cluster.run(&space, &[]);
    // Two on one device would fail: the folder of its index is there already.
    assert_eq!(answer.counts(), Counts(10, 0, 0, 0), "{answer:#?}");
    let used: BTreeSet<String> = space.read("x.txt").lines().map(str::to_owned).collect();
    assert_eq!(used, ["0", "1", "2", "3"].map(str::to_owned).into(), "{}", space.read("x.txt"));
    let most = space.read("together").lines().filter_map(|count| count.trim().parse::<u32>().ok()).max();
    assert_eq!(most, Some(4));
    assert_eq!(space.read("none.txt"), format!("[] {}\n", 100 << 20));
}

pub(crate) fn short_tasks_run_in_one_pilot(cluster: &Cluster) {
    let space = Space::with_flow(
        r#"
tasks:
  one:
    run: |
      mkdir @/at-work/$CUDA_VISIBLE_DEVICES
      sleep 0.1
      echo $CUDA_VISIBLE_DEVICES >>@/used
      rmdir @/at-work/$CUDA_VISIBLE_DEVICES
    matrix: { n: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20] }
    resources: { gpu: 1 }
    timeout: 30s
  first: { needs: [one], run: 'echo 1 >"$OUTPUT_X"', outputs: { x: x }, timeout: 30s }
  second: { run: 'cat "$INPUT_X" "$INPUT_X" >"$OUTPUT_X"', inputs: { x: { from: first } }, outputs: { x: x }, timeout: 30s }
  third: { run: 'cat "$INPUT_X" "$INPUT_X" >"$OUTPUT_X"', inputs: { x: { from: second } }, outputs: { x: x }, timeout: 30s, publish: { x: x.txt } }
"#,
    );
    std::fs::create_dir(space.path("at-work")).unwrap();
    let batches = cluster.batches();
    let answer = cluster.run(&space, &[]);
    // Two on one device would fail: the folder of its index is there already.
    assert_eq!((answer.code, answer.counts()), (0, Counts(23, 0, 0, 0)), "{answer:#?}");
    assert_eq!(space.read("x.txt"), "1\n1\n1\n1\n");
    let used: BTreeSet<String> = space.read("used").lines().map(str::to_owned).collect();
    assert_eq!(used, ["0", "1", "2", "3"].map(str::to_owned).into());
    assert_eq!(cluster.batches() - batches, 1);
    crate::space::wait_for("the end of the pilot", || cluster.jobs() == 0);
    let left = crate::space::files_below(&space.path("cache/v1/jobs"));
    assert!(left.is_empty(), "{left:?}");
}

pub(crate) fn a_task_that_fails_is_told_as_locally(cluster: &Cluster) {
    let flow = "tasks:\n  bad: { run: 'echo what went wrong >&2; exit 7' }\n  next: { needs: [bad], run: 'true' }\n";
    let (local, there) = (Space::with_flow(flow), Space::with_flow(flow));
    let told = |answer: &crate::space::Answer| -> Vec<String> {
        let line =
            |line: &&str| ["exit status", "went wrong", "failed", "skipped"].iter().any(|word| line.contains(word));
        let plain = |line: &str| line.split(" after ").next().unwrap_or_default().to_owned();
        answer.err.lines().filter(line).map(|line| plain(line.split(" in ").next().unwrap_or_default())).collect()
    };
    let (here, on_the_node) = (local.run(&[]), cluster.run(&there, &[]));
    assert_eq!((here.code, on_the_node.code), (1, 1), "{on_the_node:#?}");
    assert!(
        on_the_node.err.contains("exit status 7") && on_the_node.err.contains("what went wrong"),
        "{on_the_node:#?}"
    );
    assert_eq!(told(&on_the_node), told(&here));
    assert!(there.call(&["log", "last", "bad"]).out.contains("what went wrong"));
}

pub(crate) fn what_no_node_has_is_refused_before_anything_runs(cluster: &Cluster) {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'touch @/ran' }\n  b: { run: 'true', needs: [a], resources: { gpu: 5 } }\n  c: { run: 'true', resources: { cpu: 2, memory: 1TiB } }\n",
    );
    for args in [vec![], vec!["-n"]] {
        let refused = cluster.run(&space, &args);
        assert_eq!(refused.code, 2, "{refused:#?}");
        for part in [
            "`b` cannot run here: no node of the cluster has what it asks for (cpu 1, gpu 5)",
            "`c` cannot run here",
            "3 │",
        ] {
            assert!(refused.err.contains(part), "{part}: {}", refused.err);
        }
    }
    assert!(!space.exists("ran") && cluster.jobs() == 0);
}

pub(crate) fn a_timeout_ends_all_of_a_task(cluster: &Cluster) {
    let space = Space::with_flow(
        "tasks:\n  slow: { run: 'echo $$ >@/pid; setsid sleep 300 & echo $! >>@/pid; sleep 300', timeout: 1s }\n",
    );
    let answer = cluster.run(&space, &[]);
    assert!(answer.code == 1 && answer.err.contains("stopped at its timeout"), "{answer:#?}");
    for pid in space.read("pid").lines() {
        assert!(!std::path::Path::new("/proc").join(pid).exists(), "{pid} lives");
    }
}

pub(crate) fn a_slurm_that_is_not_there_is_told(cluster: &Cluster) {
    let space = Space::with_flow("tasks:\n  a: { run: 'touch @/ran' }\n");
    let told = |name: &str, value: &std::ffi::OsStr, parts: &[&str]| {
        let refused = answer(cluster.command(&space, &["run", "test"]).env(name, value));
        assert_eq!(refused.code, 1, "{refused:#?}");
        for part in parts {
            assert!(refused.err.contains(part), "{part}: {}", refused.err);
        }
    };
    told("PATH", space.root().as_os_str(), &["`sinfo` is not in PATH", "help: "]);
    told("SBATCH_PARTITION", "nowhere".as_ref(), &["no partition `nowhere`", "help: `sinfo` lists"]);
    assert!(!space.exists("ran"));
}
