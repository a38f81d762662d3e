//! Stores that are damaged, lose something, are not there, or refuse.

use crate::space::{CHAIN, Counts, files_below};
use crate::store::{Machine, Place, Stores};

/// Those whose files can be harmed.
const OF_FILES: [&str; 2] = ["a folder", "versitygw"];

fn with_chain(machine: Machine) -> Machine {
    machine.space.write("text.txt", "b a b");
    machine
}

fn one_has_run(place: &Place<'_>) {
    assert_eq!(with_chain(place.machine(CHAIN)).run(&["words"]), Counts(1, 0, 0, 0));
}

/// What another machine does with an object that was harmed, and yet another one after it.
fn is_made_again(place: &Place<'_>, told: &str) {
    let two = with_chain(place.machine(CHAIN));
    let failed = two.call(&["run", "test"]);
    assert_eq!(failed.code, 4, "{failed:#?}");
    assert!(failed.err.contains(told), "{failed:#?}");
    assert_eq!(two.run(&[]), Counts(2, 0, 0, 0));
    assert_eq!(two.output("test:count.count"), "2\n");
    let three = with_chain(place.machine(CHAIN));
    assert_eq!(three.run(&[]), Counts(0, 2, 0, 0));
    assert_eq!(three.output("test:words.words"), "a\nb\n");
}

pub(crate) fn what_is_damaged_there_is_made_again(stores: &Stores) {
    for name in OF_FILES {
        let place = stores.one(name);
        one_has_run(&place);
        let objects = files_below(&place.file("objects"));
        assert_eq!(objects.len(), 1);
        std::fs::write(&objects[0], "other").unwrap();
        is_made_again(&place, "is damaged; it is not used");
    }
}

pub(crate) fn what_is_lost_there_is_made_again(stores: &Stores) {
    for name in OF_FILES {
        let place = stores.one(name);
        one_has_run(&place);
        std::fs::remove_file(&files_below(&place.file("objects"))[0]).unwrap();
        is_made_again(&place, "is not in the cache");
    }
}

pub(crate) fn a_manifest_that_is_none_does_not_count(stores: &Stores) {
    for name in OF_FILES {
        let place = stores.one(name);
        one_has_run(&place);
        let results = files_below(&place.file("results"));
        assert_eq!(results.len(), 1);
        std::fs::write(&results[0], "{").unwrap();
        let two = with_chain(place.machine(CHAIN));
        let told = two.well(&["run", "test"]);
        assert_eq!(told.counts(), Counts(2, 0, 0, 0));
        assert!(told.err.contains("is not a manifest"), "{told:#?}");
        // Its result got the next number.
        assert_eq!(files_below(&place.file("results")).len(), 3);
        let three = with_chain(place.machine(CHAIN));
        assert_eq!(three.run(&[]), Counts(0, 2, 0, 0));
    }
}

