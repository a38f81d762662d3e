//! Devices that are found out, by a library that stands for the driver's; and their memory.

use std::process::Command;

use crate::space::{Counts, Space, answer};

/// A project beside a driver with three devices of 24, 8 and 24 GiB, of the last of which somebody uses 22.
fn with_driver(yaml: &str) -> Space {
    let space = Space::with_flow(yaml);
    space.write("nvml.c", include_str!("nvml.c"));
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o", "libnvidia-ml.so.1", "nvml.c"]).current_dir(space.root());
    assert!(compiler.status().unwrap().success());
    space
}

/// `ghtrader run test` with that driver; `visible` is the caller's variable.
fn run(space: &Space, visible: Option<&str>, args: &[&str]) -> crate::space::Answer {
    let mut command = space.command(&[&["run", "test"], args].concat());
    command.env("LD_LIBRARY_PATH", space.root()).env_remove("CUDA_VISIBLE_DEVICES");
    if let Some(visible) = visible {
        command.env("CUDA_VISIBLE_DEVICES", visible);
    }
    answer(&mut command)
}

#[test]
fn devices_are_found_out_and_the_callers_variable_is_respected() {
    let flow = "tasks:\n  a: { run: 'echo $CUDA_VISIBLE_DEVICES $CUDA_DEVICE_ORDER >@/seen', resources: { gpu: COUNT }, cache: false }\n";
    let space = with_driver(flow);
    for (visible, args, given) in [
        (None, &[][..], &["0", "1", "2"][..]),
        (Some("2,GPU-0777"), &[], &["0", "2"]),
        (Some("1,9,2"), &[], &["1"]),
        (Some(""), &[], &[]),
        // What is declared goes before; a number of devices is the first of those that may be used.
        (Some("1,2"), &["--gpus", "1"], &["1"]),
        (Some("1,2"), &["--gpus", "0,"], &["0"]),
    ] {
        if !given.is_empty() {
            space.flow(&flow.replace("COUNT", &given.len().to_string()));
            let ended = run(&space, visible, args);
            assert_eq!(ended.code, 0, "{ended:#?}");
            // Indices are those of the driver, which are those of the bus.
            assert_eq!(space.read("seen"), format!("{} PCI_BUS_ID\n", given.join(",")), "{visible:?}");
        }
        space.flow(&flow.replace("COUNT", &(given.len() + 1).to_string()));
        let refused = run(&space, visible, args);
        assert_eq!(refused.code, 2, "{refused:#?}");
        assert!(refused.err.contains(&format!("gpu, and this machine has {}\n", given.len())), "{}", refused.err);
    }
}

#[test]
fn it_is_said_where_the_callers_variable_hides_devices_that_are_declared() {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'echo $CUDA_VISIBLE_DEVICES >>@/seen', resources: { gpu: 2 }, cache: false }\n  b: { run: 'true', cache: false }\n",
    );
    let run = |visible: &str, args: &[&str]| {
        answer(space.command(&[&["run", "test"], args].concat()).env("CUDA_VISIBLE_DEVICES", visible))
    };
    let told = |visible: &str, devices: &str| {
        format!(
            "`CUDA_VISIBLE_DEVICES={visible}` does not show all devices that are declared ({devices}): they are used"
        )
    };
    let hidden = run("1", &["--gpus", "2"]);
    assert_eq!(hidden.code, 0, "{hidden:#?}");
    assert_eq!(hidden.err.matches(&told("1", "0, 1")).count(), 1, "{}", hidden.err);
    assert!(run("-1", &["--gpus", "2,5", "-n"]).err.contains(&told("-1", "2, 5")));
    assert!(!run("0,1", &["--gpus", "2"]).err.contains("does not show"));
    space.write("ghtrader.yaml", "machine: { gpus: 2 }\n");
    assert!(run("", &[]).err.contains(&told("", "0, 1")));
    assert_eq!(space.read("seen"), "0,1\n".repeat(3), "the user's word counts");
}

#[test]
fn where_no_task_asks_for_devices_nothing_is_said_of_them() {
    let space = Space::with_flow("tasks:\n  a: { run: 'true' }\n");
    let quiet = space.run(&["--gpus", "2"]);
    assert!(quiet.code == 0 && !quiet.err.contains("CUDA_VISIBLE_DEVICES"), "{}", quiet.err);
}

