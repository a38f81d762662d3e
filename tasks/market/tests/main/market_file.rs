//! `market.yaml`: what it says, and what is said about mistakes in it.

use std::path::Path;

use ghtrader_market::{Contract, Expiry, GivenRule, MarketFile, OiRule, RollRule, TickSize};

const COPPER: &str = r#"
calendar: china-futures
levels: 1
varieties:
  cu:
    exchange: SHFE
    files: ["ticks/*.csv"]
    tick: 10
    multiplier: 5
    sessions: [["21:00:00", "25:00:00"], ["09:00:00", "10:15:00"]]
"#;

fn parse(text: &str) -> Result<MarketFile, String> {
    MarketFile::parse(Path::new("market.yaml"), text).map_err(|error| error.to_string())
}

#[test]
fn little_has_to_be_said() {
    let market = parse(COPPER).unwrap();
    let specs = market.specs("cu", &market.varieties["cu"], None).unwrap();
    assert_eq!(specs.ticks.clock.utc_offset, 8);
    assert_eq!(specs.ticks.close_cutoff.unwrap().to_string(), "15:00:00.999");
    assert_eq!(specs.roll.rule, RollRule::Oi(OiRule::default()));
    assert_eq!(specs.cost.fee_ratio, 0.0);
    let json = serde_json::to_string(&specs).unwrap();
    assert_eq!(serde_json::from_str::<ghtrader_market::Specs>(&json).unwrap(), specs);
}

#[test]
fn the_tick_is_the_contracts() {
    let gold =
        COPPER.replace("cu:", "au:").replace("tick: 10", "tick: 0.02\n    tick_until: [{to: au1911, tick: 0.05}]");
    let market = parse(&gold).unwrap();
    let spec = market.specs("au", &market.varieties["au"], None).unwrap().ticks;
    let tick = |contract: &str| spec.tick_of(&Contract::parse(contract).unwrap());
    assert_eq!(tick("SHFE.au1812"), TickSize::parse("0.05").unwrap());
    assert_eq!(tick("SHFE.au1911"), TickSize::parse("0.05").unwrap());
    assert_eq!(tick("SHFE.au1912"), TickSize::parse("0.02").unwrap());
}

#[test]
fn what_the_contract_master_knows_need_not_be_said() {
    let copper =
        COPPER.lines().filter(|line| !["tick:", "multiplier:", "sessions:"].iter().any(|key| line.contains(key)));
    let copper = copper.collect::<Vec<_>>().join("\n");
    let ticks = |text: &str, name: &str| {
        let market = parse(text).unwrap();
        market.specs(name, &market.varieties[name], None).unwrap()
    };
    let gold = ticks(&copper.replace("cu:", "au:"), "au");
    let tick = |contract: &str| gold.ticks.tick_of(&Contract::parse(contract).unwrap()).value();
    assert_eq!(
        (tick("SHFE.au1601"), tick("SHFE.au1911"), tick("SHFE.au1912"), tick("SHFE.au2612")),
        (0.05, 0.05, 0.02, 0.02)
    );
    assert_eq!((gold.ticks.multiplier, gold.cost.multiplier, gold.cost.tick.value()), (1000.0, 1000.0, 0.02));
    assert_eq!(gold.ticks.sessions.0.len(), 4, "the night, too");
    assert_eq!(gold.ticks.sessions.0[0].1.to_string(), "26:30:00");
    assert_eq!(gold.roll.expiry, Some(Expiry::Fifteenth));
    let said = ticks(&format!("{copper}\n    tick: 20\n    sessions: []\n    roll: {{ expiry: third-friday }}"), "cu");
    assert_eq!(said.ticks.tick_of(&Contract::parse("SHFE.cu2203").unwrap()).value(), 20.0);
    assert_eq!((said.ticks.sessions.0.len(), said.ticks.multiplier), (0, 5.0), "always open, if that is said");
    assert_eq!(said.roll.expiry, Some(Expiry::ThirdFriday));
    let tin = parse(&copper.replace("cu:", "sn:")).unwrap_err();
    assert!(tin.contains("varieties.sn") && tin.contains("`tick` is missing") && tin.contains("SHFE.cu"), "{tin}");
    let half = parse(&format!("{copper}\n    tick_until: [{{to: cu1911, tick: 5}}]")).unwrap_err();
    assert!(half.contains("`tick_until` needs `tick`"), "{half}");
}