pub(crate) fn a_store_that_is_not_there_is_told(stores: &Stores) {
    let place = stores.one("gofakes3");
    let machine = with_chain(place.machine(CHAIN));
    machine.share("s3://there-is-none/x");
    let told = machine.call(&["run", "test"]);
    assert_eq!(told.code, 4, "{told:#?}");
    assert!(told.err.contains("s3://there-is-none/x") && told.err.contains("make it"), "{told:#?}");
    for (address, why) in [
        ("gs://bucket", "`gs` is not known"),
        ("s3://", "names no bucket"),
        ("s3://UPPER/x", "`UPPER` cannot be the name of one"),
        ("s3://bucket/a/../b", "`.`, `..` or empty"),
        ("[]", "has to be a text"),
    ] {
        machine.share(address);
        let told = machine.call(&["run", "test"]);
        assert_eq!(told.code, 2, "{told:#?}");
        assert!(told.err.contains(why) && told.err.contains("ghtrader.yaml:1:8"), "{told:#?}");
    }
    for folder in ["text.txt/below-a-file", "not/made/yet"] {
        machine.share(folder);
        let told = machine.call(&["run", "test"]);
        assert!(told.code == 4 && told.err.contains("it is not there; make it, or mount it"), "{told:#?}");
    }
    assert!(!machine.space.exists("not"));
    // Nobody listens there.
    machine.share(&place.address);
    let mut command = machine.command(&["run", "test"]);
    let told = crate::space::answer(command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9"));
    assert_eq!(told.code, 4, "{told:#?}");
    assert!(told.err.contains("refused") && told.err.contains("AWS_ENDPOINT_URL"), "{told:#?}");
    assert!(
        !machine.space.path("cache/v1/results").exists()
            || files_below(&machine.space.path("cache/v1/results")).is_empty()
    );
}

pub(crate) fn a_store_that_goes_away_loses_nothing(stores: &Stores) {
    // In the middle of the run: the first task takes the folder's rights away, in a way that root feels, too.
    let place = stores.one("a folder");
    let flow = format!(
        "tasks:\n  a: {{ run: 'rm -r {0}; touch {0}; echo a >$OUTPUT_X', outputs: {{ x: x }} }}\n",
        place.address
    );
    let machine = place.machine(&flow);
    let told = machine.call(&["run", "test"]);
    assert_eq!((told.code, told.counts()), (4, Counts(1, 0, 0, 0)), "{told:#?}");
    assert!(
        told.err.contains("1 result is recorded here and not shared") && told.err.contains("cache push"),
        "{told:#?}"
    );
    std::fs::remove_file(&place.address).unwrap();
    std::fs::create_dir(&place.address).unwrap();
    assert_eq!(machine.run(&[]), Counts(0, 1, 0, 0));
    assert_eq!(place.machine(&flow).run(&[]), Counts(0, 1, 0, 0), "it was shared by the next run");
}

pub(crate) fn a_run_goes_on_where_a_store_goes_away(stores: &Stores) {
    let place = stores.one("a folder");
    let step = |n: usize, first: &str| {
        format!(
            "  a{n}: {{ run: '{first} echo {n} >$OUTPUT_X', needs: [{}], outputs: {{ x: x }} }}\n",
            if n > 0 { format!("a{}", n - 1) } else { String::new() }
        )
    };
    let gone = format!("rm -r {0}; touch {0};", place.address);
    let flow = format!("tasks:\n{}{}{}", step(0, &gone), step(1, ""), step(2, ""));
    let machine = place.machine(&flow);
    let told = machine.call(&["run", "test"]);
    assert_eq!((told.code, told.counts()), (4, Counts(3, 0, 0, 0)), "{told:#?}");
    assert!(told.err.contains("what others execute now is not waited for"), "{told:#?}");
    assert!(told.err.contains("3 results are recorded here and not shared"), "{told:#?}");
    std::fs::remove_file(&place.address).unwrap();
    std::fs::create_dir(&place.address).unwrap();
    let pushed = machine.well(&["cache", "push"]).out;
    assert!(pushed.starts_with("3 results and 0 moves of refs pushed"), "{pushed}");
    machine.share("cache");
    let told = machine.call(&["run", "test"]);
    assert!(told.code == 2 && told.err.contains("the cache of this machine alone"), "{told:#?}");
}

pub(crate) fn a_store_that_was_emptied_is_filled_again(stores: &Stores) {
    for name in OF_FILES {
        let place = stores.one(name);
        let one = with_chain(place.machine(CHAIN));
        one.run(&[]);
        std::fs::remove_dir_all(place.file("")).unwrap();
        let told = one.well(&["cache", "push"]).out;
        assert!(told.starts_with("2 results and 0 moves of refs pushed"), "{told}");
        let two = with_chain(place.machine(CHAIN));
        assert_eq!(two.run(&[]), Counts(0, 2, 0, 0));
        assert_eq!(two.output("test:words.words"), "a\nb\n");
        // And what a machine has damaged itself it gets from there.
        let object = two.space.object("test:words.words");
        std::fs::remove_file(&object).unwrap();
        std::fs::write(&object, "other").unwrap();
        assert_eq!(two.output("test:words.words"), "a\nb\n");
    }
}

pub(crate) fn an_endpoint_that_is_none_is_told(stores: &Stores) {
    let machine = with_chain(stores.one("gofakes3").machine(CHAIN));
    for endpoint in ["notaurl", "127.0.0.1:9000", "http://", ""] {
        let told = crate::space::answer(machine.command(&["run", "test"]).env("AWS_ENDPOINT_URL", endpoint));
        assert!(told.code == 4 && told.err.contains("AWS_ENDPOINT_URL is"), "{endpoint}: {told:#?}");
    }
}

pub(crate) fn a_wrong_secret_is_refused(stores: &Stores) {
    let place = stores.one("versitygw");
    assert!(place.store.checks);
    one_has_run(&place);
    let mut machine = with_chain(place.machine(CHAIN));
    machine.secret = "another".to_owned();
    let told = machine.call(&["run", "test"]);
    assert_eq!(told.code, 4, "{told:#?}");
    assert!(told.err.contains("AWS_SECRET_ACCESS_KEY") && !told.err.contains("another"), "{told:#?}");
    machine.secret = crate::store::SECRET.to_owned();
    assert_eq!(machine.run(&["words"]), Counts(0, 1, 0, 0));
}

pub(crate) fn what_is_known_of_the_store_may_be_lost(stores: &Stores) {
    stores.each(|place| {
        one_has_run(place);
        let two = with_chain(place.machine(CHAIN));
        assert_eq!(two.run(&["words"]), Counts(0, 1, 0, 0));
        let known = files_below(&two.space.path("cache/v1/shared"));
        assert!(known.iter().any(|path| path.extension().is_some_and(|extension| extension == "db")), "{known:?}");
        for known in &known {
            std::fs::write(known, "no database at all, but long enough to be taken for one".repeat(100)).unwrap();
        }
        // It is asked for again: that the words are there, and nowhere else.
        assert_eq!(two.run(&[]), Counts(1, 1, 0, 0));
        std::fs::remove_dir_all(two.space.path("cache/v1/shared")).unwrap();
        std::fs::remove_dir_all(two.space.path("cache/v1/objects")).unwrap();
        assert_eq!(two.run(&[]), Counts(0, 2, 0, 0));
    });
}