#[test]
fn a_run_within_a_task_has_no_devices_but_those_of_its_task() {
    let inner = Space::with_flow(
        "tasks:\n  a: { run: 'echo $CUDA_VISIBLE_DEVICES >>@/seen', resources: { gpu: 1 }, cache: false }\n",
    );
    let call_within = |resources: &str, args: &str| {
        let call = format!("{} -C {} run test {args}", env!("CARGO_BIN_EXE_ghtrader"), inner.root().display());
        let space = Space::with_flow(&format!("tasks:\n  a: {{ run: '{call}', resources: {resources} }}\n"));
        space.run(&["--gpus", "3,"])
    };
    let call = |args: &str| call_within("{ gpu: 1 }", args);
    for args in ["", "--gpus 1", "--gpus 3,"] {
        let ended = call(args);
        assert_eq!(ended.code, 0, "{args}: {ended:#?}");
    }
    assert_eq!(inner.read("seen"), "3\n3\n3\n");
    for args in ["--gpus 4", "--gpus 0,", "--gpus 3,0"] {
        let ended = call(args);
        assert_eq!(ended.code, 1, "{args}: {ended:#?}");
        let told = "error: a run within a task uses the devices that its task was given: 3";
        assert!(ended.err.contains(told), "{args}: {}", ended.err);
    }
    let none = call_within("{}", "--gpus 1");
    assert!(none.err.contains("that its task was given: none"), "{}", none.err);
    assert_eq!(inner.read("seen").lines().count(), 3);
}

const SHARED: &str = r#"
tasks:
  a:
    run: 'mkdir @/on-$CUDA_VISIBLE_DEVICES-$MATRIX_N; ls @/ | grep -c ^on-$CUDA_VISIBLE_DEVICES- >>@/most; sleep 0.2; rmdir @/on-*-$MATRIX_N; echo $CUDA_VISIBLE_DEVICES >>@/seen'
    matrix: { n: [1, 2, 3, 4] }
    resources: { cpu: 0, gpu: { count: 0.25, memory: MEMORY } }
    cache: false
"#;

#[test]
fn a_device_is_chosen_by_its_memory_and_shared_within_it() {
    for (memory, visible, jobs, most, seen) in [
        // 1 does not have as much; 2 does, but somebody uses it.
        ("12GiB", None, "2", 2, "0"),
        ("12GiB", Some("0,1"), "4", 2, "0"),
        ("20GiB", Some("0,1"), "4", 1, "0"),
    ] {
        let space = with_driver(&SHARED.replace("MEMORY", memory));
        let ended = run(&space, visible, &["--jobs", jobs]);
        assert_eq!(ended.code, 0, "{ended:#?}");
        let counts = space.read("most");
        assert!(counts.lines().all(|line| line.parse::<u32>().unwrap() <= most), "{memory}: {counts}");
        assert!(space.read("seen").lines().all(|line| line == seen), "{memory}: {}", space.read("seen"));
    }
}

#[test]
fn more_memory_than_any_device_has_is_refused_before_anything_runs() {
    let space = with_driver("tasks:\n  a: { run: 'touch @/ran', resources: { gpu: { count: 2, memory: 20GiB } } }\n");
    let refused = run(&space, Some("0,1"), &[]);
    assert_eq!(refused.code, 2, "{refused:#?}");
    let told = "`a` cannot run here: it asks for 2 gpu with 20.0 GiB, and this machine has 1 of 2 with as much (24.0 GiB at most)";
    assert!(refused.err.contains(told), "{}", refused.err);
    assert!(!space.exists("ran"));
    // On 2 somebody uses most of it, but that may end: it counts.
    assert_eq!(run(&space, None, &[]).counts(), Counts(1, 0, 0, 0));
}

#[test]
fn declared_memory_of_a_device_counts_without_a_driver() {
    let space = Space::with_flow(
        "tasks:\n  a: { run: 'echo $CUDA_VISIBLE_DEVICES >@/seen', resources: { gpu: { memory: 20GiB } } }\n",
    );
    space.write("ghtrader.yaml", "machine: { gpus: [{ index: 0, memory: 8GiB }, { index: 3, memory: 24GiB }] }\n");
    space.up_to_date(&[]);
    assert_eq!(space.read("seen"), "3\n");
    space.write("ghtrader.yaml", "machine: { gpus: [{ index: 0, memory: 8GiB }] }\n");
    space.refused(
        &[],
        2,
        &["it asks for 1 gpu with 20.0 GiB, and this machine has 0 of 1 with as much (8.0 GiB at most)"],
    );
    // At the user's word.
    space.up_to_date(&["--gpus", "1"]);
}

/// A task that cannot use device 0.
const FRAGILE: &str = r#"
tasks:
  fragile:
    run: |
      echo "$CUDA_VISIBLE_DEVICES" >>@/tried
      case $CUDA_VISIBLE_DEVICES in BROKEN) echo "RuntimeError: CUDA error: unspecified launch failure" >&2; exit 1 ;; esac
      echo done >"$OUTPUT_X"
    outputs: { x: x }
    resources: { gpu: 1 }
  later: { run: 'echo "$CUDA_VISIBLE_DEVICES" >>@/later', needs: [fragile], matrix: { n: [1, 2] }, resources: { cpu: 0, gpu: 0.5 } }
  all: { run: 'echo "$CUDA_VISIBLE_DEVICES" >>@/all', needs: [later], resources: { gpu: 2 } }
