//! The store: what it holds, whether it is whole, and removing what nothing uses.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::Duration;

use crate::space::{Answer, Counts, Space};

fn space() -> Space {
    Space::with_flow(
        r#"
params: { k: 2 }
tasks:
  make: { run: 'mkdir $OUTPUT_F; echo same >$OUTPUT_F/same; echo $PARAM_K >$OUTPUT_F/own', with: { k: "${{ params.k }}" }, outputs: { f: f } }
  use:
    run: 'cat $INPUT_F/own >$OUTPUT_MODEL; k=$(cat $INPUT_F/own); [ $k = 1 ] && ok=false || ok=true; echo "{\"ok\": $ok, \"k\": $k}" >$OUTPUT_DECISION'
    inputs: { f: { from: make } }
    outputs: { model: model.txt, decision: decision.json }
    publish: { model: { ref: model, when: decision.ok } }
"#,
    )
}

/// The program, once what was stored is older than the grain of the clock.
fn cache(space: &Space, args: &[&str]) -> Answer {
    std::thread::sleep(Duration::from_millis(40));
    space.call(&[&["cache"], args].concat())
}

fn objects(space: &Space) -> usize {
    let shards = std::fs::read_dir(space.path("cache/v1/objects")).unwrap();
    shards.map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap().count()).sum()
}

#[test]
fn gc_keeps_what_is_last_and_what_refs_name_and_lineage_leads_through_the_rest() {
    let space = space();
    for k in ["1", "2"] {
        assert_eq!(space.up_to_date(&["-p", &format!("k={k}")]), Counts(2, 0, 0, 0));
    }
    let old = space.call(&["get", "test:use.decision", "-o", "decision.json"]);
    space.up_to_date(&["-p", "k=1"]);
    let gone = space.call(&["get", "test:use.decision", "-o", "decision.json"]).out[..8].to_owned();
    assert_ne!(gone, old.out[..8]);
    space.up_to_date(&[]);
    let before = objects(&space);
    assert_eq!(cache(&space, &["gc"]).code, 0);
    assert_eq!(objects(&space), before, "all of it was used within 30 days");
    let dry = cache(&space, &["gc", "--keep-days", "0", "--dry-run"]);
    assert_eq!(objects(&space), before);
    let collected = cache(&space, &["gc", "--keep-days", "0"]);
    // The listing of the first `make`, its own file, which the first `use` wrote too, and the decision of that.
    assert!(collected.out.starts_with("removed 3 objects"), "{collected:#?}");
    assert_eq!(dry.out.replace("would remove", "removed").replace("would keep", "kept"), collected.out);
    assert_eq!(objects(&space), before - 3);
    assert_eq!(cache(&space, &["verify"]).code, 0);
    assert_eq!(space.up_to_date(&["-p", "k=2"]), Counts(0, 2, 0, 0));

    // What went is still known.
    assert!(space.call(&["lineage", &gone]).out.contains("make  key"));
    let refused = space.call(&["get", &gone, "-o", "x"]);
    assert!(refused.code == 4 && refused.err.contains("not in the cache"), "{refused:#?}");
    let plan = space.run(&["-n", "-p", "k=1"]);
    assert!(format!("{plan:?}").contains("make (output f was collected)"), "{plan:#?}");
    assert_eq!(space.up_to_date(&["-p", "k=1"]), Counts(2, 0, 0, 0));
}

#[test]
fn gc_removes_what_failed_tasks_left_and_old_logs_but_no_record() {
    let space = Space::with_flow("tasks: { a: { run: 'echo log; echo >big; exit 1' } }");
    assert_eq!(space.run(&[]).code, 1);
    let log = || space.call(&["log", "last", "a"]);
    assert_eq!(log().out, "log\n");
    let dry = cache(&space, &["gc", "--keep-days", "0", "--dry-run"]);
    assert!(dry.out.contains("would remove 1 folders of failed tasks"), "{dry:#?}");
    assert_eq!(log().out, "log\n");
    let collected = cache(&space, &["gc", "--keep-days", "0"]);
    assert!(collected.out.contains("removed the logs of 1 runs"), "{collected:#?}");
    assert_eq!(std::fs::read_dir(space.path("cache/v1/scratch")).unwrap().count(), 0);
    assert!(space.call(&["show", "last"]).out.contains("failed"));
    let gone = log();
    assert!(gone.code == 2 && gone.err.contains("was removed"), "{gone:#?}");
}