#[test]
fn switches_may_leave_out_the_exchange() {
    let roll = "    roll: {rule: given, switches: [{day: 2022-02-23, from: cu2203, to: cu2204}]}";
    let market = parse(&format!("{COPPER}{roll}")).unwrap();
    let RollRule::Given(GivenRule { first, switches }) =
        market.specs("cu", &market.varieties["cu"], None).unwrap().roll.rule
    else {
        panic!("the rule is given");
    };
    assert_eq!(first, "SHFE.cu2203");
    assert_eq!(switches[0].to, "SHFE.cu2204");
}

/// A change of the text, and what the message has to say.
const MISTAKES: [(&str, &str, &[&str]); 17] = [
    ("multiplier: 5", "multiplier: 5\n    tik: 1", &["market.yaml", "tik", "line 10"]),
    ("levels: 1", "levels: 3", &["varieties.cu", "1 or 5"]),
    ("tick: 10", "tick: 0", &["tick size", "line 8"]),
    ("tick: 10", "tick: ten", &["line 8"]),
    ("multiplier: 5", "multiplier: -5", &["multiplier", "positive"]),
    ("files: [\"ticks/*.csv\"]", "files: []", &["files", "pattern"]),
    ("\"25:00:00\"", "\"01:00:00\"", &["21:00:00 to 01:00:00", "25:00:00"]),
    (
        "\"09:00:00\", \"10:15:00\"]",
        "\"09:00:00\", \"10:15:00\"], [\"10:00:00\", \"11:30:00\"]",
        &["10:00:00 to 11:30:00", "order"],
    ),
    (
        "[[\"21:00:00\", \"25:00:00\"], ",
        "[[\"09:00:00\", \"09:30:00\"], [\"21:00:00\", \"25:00:00\"], ",
        &["the night's"],
    ),
    ("china-futures", "china-futures\nzone: Shanghai", &["`Shanghai` is no time zone", "America/Chicago"]),
    ("china-futures", "china-futures\nzone: Asia/Shanghai\nutc_offset: 8", &["exclude each other"]),
    ("china-futures", "china-futures\nutc_offset: 15", &["−12 to 14", "zone: Asia/Kolkata"]),
    ("china-futures", "weekdays", &["night", "china-futures"]),
    ("china-futures", "china", &["china-futures", "line 2"]),
    ("exchange: SHFE", "exchange: \"S/HFE\"", &["S/HFE.cu"]),
    ("multiplier: 5", "multiplier: 5\n    roll: {rule: given}", &["first"]),
    ("multiplier: 5", "multiplier: 5\n    roll: {rule: oi, first: SHFE.cu2203}", &["rule: given"]),
];

#[test]
fn mistakes_are_named_with_their_place() {
    for (right, wrong, said) in MISTAKES {
        let text = COPPER.replace(right, wrong);
        assert_ne!(text, COPPER, "{wrong}");
        let market = parse(&text);
        let error = market.and_then(|market| market.specs("cu", &market.varieties["cu"], None)).expect_err(wrong);
        for word in said {
            assert!(error.contains(word), "{wrong}: `{word}` is not in:\n{error}");
        }
    }
}

#[test]
fn only_the_chinese_calendar_has_sessions_that_go_on_after_midnight() {
    let with = |session: &str| {
        let text = COPPER.replace("china-futures", "weekdays\nzone: America/Chicago");
        parse(&text.replace("[[\"21:00:00\", \"25:00:00\"], [\"09:00:00\", \"10:15:00\"]]", session)).map(drop)
    };
    let said = with("[[\"17:00:00\", \"40:00:00\"]]").unwrap_err();
    assert!(said.contains("after midnight") && said.contains("24:00:00"), "{said}");
    assert_eq!(with("[[\"08:30:00\", \"15:00:00\"], [\"17:00:00\", \"24:00:00\"]]"), Ok(()));
}

#[test]
fn switches_have_to_follow_each_other() {
    let with = |switches: &str| {
        let market =
            parse(&format!("{COPPER}    roll: {{rule: given, first: cu2203, switches: [{switches}]}}")).unwrap();
        market.specs("cu", &market.varieties["cu"], None).unwrap_err()
    };
    assert!(with("{day: 2022-02-23, from: cu2204, to: cu2205}").contains("2022-02-23"));
    let turned = "{day: 2022-02-23, from: cu2203, to: cu2204}, {day: 2022-02-23, from: cu2204, to: cu2205}";
    assert!(with(turned).contains("ascend"));
}
