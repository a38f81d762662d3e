//! Cells from tick files.

use super::*;

fn names(done: &Done, variety: &str) -> Vec<String> {
    done.json::<Cells>("cells").unwrap()[variety].keys().cloned().collect()
}

#[test]
fn every_tick_file_is_a_cell() {
    let done = run(MARKET, params()).unwrap();
    let cells: Value = done.json("cells").unwrap();
    let expected = json!({
        "au": { "ticks.au2206.csv": { "file": "ticks/au2206.csv", "synthetic": null } },
        "cu": {
            "ticks.cu2203_20220217.csv": { "file": "ticks/cu2203_20220217.csv", "synthetic": null },
            "ticks.cu2203_20220218.csv": { "file": "ticks/cu2203_20220218.csv", "synthetic": null },
            "ticks.night.a.x.parquet": { "file": "ticks/night/a/x.parquet", "synthetic": null },
        },
    });
    assert_eq!(cells, expected);
}

#[test]
fn specifications_are_in_parts() {
    let specs: AllSpecs = run(MARKET, params()).unwrap().json("specs").unwrap();
    assert_eq!(specs["cu"].ticks.main_symbol(), "KQ.m@SHFE.cu");
    assert_eq!(specs["cu"].cost.multiplier, 5.0);
    let RollRule::Given(GivenRule { first, switches }) = &specs["cu"].roll.rule else { panic!("the rule is given") };
    assert_eq!((first.as_str(), switches.len()), ("SHFE.cu2202", 2));
    assert_eq!((switches[1].to.as_str(), switches[1].day.to_string().as_str()), ("SHFE.cu2204", "2022-02-23"));
    assert!(matches!(specs["au"].roll.rule, RollRule::Oi(_)));
}

#[test]
fn another_roll_rule_changes_only_its_part() {
    let oi = MARKET.replace("roll: {rule: given}", "roll: {rule: oi, min_oi: 10}");
    let specs = |market: &str| run(market, params()).unwrap().json::<AllSpecs>("specs").unwrap().remove("cu").unwrap();
    let (one, other) = (specs(MARKET), specs(&oi));
    assert_ne!(one.roll, other.roll);
    assert_eq!((one.ticks, one.cost), (other.ticks, other.cost));
}

#[test]
fn days_asked_for_leave_out_files_of_other_days() {
    let with = |from: &str, to: Value| {
        let mut params = params();
        params["from"] = json!(from);
        params["to"] = to;
        names(&run(MARKET, params).unwrap(), "cu")
    };
    assert_eq!(with("2022-02-18", Value::Null), ["ticks.cu2203_20220218.csv", "ticks.night.a.x.parquet"]);
    assert_eq!(with("2022-02-01", json!("2022-02-17")), ["ticks.cu2203_20220217.csv", "ticks.night.a.x.parquet"]);
    assert_eq!(with("2023-01-01", Value::Null), ["ticks.night.a.x.parquet"], "a name without a date says nothing");
}

#[test]
fn the_root_may_be_written_in_many_ways() {
    let expected = names(&run(MARKET, params()).unwrap(), "cu");
    let here: Vec<String> = FILES.iter().map(|file| file.replace("markets/m/", "")).collect();
    let dotted: Vec<String> = FILES.iter().map(|file| format!("./{file}")).collect();
    for (root, files) in
        [("markets/m/", json!(FILES)), ("./markets/m", json!(dotted)), (".", json!(here)), ("", json!(here))]
    {
        let done = run(MARKET, json!({ "root": root, "files": files })).unwrap();
        assert_eq!(names(&done, "cu"), expected, "{root}");
    }
}

#[test]
fn the_folder_and_the_patterns_have_to_agree() {
    let none = error(run(&MARKET.replace("ticks/au*", "ticks/ag*"), params()));
    assert!(none.contains("`au`") && none.contains("ticks/ag*.csv") && none.contains("6 files"), "{none}");
    let empty = error(run(MARKET, json!({ "root": "markets/m", "files": [] })));
    assert!(empty.contains("holds no files at all"), "{empty}");
    let outside = error(run(MARKET, json!({ "root": "markets/other", "files": FILES })));
    assert!(outside.contains("markets/m/README.md") && outside.contains("outside the market folder"), "{outside}");
    let sibling = error(run(MARKET, json!({ "root": "markets/m", "files": ["markets/m2/ticks/cu1.csv"] })));
    assert!(sibling.contains("outside"), "{sibling}");
    let climbing = error(run(&MARKET.replace("ticks/au*", "../au*"), params()));
    assert!(climbing.contains("leads out of the market folder"), "{climbing}");
    let broken = error(run(&MARKET.replace("ticks/au*", "ticks/[au"), params()));
    assert!(broken.contains("no file pattern"), "{broken}");
}

#[test]
fn a_variety_without_a_file_of_the_days_asked_for_has_no_cells_and_nothing_at_all_is_an_error() {
    let cells_of = |night: &str| {
        let files = ["m/ticks/cu_20220218.csv", night, "m/ticks/au_20220218.csv"];
        run(MARKET, json!({ "root": "m", "files": files, "from": "2022-02-19" }))
    };
    let done = cells_of("m/ticks/night/a.parquet").unwrap();
    let (cells, specs): (Cells, AllSpecs) = (done.json("cells").unwrap(), done.json("specs").unwrap());
    assert_eq!(cells.into_keys().collect::<Vec<_>>(), ["cu"]);
    assert_eq!(specs.into_keys().collect::<Vec<_>>(), ["au", "cu"], "the ledger asks for all");
    let message = error(cells_of("m/ticks/night/a_20220218.parquet"));
    assert!(message.contains("the market `m` lies in 2022-02-19 to …: widen"), "{message}");
}

