//! From when to when contracts are traded, which are asked for, and markers of days without data.

use std::path::Path;

use ghtrader_market::{
    Bound, Calendar, Clock, Contract, Day, Expiry, Known, Life, Lifetime, ListingRule, ListingSpec, MarketFile,
    Symbols, read_no_data,
};

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn shfe(variety: &str) -> ListingSpec {
    spec(&format!("calendar: china-futures\nlevels: 1\nvarieties: {{ {variety}: {{ exchange: SHFE, files: [a] }} }}"))
}

fn spec(text: &str) -> ListingSpec {
    try_spec(text).unwrap()
}

fn try_spec(text: &str) -> Result<ListingSpec, String> {
    let market = MarketFile::parse(Path::new("market.yaml"), text).map_err(|error| error.to_string())?;
    let (name, variety) = market.varieties.first_key_value().unwrap();
    Ok(market.specs(name, variety, None)?.listing)
}

fn life(spec: &ListingSpec, contract: &str) -> [Option<String>; 2] {
    let calendar = spec.calendar().unwrap();
    let Lifetime { listed, last } = spec.lifetime(&Contract::parse(contract).unwrap(), &calendar).unwrap();
    [listed, last].map(|day| day.map(|day| day.to_string()))
}

fn known(listed: &str, last: &str) -> [Option<String>; 2] {
    [Some(listed.to_owned()), Some(last.to_owned())]
}

fn traded(spec: &ListingSpec, from: &str, to: &str) -> Vec<String> {
    let traded = spec.traded(day(from), day(to), &spec.calendar().unwrap()).unwrap();
    traded.into_keys().map(|name| name.split_once('.').unwrap().1.to_owned()).collect()
}

/// The days of a contract on which ticks are expected, as far as the market says; `unknown` is what the caller makes of the rest.
fn days(spec: &ListingSpec, contract: &str, unknown: Bound, [from, to]: [&str; 2]) -> Vec<String> {
    let calendar = spec.calendar().unwrap();
    let otherwise = Life { listed: unknown, last: unknown };
    let life = spec.life(&Contract::parse(contract).unwrap(), &calendar, otherwise).unwrap();
    life.days(day(from), day(to), &calendar).iter().map(Day::to_string).collect()
}

#[test]
fn ticks_are_expected_from_listing_to_expiry() {
    let open = Bound { day: None, known: Known::Open };
    let ends = ["2023-03-14", "2023-03-17"];
    assert_eq!(days(&shfe("cu"), "SHFE.cu2403", open, ends), ["2023-03-16", "2023-03-17"]);
    assert_eq!(days(&shfe("cu"), "SHFE.cu2303", open, ends), ["2023-03-14", "2023-03-15"]);
    let unknown = spec(
        "{ calendar: china-futures, levels: 1, varieties: { cu: { exchange: SHFE, files: [a], listing: {}, roll: {} } } }",
    );
    assert_eq!(days(&unknown, "SHFE.cu2403", open, ends), ["2023-03-14", "2023-03-15", "2023-03-16", "2023-03-17"]);
    let ticks = Bound { day: Some(day("2023-03-15")), known: Known::Ticks };
    assert_eq!(days(&unknown, "SHFE.cu2403", ticks, ends), ["2023-03-15", "2023-03-16", "2023-03-17"]);
    let never = Bound { day: None, known: Known::Ticks };
    assert!(days(&unknown, "SHFE.cu2403", never, ends).is_empty());
    let calendar = unknown.calendar().unwrap();
    let life = shfe("cu").life(&Contract::parse("SHFE.cu203").unwrap(), &calendar, Life { listed: open, last: open });
    assert!(life.unwrap_err().to_string().contains("does not say year and month of delivery"));
}

#[test]
fn copper_and_silver_list_twelve_months() {
    let (copper, silver) = (shfe("cu"), shfe("ag"));
    assert_eq!(copper.rule, Some(ListingRule::nearest(12)));
    // The day after cu1711 expired; a public example asks for the daily bars of cu1811 from just this day on.
    assert_eq!(life(&copper, "SHFE.cu1811"), known("2017-11-16", "2018-11-15"));
    // cu1802 expired after the Spring Festival, on the 22nd.
    assert_eq!(life(&copper, "SHFE.cu1902"), known("2018-02-23", "2019-02-15"));
    assert_eq!(life(&silver, "SHFE.ag2203"), known("2021-03-16", "2022-03-15"));
    let months: Vec<String> =
        (3..=12).map(|month| format!("cu22{month:02}")).chain(["cu2301".into(), "cu2302".into()]).collect();
    assert_eq!(traded(&copper, "2022-02-18", "2022-02-18"), months);
    assert_eq!(traded(&copper, "2022-02-15", "2022-02-15")[0], "cu2202", "its last day");
    assert_eq!(traded(&copper, "2022-02-15", "2022-02-16").len(), 13, "one leaves, one comes");
}

