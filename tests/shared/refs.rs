//! Refs that machines share.

use crate::space::Counts;
use crate::store::Stores;

const FLOW: &str = r#"
tasks:
  model:
    run: 'echo ${{ params.value }} >"$OUTPUT_MODEL"; echo "{\"promote\": true}" >"$OUTPUT_DECISION"'
    outputs: { model: model, decision: decision.json }
    publish: { model: { ref: model/ü, when: decision.promote } }
params:
  value: { type: integer, default: 1 }
"#;

pub(crate) fn a_ref_is_the_same_everywhere(stores: &Stores) {
    stores.each(|place| {
        let (one, two) = (place.machine(FLOW), place.machine(FLOW));
        one.run(&[]);
        assert_eq!(two.output("model/ü"), "1\n", "with its object");
        two.run(&["-p", "value=2"]);
        assert_eq!(one.output("model/ü"), "2\n");
        one.well(&["refs", "rollback", "model/ü"]);
        assert_eq!(two.output("model/ü"), "1\n");
        let log = two.well(&["refs", "log", "model/ü"]).out;
        assert_eq!(log.lines().count(), 4, "{log}");
        let three = place.machine(FLOW);
        assert_eq!(three.well(&["refs", "log", "model/ü"]).out, log, "before it has anything of its own");
        assert!(!three.space.exists("cache/v1/refs/model"), "whoever only looks writes nothing");
        // A result moves a ref at most once, wherever it was made.
        assert_eq!(three.run(&["-p", "value=2"]), Counts(0, 1, 0, 0));
        assert_eq!(three.output("model/ü"), "1\n");
    });
}

pub(crate) fn refs_moved_at_once_lose_no_move(stores: &Stores) {
    stores.each(|place| {
        let machines: Vec<_> = (0..3).map(|_| place.machine(FLOW)).collect();
        machines[0].run(&[]);
        std::thread::scope(|scope| {
            for machine in &machines {
                scope.spawn(|| {
                    for _ in 0..4 {
                        machine.well(&["refs", "set", "at/once", "model/ü"]);
                    }
                });
            }
        });
        let logs: Vec<String> = machines.iter().map(|machine| machine.well(&["refs", "log", "at/once"]).out).collect();
        assert_eq!(logs[0].lines().count(), 13, "{}", logs[0]);
        assert!(logs.iter().all(|log| *log == logs[0]), "{logs:#?}");
    });
}

pub(crate) fn refs_moved_apart_are_told(stores: &Stores) {
    stores.each(|place| {
        let (one, two) = (place.alone(FLOW), place.alone(FLOW));
        one.run(&[]);
        two.run(&["-p", "value=2"]);
        one.share(&place.address);
        two.share(&place.address);
        one.well(&["cache", "push"]);
        let told = two.call(&["cache", "push"]);
        assert_eq!(told.code, 4, "{told:#?}");
        assert!(
            told.err.contains("the ref `model/ü` was moved here and in the shared cache independently"),
            "{told:#?}"
        );
        let told = two.call(&["refs", "set", "model/ü", "test:model.model"]);
        assert_eq!(told.code, 4, "{told:#?}");
        // Also where the shared one is longer than that of this machine.
        one.well(&["refs", "set", "model/ü", "test:model.model"]);
        for command in [&["refs"][..], &["run", "test"], &["refs", "rollback", "model/ü"]] {
            let told = two.call(command);
            assert!(told.code == 4 && told.err.contains("independently"), "{told:#?}");
        }
        std::fs::rename(two.space.path("cache/v1/refs/model"), two.space.path("aside")).unwrap();
        assert_eq!(two.output("model/ü"), "1\n");
        assert_eq!(two.well(&["refs", "log", "model/ü"]).out.lines().count(), 3);
        two.well(&["refs", "set", "model/ü", "test:model.model"]);
        assert_eq!(one.output("model/ü"), "2\n");
    });
}
