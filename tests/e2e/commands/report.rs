//! `report RUN -o FILE.html`.

use crate::space::Space;

fn space() -> Space {
    let space = Space::with_flow(
        r#"
params: { note: "<b>&'" }
tasks:
  good: { run: 'sleep 0.2; echo $PARAM_NOTE >$OUTPUT_A', with: { note: "${{ params.note }}" }, outputs: { a: a } }
  bad: { run: 'echo "<script>alert(1)</script>"; [ -e FIXED ]', retries: { attempts: 2, backoff: 10ms } }
  after: { run: 'true', needs: [bad] }
"#,
    );
    let fixed = space.path("fixed");
    space.flow(&space.read("flows/test.yaml").replace("FIXED", &fixed.display().to_string()));
    space
}

#[test]
fn a_run_is_one_page_with_its_tasks_its_times_and_its_failures() {
    let space = space();
    assert_eq!(space.run(&["-k"]).code, 1);
    let answer = space.call(&["report", "last", "-o", "run.html"]);
    assert_eq!(answer.code, 0, "{answer:#?}");
    let html = space.read("run.html");
    for part in [
        "1 ran",
        "1 failed",
        "1 skipped",
        "<h3>bad</h3>",
        "(attempt 2 of 2)",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "parameter note",
        "&lt;b&gt;&amp;'",
        "<td>good</td><td class=\"ran\">ran</td><td>never ran</td>",
        "<tr><th>good</th>",
        "<tr><th>bad</th>",
        "MiB</td><td class=\"n\">1</td>",
    ] {
        assert!(html.contains(part), "{part} is not in {html}");
    }
    assert!(!html.contains("<script") && !html.contains("://"));

    space.write("fixed", "");
    space.up_to_date(&[]);
    assert_eq!(space.call(&["report", "last", "-o", "run.html"]).code, 0);
    let html = space.read("run.html");
    assert!(html.contains("2 ran") && html.contains("1 cached") && !html.contains("<h2>Failures"), "{html}");
    assert_eq!(
        std::fs::read_dir(space.root()).unwrap().count(),
        4,
        "flows, cache, fixed, run.html and nothing half-written"
    );
}

#[test]
fn a_page_that_cannot_be_written_is_an_error_that_says_so() {
    let space = space();
    space.write("fixed", "");
    space.up_to_date(&[]);
    assert_eq!(space.call(&["report", "last", "-o", "flows"]).code, 2);
    assert_ne!(space.call(&["report", "last", "-o", "nowhere/x.html"]).code, 0);
    assert_eq!(space.call(&["report", "none", "-o", "x.html"]).code, 2);
}

#[test]
fn a_device_is_written_to_and_a_link_stays() {
    let space = Space::with_flow("tasks: { a: { run: 'true' } }");
    space.up_to_date(&[]);
    space.write("page.html", "");
    std::os::unix::fs::symlink("page.html", space.path("link.html")).unwrap();
    std::os::unix::fs::symlink("/dev/null", space.path("null")).unwrap();
    for name in ["link.html", "null"] {
        let told = space.call(&["report", "last", "-o", name]);
        assert_eq!(told.code, 0, "{told:#?}");
        assert!(space.path(name).is_symlink());
    }
    assert!(space.read("null").is_empty() && space.read("page.html").contains("<html"));
}