#[test]
fn gold_lists_three_months_and_the_even_ones_of_thirteen() {
    let gold = shfe("au");
    assert_eq!(life(&gold, "SHFE.au2206"), known("2021-05-18", "2022-06-15"));
    assert_eq!(life(&gold, "SHFE.au2205"), known("2022-02-16", "2022-05-16"));
    let months = ["au2203", "au2204", "au2205", "au2206", "au2208", "au2210", "au2212", "au2302"];
    assert_eq!(traded(&gold, "2022-02-18", "2022-02-18"), months);
}

/// On every trading day of twenty years, the front month and as many contracts as the rule says.
#[test]
fn on_every_day_as_many_contracts_are_traded_as_the_rule_says() {
    let calendar = Calendar::new(&Clock::china()).unwrap();
    for (variety, counts) in [("cu", 12..=12), ("ag", 12..=12), ("au", 8..=8)] {
        let spec = shfe(variety);
        let mut on = calendar.next(day("2006-12-31"));
        while on < day("2026-12-31") {
            let there = spec.traded(on, on, &calendar).unwrap();
            assert!(counts.contains(&there.len()), "{variety} on {on}: {:?}", there.keys());
            on = calendar.next(on.plus(6));
        }
    }
}

#[test]
fn index_futures_list_two_months_and_the_next_two_quarters() {
    let rule = "listing: { months: 2, every: 3, within: 8 }, roll: { expiry: third-friday }";
    let text = format!(
        "calendar: china-futures\nlevels: 1\nvarieties: {{ IF: {{ exchange: CFFEX, files: [a], tick: 0.2, multiplier: 300, {rule} }} }}"
    );
    let spec = spec(&text);
    assert_eq!(traded(&spec, "2021-01-14", "2021-01-14"), ["IF2101", "IF2102", "IF2103", "IF2106"]);
    assert_eq!(traded(&spec, "2021-01-18", "2021-01-18"), ["IF2102", "IF2103", "IF2106", "IF2109"]);
    assert_eq!(traded(&spec, "2021-02-22", "2021-02-22"), ["IF2103", "IF2104", "IF2106", "IF2109"]);
}

#[test]
fn what_is_stated_of_a_contract_goes_before_the_rule() {
    let with = |listing: &str, more: &str| {
        try_spec(&format!(
            "calendar: china-futures\nlevels: 1\nvarieties: {{ cu: {{ exchange: SHFE, files: [a], listing: {listing}{more} }} }}"
        ))
    };
    let stated = with("{ months: 12, contracts: { cu2203: { listed: 2021-04-01 } } }", "").unwrap();
    assert_eq!(life(&stated, "SHFE.cu2203"), known("2021-04-01", "2022-03-15"));
    assert_eq!(life(&stated, "SHFE.cu2204"), known("2021-04-16", "2022-04-15"));
    let unknown = with("{}", "").unwrap();
    assert_eq!(life(&unknown, "SHFE.cu2203"), [None, Some("2022-03-15".into())]);
    assert_eq!(traded(&unknown, "2022-02-18", "2022-02-18"), Vec::<String>::new());
    for (listing, said) in [
        ("{ months: 12, every: 2 }", "`every` and `within`"),
        ("{ every: 2, within: 13 }", "need `months`"),
        ("{ months: 999 }", "at most 120"),
        ("{ contracts: { au2203: {} } }", "`au2203` is no contract of this variety"),
        ("{ contracts: { cu2203: { listed: 2022-01-04, last: 2021-01-04 } } }", "is before 2022-01-04"),
        ("{ month: 12 }", "month"),
    ] {
        let error = with(listing, "").unwrap_err();
        assert!(error.contains(said) && error.contains("market.yaml"), "{listing}: {error}");
    }
    let text = "calendar: utc-day\nlevels: 1\nvarieties: { x: { exchange: Y, files: [a], tick: 1, multiplier: 1, listing: { months: 3 } } }";
    assert!(try_spec(text).unwrap_err().contains("`listing.months` needs `roll.expiry`"));
}

#[test]
fn a_market_without_expiry_states_its_contracts() {
    let spec = spec(
        "calendar: utc-day\nlevels: 5\nvarieties: { BTCUSDT: { exchange: BINANCE, files: [a], tick: 0.1, multiplier: 1, \
         listing: { contracts: { BTCUSDT: { listed: 2019-09-08 } } } } }",
    );
    assert_eq!(life(&spec, "BINANCE.BTCUSDT"), [Some("2019-09-08".into()), None]);
    assert_eq!(traded(&spec, "2024-07-18", "2024-07-19"), ["BTCUSDT"]);
    assert_eq!(traded(&spec, "2019-09-01", "2019-09-07"), Vec::<String>::new());
}

#[test]
fn what_is_invented_is_listed_nowhere() {
    let spec = spec(
        "calendar: china-futures\nlevels: 5\nsynthetic: { seed: 1, first_day: 2024-01-29, days: 2 }\n\
         varieties: { cu: { exchange: SHFE } }",
    );
    assert_eq!((spec.rule, spec.expiry), (None, None));
}