"#;

#[test]
fn a_task_whose_device_fails_runs_on_another_and_that_one_is_set_aside() {
    let space = Space::with_flow(&FRAGILE.replace("BROKEN", "0"));
    let told = space.run(&["--gpus", "2"]);
    assert_eq!((told.code, told.counts()), (0, Counts(4, 0, 0, 0)), "{told:#?}");
    assert!(
        told.err.contains("fragile failed on device 0, which is set aside; again on another one: RuntimeError: CUDA")
    );
    assert_eq!(space.read("tried"), "0\n1\n");
    assert_eq!(space.read("later"), "1\n1\n");
    assert_eq!(space.read("all"), "0,1\n", "what cannot do without it gets it");
}

#[test]
fn a_task_that_fails_on_every_device_fails_and_the_devices_are_used_again() {
    let space = Space::with_flow(&FRAGILE.replace("BROKEN", "*"));
    let told = space.run(&["--gpus", "3"]);
    assert_eq!((told.code, told.counts()), (1, Counts(0, 0, 1, 3)), "{told:#?}");
    assert!(told.err.contains("fragile failed on device 1 as on device 0, which is used again"), "{}", told.err);
    assert_eq!(space.read("tried"), "0\n1\n", "not on a third one");
    let alone = space.run(&["fragile", "--gpus", "1"]);
    assert_eq!(alone.counts(), Counts(0, 0, 1, 0), "there is no other one");
    assert_eq!(space.read("tried"), "0\n1\n0\n");
}

/// A task whose attempts fail on some devices, and what it tried.
fn tried(gpus: &str, gpu: u32, attempts: u32, broken: &str) -> (crate::space::Answer, String) {
    let space = Space::with_flow(&format!(
        r#"
tasks:
  a:
    run: 'echo "$CUDA_VISIBLE_DEVICES" >>@/tried; case $CUDA_VISIBLE_DEVICES in {broken}) echo "HIP error: invalid device" >&2; exit 1 ;; esac'
    resources: {{ gpu: {gpu} }}
    retries: {{ attempts: {attempts}, backoff: 20ms }}
  later: {{ run: 'echo "later $CUDA_VISIBLE_DEVICES" >>@/tried', needs: [a], resources: {{ gpu: 0.5 }} }}
"#
    ));
    let ended = space.run(&["--gpus", gpus]);
    (ended, space.read("tried").replace('\n', " "))
}

#[test]
fn every_attempt_after_a_device_failed_is_on_one_that_has_not() {
    let (ended, tried) = tried("4", 1, 4, "0|1");
    assert_eq!(ended.counts(), Counts(2, 0, 0, 0), "{ended:#?}");
    assert_eq!(tried, "0 1 2 later 0 ", "0 is used again");
    assert_eq!(ended.err.matches("which is set aside").count(), 1, "{}", ended.err);
    assert_eq!(ended.err.matches("as on device 0, which is used again: HIP error").count(), 1, "{}", ended.err);
    assert_eq!(ended.err.matches("(attempt 1 of 4); again on other devices in 0.0 s").count(), 1, "{}", ended.err);
}

#[test]
fn attempts_end_when_all_devices_have_failed_the_task() {
    let (ended, tried) = tried("3", 1, 4, "*");
    assert_eq!(ended.counts(), Counts(0, 0, 1, 1), "{ended:#?}");
    assert_eq!(tried, "0 1 2 2 2 ", "one was free, four were attempts: with no other left, on the last one");
    assert_eq!(ended.err.matches("which is used again").count(), 1, "{}", ended.err);
}

#[test]
fn several_devices_that_fail_are_left_together_and_none_is_set_aside() {
    let (ended, tried) = tried("4", 2, 1, "0,*");
    assert_eq!(ended.counts(), Counts(2, 0, 0, 0), "{ended:#?}");
    assert_eq!(tried, "0,1 2,3 later 0 ");
    assert!(ended.err.contains("a failed on the devices 0, 1; again on others: HIP error"), "{}", ended.err);
}

#[test]
fn several_devices_that_fail_are_left_as_far_as_there_are_others() {
    let (ended, given) = tried("3", 2, 2, "0,*");
    assert_eq!(ended.counts(), Counts(2, 0, 0, 0), "{ended:#?}");
    assert_eq!(given, "0,1 1,2 later 0 ", "for want of two others this was an attempt");
    let (ended, given) = tried("2", 2, 2, "0,*");
    assert_eq!(ended.counts(), Counts(0, 0, 1, 1), "{ended:#?}");
    assert_eq!(given, "0,1 0,1 ");
}