#[test]
fn verify_reports_what_is_damaged_or_lost_and_run_makes_it_again() {
    let space = space();
    space.up_to_date(&[]);
    let whole = cache(&space, &["verify"]);
    assert!(whole.code == 0 && whole.out.contains("all whole"), "{whole:#?}");
    let model = space.call(&["get", "test:use.model", "-o", "model.txt"]).out;
    let object = space.path(&format!("cache/v1/objects/{}/{}", &model[..2], &model[2..64]));
    std::fs::set_permissions(&object, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(&object, "x").unwrap();
    let damaged = cache(&space, &["verify"]);
    assert_eq!(damaged.code, 4, "{damaged:#?}");
    assert!(damaged.out.contains(&format!("damaged  object {}", &model[..8])), "{damaged:#?}");
    assert!(damaged.out.contains("help: `ghtrader run test`"), "{damaged:#?}");
    std::fs::remove_file(&object).unwrap();
    let lost = cache(&space, &["verify"]);
    assert!(lost.code == 4 && lost.out.contains("output model of test:use"), "{lost:#?}");
    assert!(lost.out.contains("move 1 of ref model"), "{lost:#?}");
    assert_eq!(space.up_to_date(&[]), Counts(1, 1, 0, 0));
    assert_eq!(cache(&space, &["verify"]).code, 0);

    space.write("cache/v1/refs/model/1.json", "{");
    let damaged = cache(&space, &["verify"]);
    assert!(damaged.code == 4 && damaged.out.contains("is not a move of a ref"), "{damaged:#?}");
    assert_eq!(cache(&space, &["gc"]).code, 4, "nothing goes while it is not known what a ref points to");
}

/// Lets an object rot: its bytes change, and the file system says of it what the index says.
fn rot(space: &Space, hex: &str) {
    let object = space.path(&format!("cache/v1/objects/{}/{}", &hex[..2], &hex[2..]));
    let bytes = std::fs::read(&object).unwrap();
    std::fs::set_permissions(&object, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(&object, bytes.to_ascii_uppercase()).unwrap();
    let now = std::fs::metadata(&object).unwrap();
    let nanos = |seconds: i64, nanos: i64| seconds * 1_000_000_000 + nanos;
    let index = rusqlite::Connection::open(space.path("cache/v1/index.db")).unwrap();
    let sql = format!("UPDATE objects SET mtime = ?1, ctime = ?2, mode = ?3 WHERE hash = x'{hex}'");
    let times = (nanos(now.mtime(), now.mtime_nsec()), nanos(now.ctime(), now.ctime_nsec()), now.mode());
    assert_eq!(index.execute(&sql, times).unwrap(), 1);
}

#[test]
fn rot_that_no_time_shows_is_made_again_once_verify_has_found_it() {
    let flow = "tasks:
  make: { run: 'echo text >$OUTPUT_F', outputs: { f: f } }
  use: { run: 'cat $INPUT_F >$OUTPUT_G', inputs: { f: { from: make } }, outputs: { g: g } }";
    let space = Space::with_flow(flow);
    space.up_to_date(&[]);
    let hex = space.call(&["get", "test:make.f", "-o", "f"]).out[..64].to_owned();
    rot(&space, &hex);
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0), "nothing shows it");
    let verified = cache(&space, &["verify"]);
    assert!(verified.code == 4 && verified.out.contains(&hex[..8]), "{verified:#?}");
    assert_eq!(space.up_to_date(&[]), Counts(1, 1, 0, 0));
    assert_eq!(cache(&space, &["verify"]).code, 0);
}