/// The real switches of the main contract where they lie: each is to a contract that is traded by then. (A necessary condition
/// only: main contracts are never the last ones listed.)
#[test]
fn real_main_contracts_are_traded_when_they_become_main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/rolls");
    if !folder.is_dir() {
        println!("skipped: {} is not there", folder.display());
        return;
    }
    for variety in ["cu", "au", "ag"] {
        let spec = shfe(variety);
        let calendar = spec.calendar().unwrap();
        let text = std::fs::read_to_string(folder.join(format!("hots_SHFE_{variety}.json"))).unwrap();
        let switches: serde_json::Value = serde_json::from_str(&text).unwrap();
        for switch in switches.as_array().unwrap() {
            let on = day(switch["date"].as_str().unwrap());
            for side in ["from", "to"] {
                let contract = Contract::parse(&format!("SHFE.{}", switch[side].as_str().unwrap())).unwrap();
                let life = spec.lifetime(&contract, &calendar).unwrap();
                let left = side == "from" && calendar.previous(on) <= life.last.unwrap();
                assert!(
                    life.listed.unwrap() <= on && (left || on <= life.last.unwrap()),
                    "{contract} on {on}: {life:?}"
                );
            }
        }
    }
}

#[test]
fn the_rule_of_expiry_gives_the_day_after_a_closed_15th() {
    let calendar = Calendar::new(&Clock::china()).unwrap();
    let last = |month| Expiry::Fifteenth.last_trading_day(month, &calendar).unwrap().to_string();
    assert_eq!((last((2018, 2)).as_str(), last((2022, 5)).as_str()), ("2018-02-22", "2022-05-16"));
}

#[test]
fn symbols_are_varieties_and_contracts() {
    let symbols =
        |list: &[&str]| Symbols::parse(&list.iter().map(|&symbol| symbol.to_owned()).collect::<Vec<_>>()).unwrap();
    let market = [("SHFE", "cu"), ("SHFE", "au")];
    let all = symbols(&[]);
    assert!(all.name("SHFE", "cu") && all.contracts("SHFE", "cu").is_none());
    let some = symbols(&["cu", "SHFE.au2206", "SHFE.au2208"]);
    assert!(some.check(market.into_iter()).is_ok());
    assert!(some.contracts("SHFE", "cu").is_none(), "all of it");
    let gold: Vec<&str> = some.contracts("SHFE", "au").unwrap().iter().map(|contract| contract.code.as_str()).collect();
    assert_eq!(gold, ["au2206", "au2208"]);
    assert!(!some.name("SHFE", "ag") && !some.name("CFFEX", "au"));
    for (wrong, said) in [
        ("zn", "`zn` is no variety"),
        ("INE.cu2203", "`INE.cu2203` is no variety"),
        ("SHFE.zn2203", "cu of SHFE, au of SHFE"),
    ] {
        let error = symbols(&[wrong]).check(market.into_iter()).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    assert!(Symbols::parse(&["SHFE.".into()]).is_err());
}

#[test]
fn markers_are_read_from_yaml_and_json() {
    let folder = tempfile::tempdir().unwrap();
    let read = |text: &str| {
        let path = folder.path().join("no_data.yaml");
        std::fs::write(&path, text).unwrap();
        read_no_data(&path).map_err(|error| error.to_string())
    };
    let yaml = read("# ours\n- { contract: SHFE.cu2203, day: 2022-02-18, reason: lost }\n").unwrap();
    let json =
        read(r#"[{"contract": "SHFE.cu2203", "day": "20220218", "to": "2022-02-21", "reason": "lost"}]"#).unwrap();
    assert!(yaml[0].covers(day("2022-02-18")) && !yaml[0].covers(day("2022-02-21")));
    assert!(json[0].covers(day("2022-02-21")) && !json[0].covers(day("2022-02-22")));
    assert_eq!(read("# nothing yet\n\n").unwrap(), []);
    for (wrong, said) in [
        (
            "- { contract: cu2203, day: 2022-02-18, reason: lost }",
            "marker 1 (cu2203 2022-02-18): `cu2203` is no contract",
        ),
        ("- { contract: SHFE.cu2203, day: 2022-02-18, reason: '' }", "`reason` is empty"),
        ("- { contract: SHFE.cu2203, day: 2022-02-18, to: 2022-02-17, reason: x }", "`to` is before `day`"),
        ("- { contract: SHFE.cu2203, day: 2022-02-30, reason: x }", "2022-02-30"),
        ("- { contract: SHFE.cu2203, date: 2022-02-18, reason: x }", "date"),
        ("contract: SHFE.cu2203", "no_data.yaml"),
    ] {
        let error = read(wrong).unwrap_err();
        assert!(error.contains(said) && error.contains("no_data.yaml"), "{wrong}: {error}");
    }
}
