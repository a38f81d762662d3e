//! Markers of this run and of earlier ones become one list.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail anywhere")]

use ghtrader_kit::Bench;
use ghtrader_markers::Markers;
use serde_json::{Value, json};

#[test]
fn all_of_them_in_one_list() {
    let folder = tempfile::tempdir().unwrap();
    let new = json!([{ "contract": "SHFE.cu2403", "day": "2024-01-26", "reason": "tqsdk has no ticks of it" }]);
    for (name, value) in
        [("contract=SHFE.cu2403/day=2024-01-26", &new), ("contract=SHFE.cu2403/day=2024-01-29", &json!([]))]
    {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("no_data.json"), value.to_string()).unwrap();
    }
    let files = [
        "m/fetched/SHFE.au2404/2024-01-25/no_data.files.json",
        "m/fetched/SHFE.cu2403/2024-01-26/no_data.files.json",
        "m/fetched/SHFE.cu2403/2024-01-29/no_data.files.json",
        "m/fetched/no_data.json",
    ];
    // Of the 29th, another source has ticks now.
    let asked = json!({ "SHFE.cu2403": ["2024-01-26", "2024-01-29"] });
    let bench = Bench::<Markers>::new().unwrap().input("no_data", folder.path()).input_json("asked", &asked).unwrap();
    let done = bench.run(json!({ "files": files })).unwrap();
    assert_eq!(done.json::<Value>("new").unwrap(), new);
    let all = json!([
        { "contract": "SHFE.au2404", "day": "2024-01-25", "reason": "see fetched/SHFE.au2404/2024-01-25" },
        { "contract": "SHFE.cu2403", "day": "2024-01-26", "reason": "see fetched/SHFE.cu2403/2024-01-26" },
    ]);
    assert_eq!(done.json::<Value>("no_data").unwrap(), all);
}