#[test]
fn two_files_cannot_be_one_cell() {
    let files = ["m/ticks/au.csv", "m/ticks/cu1.csv", "m/ticks/night/a.b.parquet", "m/ticks/night/a/b.parquet"];
    let message = error(run(MARKET, json!({ "root": "m", "files": files })));
    assert!(message.contains("`ticks.night.a.b.parquet`") && message.contains("rename"), "{message}");
}

#[test]
fn unknown_keys_and_lists_that_do_not_fit_are_named() {
    let unknown = error(run(&MARKET.replace("multiplier: 5\n", "multiplier: 5\n    multipler: 5\n"), params()));
    assert!(unknown.contains("multipler") && unknown.contains("line"), "{unknown}");
    let parameter = error(run(MARKET, json!({ "root": "markets/m", "files": FILES, "form": null })));
    assert!(parameter.contains("form"), "{parameter}");
    let turned = ROLLS.replace("\"cu2203\", \"to\": \"cu2204\"", "\"cu2205\", \"to\": \"cu2204\"");
    let message = error(run_with(MARKET, Some(&turned), params()));
    assert!(message.contains("`cu`") && message.contains("2022-02-23") && message.contains("SHFE.cu2205"), "{message}");
    let message = error(run_with(MARKET, Some(&ROLLS.replace("date", "day")), params()));
    assert!(message.contains("rolls/cu.json") && message.contains("day"), "{message}");
    let message = error(run_with(MARKET, None, params()));
    assert!(message.contains("needs `first`"), "{message}");
}

#[test]
fn the_real_switches_of_copper_are_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/rolls/hots_SHFE_cu.json");
    let Ok(rolls) = std::fs::read_to_string(path) else {
        println!("skipped: {path} is not there");
        return;
    };
    let specs: AllSpecs = run_with(MARKET, Some(&rolls), params()).unwrap().json("specs").unwrap();
    let RollRule::Given(GivenRule { first, switches }) = &specs["cu"].roll.rule else { panic!("the rule is given") };
    assert_eq!(first, "SHFE.cu1004");
    let of_2022: Vec<_> =
        switches.iter().filter(|switch| switch.to == "SHFE.cu2204").map(|switch| switch.day.to_string()).collect();
    assert_eq!(of_2022, ["2022-02-23"]);
}

#[test]
fn symbols_leave_out_other_varieties_and_files_of_other_contracts() {
    let with = |symbols: Value| {
        let mut params = params();
        params["symbols"] = symbols;
        let mut files: Vec<&str> = FILES.to_vec();
        files.push("markets/m/ticks/cu2204_20220218.csv");
        params["files"] = json!(files);
        run(MARKET, params)
    };
    let named = |symbols: Value| {
        let cells: Cells = with(symbols).unwrap().json("cells").unwrap();
        cells.into_values().flat_map(std::collections::BTreeMap::into_keys).collect::<Vec<_>>()
    };
    assert_eq!(named(json!(["au"])), ["ticks.au2206.csv"]);
    assert_eq!(named(json!([])).len(), 5);
    assert_eq!(named(json!(["cu", "SHFE.cu2204"])).len(), 4, "all of copper");
    let one = ["ticks.au2206.csv", "ticks.cu2204_20220218.csv", "ticks.night.a.x.parquet"];
    assert_eq!(named(json!(["au", "SHFE.cu2204"])), one, "a path that names no contract may hold any");
    let specs: AllSpecs = with(json!(["au"])).unwrap().json("specs").unwrap();
    assert_eq!(specs.into_keys().collect::<Vec<_>>(), ["au"]);
    for (symbols, said) in [
        (json!(["zn"]), "`zn` is no variety or contract of this market, which has au of SHFE, cu of SHFE"),
        (json!(["INE.cu2203"]), "`INE.cu2203` is no variety"),
        (json!(["SHFE."]), "`SHFE.` is no contract"),
        (
            json!(["SHFE.au2212"]),
            "nothing of SHFE.au2212 in the market `markets/m` lies in … to …: widen `from` and `to`, or `symbols`",
        ),
    ] {
        let error = error(with(symbols));
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_marker_of_missing_data_has_to_name_a_contract_of_the_market() {
    let with = |marker: &str| {
        let bench = Bench::<ListCells>::new().unwrap().input_bytes("market", MARKET).unwrap();
        let markers = format!("- {{ contract: SHFE.au2206, day: 2022-02-17, reason: lost }}\n- {marker}\n");
        bench.input_bytes("no_data", markers).unwrap()
    };
    for (contract, said) in [
        ("DEMO.tae2406", "`DEMO.tae2406` is no variety or contract of this market, which has au of SHFE, cu of SHFE"),
        ("INE.cu2203", "`INE.cu2203` is no variety or contract"),
        ("cu2203", "`cu2203` is no contract"),
    ] {
        let error = error(with(&format!("{{ contract: {contract}, day: 2022-02-18, reason: lost }}")).run(params()));
        assert!(error.contains("marker 2") && error.contains("no_data"), "{error}");
        assert!(error.contains(contract) && error.contains(said), "{error}");
    }
}