#[test]
fn rot_in_a_schedule_is_found_by_the_run_that_reads_it_and_made_again_by_the_next() {
    let flow = r#"tasks:
  plan: { run: 'echo "[\"a\", \"b\"]" >$OUTPUT_DAYS', outputs: { days: days.json } }
  day: { matrix: { d: { from: plan } }, run: 'true' }"#;
    let space = Space::with_flow(flow);
    space.up_to_date(&[]);
    let hex = space.call(&["get", "test:plan.days", "-o", "f"]).out[..64].to_owned();
    rot(&space, &hex);
    let found = space.run(&[]);
    assert_eq!(found.code, 4, "{found:#?}");
    assert!(found.err.contains("is damaged") && !found.err.contains("test.yaml"), "no error of the flow: {found:#?}");
    assert_eq!(space.up_to_date(&[]), Counts(1, 2, 0, 0));
}

#[test]
fn rot_that_a_run_comes_upon_in_its_midst_is_no_error_of_the_flow_either() {
    let flow = r#"tasks:
  first: { run: 'echo same >$OUTPUT_F', outputs: { f: f }, cache: false }
  plan: { run: 'echo "[\"a\", \"b\"]" >$OUTPUT_DAYS', inputs: { f: { from: first } }, outputs: { days: days.json } }
  day: { matrix: { d: { from: plan } }, run: 'true' }"#;
    let space = Space::with_flow(flow);
    space.up_to_date(&[]);
    let hex = space.call(&["get", "test:plan.days", "-o", "f"]).out[..64].to_owned();
    rot(&space, &hex);
    let found = space.run(&[]);
    assert!(found.code == 4 && found.err.contains("is damaged"), "{found:#?}");
    assert_eq!(space.up_to_date(&[]), Counts(2, 2, 0, 0));
}

#[test]
fn stats_say_what_takes_the_room() {
    let space = space();
    assert_eq!(cache(&space, &["stats"]).code, 0);
    space.up_to_date(&[]);
    let stats = cache(&space, &["stats"]);
    for line in ["objects", "results", "test:make", "test:use"] {
        assert!(stats.out.contains(line), "{line} is not in {stats:#?}");
    }
    let objects = stats.out.lines().find(|line| line.starts_with("objects")).unwrap();
    assert!(objects.contains(&self::objects(&space).to_string()), "{stats:#?}");
}

#[test]
fn gc_beside_a_run_takes_nothing_from_it() {
    let space = Space::with_flow(
        r#"
params: { k: 1 }
tasks:
  a: { run: 'echo $PARAM_K >$OUTPUT_A', with: { k: "${{ params.k }}" }, outputs: { a: a } }
  slow: { run: 'touch started; until [ -e "$PARAM_GO" ]; do sleep 0.02; done; cp $INPUT_A $OUTPUT_B', with: { go: "${{ params.k }}" }, inputs: { a: { from: a } }, outputs: { b: b } }
"#,
    );
    let go = space.path("go");
    let yaml = space
        .read("flows/test.yaml")
        .replace("{ go: \"${{ params.k }}\" }", &format!("{{ go: \"{}\" }}", go.display()));
    space.flow(&yaml);
    // What the run finds cached is neither last nor young nor used within no days.
    for k in ["k=1", "k=2"] {
        space.up_to_date(&["-p", k, "a"]);
    }
    let child = space.spawn(&["run", "test", "-p", "k=1"]);
    while !space
        .path("cache/v1/scratch")
        .read_dir()
        .unwrap()
        .any(|run| run.unwrap().path().read_dir().unwrap().count() > 0)
    {
        std::thread::sleep(Duration::from_millis(10));
    }
    let collected = cache(&space, &["gc", "--keep-days", "0"]);
    assert!(collected.code == 0 && collected.out.starts_with("removed 0 objects"), "{collected:#?}");
    space.write("go", "");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(cache(&space, &["verify"]).code, 0);
}
