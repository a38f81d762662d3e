//! The kind `summary` on decisions.

use ghtrader_kit::{Bench, Done};
use ghtrader_summary::{Row, Summary};
use serde_json::{Value, json};

fn decision(variety: &str, horizon: u32, promote: bool) -> Value {
    let figures = json!({
        "rows": 1000.0, "accuracy": 0.612_345, "majority_floor": 0.5, "logloss_skill": 0.012_345, "skill_z": 7.25,
        "ece": 0.02, "trades": 0.0, "mean_net_ticks": null, "cost_ticks": null, "sharpe_daily": null,
        "observation_days": 5.0,
    });
    json!({
        "promote": promote, "variety": variety, "horizon": horizon, "regime": "synthetic",
        "chosen": promote.then_some("logistic"), "best": "logistic", "why": "because", "gates": [],
        "figures": figures, "incumbent": null, "candidates": [],
    })
}

fn summary(decisions: &[Value]) -> anyhow::Result<Done> {
    let folder = tempfile::tempdir()?;
    for decision in decisions {
        let at = folder.path().join(format!("variety={}/horizon={}", decision["variety"], decision["horizon"]));
        std::fs::create_dir_all(&at)?;
        std::fs::write(at.join("decision.json"), decision.to_string())?;
    }
    Bench::<Summary>::new()?.input("decisions", folder.path()).run(json!({}))
}

#[test]
fn rows_are_ordered_by_variety_and_by_the_number_of_the_horizon() {
    let decisions = [("cu", 200), ("ag", 50), ("cu", 10), ("cu", 50)].map(|(variety, n)| decision(variety, n, n == 50));
    let rows: Vec<Row> = summary(&decisions).unwrap().json("table").unwrap();
    let order: Vec<_> = rows.iter().map(|row| (row.variety.as_str(), row.horizon, row.verdict.as_str())).collect();
    assert_eq!(order, [("ag", 50, "promoted"), ("cu", 10, "refused"), ("cu", 50, "promoted"), ("cu", 200, "refused")]);
    assert_eq!(
        (rows[0].accuracy, rows[0].skill, rows[0].z, rows[0].net_ticks),
        (Some(0.612), Some(0.0123), Some(7.3), None)
    );
}

#[test]
fn a_file_that_is_no_decision_is_named() {
    let mut wrong = decision("cu", 10, true);
    wrong["surprise"] = json!(1);
    let error = format!("{:#}", summary(&[wrong]).err().unwrap());
    assert!(error.contains("decision.json is not a decision") && error.contains("surprise"), "{error}");
}

#[test]
fn no_decisions_give_an_empty_table() {
    assert_eq!(summary(&[]).unwrap().json::<Vec<Row>>("table").unwrap(), []);
}
