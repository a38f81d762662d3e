//! In what order tasks start, what is kept free for them, and the time line that follows from it: all learned from earlier runs.

use serde_json::json;
use unicode_width::UnicodeWidthStr as _;

use crate::space::Space;

#[test]
fn what_took_longest_before_starts_first() {
    let space = Space::with_flow(
        r#"
params: { x: 1 }
tasks:
  quick: { run: 'echo quick >>@/order; : ${{ params.x }}' }
  slow: { run: 'echo slow >>@/order; sleep 1; : ${{ params.x }}' }
"#,
    );
    space.up_to_date(&["--jobs", "1"]);
    assert_eq!(space.read("order"), "quick\nslow\n", "in the order of the flow, where nothing is known");
    space.up_to_date(&["--jobs", "1", "-p", "x=2"]);
    assert_eq!(space.read("order"), "quick\nslow\nslow\nquick\n");
}

#[test]
fn memory_that_was_needed_before_is_kept_free() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'mkdir @/running/$MATRIX_N; ls @/running | wc -l >>@/counts; head -c 100M /dev/zero | tail -c 90M >/dev/null; sleep 0.3; rmdir @/running/$MATRIX_N'
    matrix: { n: [1, 2, 3] }
    resources: { cpu: 0 }
"#,
    );
    std::fs::create_dir(space.path("running")).unwrap();
    space.up_to_date(&["--jobs", "3", "--memory", "150MiB"]);
    std::fs::remove_file(space.path("counts")).unwrap();
    space.up_to_date(&["--jobs", "3", "--memory", "150MiB", "--force", "a"]);
    let most = |text: String| text.lines().map(|line| line.trim().parse::<usize>().unwrap()).max();
    assert_eq!(most(space.read("counts")), Some(1), "two would need more than there is");
    // Never refused for it.
    space.up_to_date(&["--jobs", "3", "--memory", "10MiB", "--force", "a"]);
}

const GPUS: &str = r#"
params: { x: 1 }
tasks:
  train: { run: ': ${{ params.x }}', matrix: { n: [1, 2, 3, 4] }, resources: { gpu: 1 } }
  judge: { run: 'true', needs: [train] }
"#;
const FOUR: [&str; 6] = ["--gpus", "2", "--cpus", "4", "--jobs", "4"];

#[test]
fn a_simulation_says_how_long_it_would_take_and_what_no_schedule_can_do_better_than() {
    let space = Space::with_flow(GPUS);
    let simulate = |more: &[&str]| space.call(&[&["plan", "test", "--simulate"], &FOUR[..], more].concat());
    let answer = simulate(&["--format", "json"]);
    assert_eq!(answer.code, 0, "{answer:#?}");
    let simulated = &answer.events()[0];
    assert_eq!((&simulated["seconds"], &simulated["without_history"]), (&json!(3.0), &json!(5)), "{simulated:#}");
    assert_eq!(simulated["bounds"], json!({ "path": 2.0, "gpu": 2.0, "cpu": 1.25, "jobs": 1.25 }));
    let tasks = simulated["tasks"].as_array().unwrap();
    assert_eq!(tasks.last().unwrap(), &json!({ "task": "judge", "start": 2.0, "end": 3.0, "devices": [] }));
    let on = |device: u32| tasks.iter().filter(|task| task["devices"] == json!([device])).count();
    assert_eq!((on(0), on(1)), (2, 2));
    let text = simulate(&[]).out;
    assert!(text.starts_with("5 tasks, expected to take 3.00 s\nno schedule takes less than 2.00 s: "), "{text}");
    for part in ["5 never ran before", "train[n=1]", "1.00 s  gpu 1", "gpu 0  ", "67 % in use"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.lines().all(|line| line.width() <= 80), "{text}");
    assert!(!space.exists("cache"), "it writes nothing");
}

#[test]
fn a_simulation_goes_by_what_tasks_took_and_ends_where_nothing_has_to_run() {
    let space = Space::with_flow(&GPUS.replace(": ${{", "[ $MATRIX_N != 1 ] || sleep 1; : ${{"));
    space.up_to_date(&FOUR);
    assert_eq!(space.call(&["plan", "test", "--simulate", "--gpus", "2"]).out, "nothing has to run\n");
    let args = ["plan", "test", "--simulate", "-p", "x=2", "--format", "json"];
    let simulated = space.call(&[&args[..], &FOUR].concat()).events().remove(0);
    assert_eq!(simulated["without_history"], 0, "{simulated:#}");
    assert_eq!(simulated["may_run"], 1);
    let took = |name: &str| {
        let task = simulated["tasks"].as_array().unwrap().iter().find(|task| task["task"] == name).unwrap();
        task["end"].as_f64().unwrap() - task["start"].as_f64().unwrap()
    };
    assert!(took("judge") < 1.0 && simulated["seconds"].as_f64().unwrap() > 0.0, "{simulated:#}");
    let plan = space.call(&["plan", "test", "-p", "x=2", "--gpus", "2"]);
    assert!(plan.err.contains("runs     train[n=1] (command changed)"), "{plan:#?}");
}

#[test]
fn what_is_not_known_yet_is_simulated_as_one() {
    let space = Space::with_flow(
        r#"
tasks:
  list: { run: 'echo "[1, 2]" >$OUTPUT_DAYS', outputs: { days: days.json } }
  each: { run: 'echo $MATRIX_DAY >$OUTPUT_O', matrix: { day: { from: list.days } }, outputs: { o: o } }
  sum: { run: 'cat $INPUT_O/*/*', inputs: { o: { from: each } } }
"#,
    );
    let args = ["plan", "test", "--simulate", "--format", "json"];
    let simulated = space.call(&args).events().remove(0);
    let tasks = simulated["tasks"].as_array().unwrap();
    let names: Vec<&str> = tasks.iter().map(|task| task["task"].as_str().unwrap()).collect();
    assert_eq!(names, ["list", "each[day=*]", "sum"], "one after the other: {simulated:#}");
    assert_eq!((&simulated["seconds"], &simulated["unknown"]), (&json!(3.0), &json!(1)));
}

#[test]
fn plan_says_what_a_dry_run_says() {
    let space = Space::with_flow(GPUS);
    let strip = |text: &str| text.rsplit_once(" in ").unwrap().0.to_owned();
    let (plan, dry) = (space.call(&["plan", "test", "--gpus", "1"]), space.run(&["-n", "--gpus", "1"]));
    assert_eq!((strip(&plan.err), plan.code), (strip(&dry.err), 0));
    let watching = space.call(&["plan", "test", "--watch"]);
    assert_eq!(watching.code, 2, "{watching:#?}");
}

#[test]
fn the_page_of_a_run_has_its_devices_and_its_longest_path() {
    let space = Space::with_flow(GPUS);
    space.up_to_date(&FOUR);
    assert_eq!(space.call(&["report", "last", "-o", "run.html"]).code, 0);
    let html = space.read("run.html");
    for part in ["<h2>Devices</h2>", "<tr><th>gpu 0</th>", "<tr><th>gpu 1</th>", "title=\"train[n=1]\"", "no less than"]
    {
        assert!(html.contains(part), "{part} is not in {html}");
    }
}
