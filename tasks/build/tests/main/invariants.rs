//! What has to hold whatever the rows are.

use ghtrader_build::{Built, CrossDay, Engine, Excluded, Labelled, Params, Quote, Row, State};

use crate::invented::{CONTRACT, Draw, bits, build, day, spec};

fn two_days(seed: u64) -> Vec<Row> {
    let mut rows = day(seed, "2022-02-17", 0, 400);
    rows.extend(day(seed + 1, "2022-02-18", 0, 400));
    rows
}

/// The rows in parts, each by an engine of its own that goes on from the state, which passes through JSON.
fn in_parts(params: &Params, rows: &[Row], cuts: &[usize]) -> Vec<Built> {
    let mut state: Option<State> = None;
    let mut parts = Vec::new();
    let ends = cuts.iter().copied().chain([rows.len()]);
    let mut begin = 0;
    for end in ends {
        let mut engine = Engine::new(params, &spec(5), CONTRACT).unwrap();
        if let Some(state) = &state {
            engine.restore(state).unwrap();
        }
        rows[begin..end].iter().for_each(|row| engine.update(row));
        let text = serde_json::to_string(&engine.save().unwrap()).unwrap();
        state = Some(serde_json::from_str(&text).unwrap());
        parts.push(engine.finish().unwrap());
        begin = end;
    }
    parts
}

/// The labels of all parts: for each row and horizon the one that some part gives.
fn merged(parts: &[Built]) -> Vec<Labelled> {
    let mut all: std::collections::BTreeMap<_, Labelled> = std::collections::BTreeMap::new();
    for line in parts.iter().flat_map(|part| &part.labels.lines) {
        let known = all
            .entry((line.day, line.row))
            .or_insert_with(|| Labelled { labels: vec![None; line.labels.len()], ..line.clone() });
        for (known, label) in known.labels.iter_mut().zip(&line.labels) {
            assert!(known.is_none() || label.is_none(), "a label is given once");
            *known = known.or(*label);
        }
    }
    all.into_values().collect()
}

#[test]
fn parts_are_the_whole_bit_by_bit() {
    let params = Params::default();
    for seed in 0..8 {
        let rows = two_days(seed);
        let whole = build(&params, 5, &rows);
        let mut draw = Draw(seed + 77);
        let mut cuts: Vec<usize> = (0..4).map(|_| draw.below(rows.len() as u64) as usize).collect();
        cuts.push(400);
        cuts.sort_unstable();
        let parts = in_parts(&params, &rows, &cuts);
        for (column, expected) in bits(&whole).iter().enumerate() {
            let found: Vec<u64> = parts.iter().flat_map(|part| bits(part)[column].clone()).collect();
            assert_eq!(&found, expected, "seed {seed}, {}", whole.listing.features[column]);
        }
        let numbers: Vec<i32> = parts.iter().flat_map(|part| part.features.row.clone()).collect();
        assert_eq!(numbers, whole.features.row);
        assert_eq!(merged(&parts), merged(std::slice::from_ref(&whole)), "seed {seed}");
        assert_eq!(parts.last().unwrap().state, whole.state, "the carried state too");
    }
}

#[test]
fn what_waits_at_the_end_of_a_day_is_counted_once_more_when_it_is_known() {
    let rows = two_days(3);
    let parts = in_parts(&Params::default(), &rows, &[400]);
    let whole = build(&Params::default(), 5, &rows);
    for horizon in 0..3 {
        let (first, second) = (&parts[0].labels.today[horizon], &parts[1].labels);
        assert_eq!(first.excluded[&Excluded::End], second.carried[horizon].rows);
        let ups = first.up + second.carried[horizon].up + second.today[horizon].up;
        assert_eq!(ups, whole.labels.today[horizon].up);
        assert!(!second.carried[horizon].excluded.contains_key(&Excluded::End));
    }
}

#[test]
fn no_feature_sees_the_next_row() {
    let rows = two_days(5);
    let params = Params::default();
    let before = bits(&build(&params, 5, &rows));
    for at in [1, 2, 57, 200, 398, 401, 402, 650, 798] {
        let mut other = rows.clone();
        let row = &mut other[at];
        for quote in row.bids.iter_mut().chain(&mut row.asks) {
            *quote = Quote { price: quote.price + 10_000.0, volume: quote.volume + 1000.0 };
        }
        (row.last, row.volume, row.amount) = (row.last + 10_000.0, row.volume + 1e6, row.amount + 1e12);
        let after = bits(&build(&params, 5, &other));
        for (column, (before, after)) in before.iter().zip(&after).enumerate() {
            assert_eq!(before[..at], after[..at], "row {at} is seen too early in column {column}");
        }
        let seen = before.iter().zip(&after).any(|(before, after)| before[at] != after[at]);
        assert!(seen, "row {at} is seen at its time");
    }
}

/// Adds a number of ticks to every price of a row.
fn shifted(row: &Row, ticks: f64) -> Row {
    let mut row = row.clone();
    row.bids.iter_mut().chain(&mut row.asks).for_each(|quote| quote.price += ticks * 10.0);
    row.last += ticks * 10.0;
    row.amount += row.volume * ticks * 10.0 * 5.0;
    row
}

/// Rows of two contracts as one series: the second day's prices raised by some ticks.
fn spliced(segment: i32, ticks: f64) -> Built {
    let mut rows = day(11, "2022-02-17", 0, 400);
    let new = day(12, "2022-02-18", segment, 400);
    rows.extend(new.iter().map(|row| shifted(row, ticks)));
    build(&Params::default(), 5, &rows)
}

fn directions(built: &Built) -> Vec<Vec<Option<i8>>> {
    let line = |line: &Labelled| line.labels.iter().map(|label| label.map(|label| label.direction)).collect();
    built.labels.lines.iter().map(line).collect()
}

#[test]
fn a_jump_at_a_roll_is_seen_by_no_feature() {
    let (flat, jump) = (spliced(1, 0.0), spliced(1, 1000.0));
    let columns = flat.features.columns.iter().zip(&jump.features.columns);
    for (name, (flat, jump)) in flat.listing.features.iter().zip(columns) {
        // Prices themselves are higher by the jump, and returns relative to a higher price are smaller.
        let price = matches!(name.as_str(), "mid" | "microprice");
        let relative = name.starts_with("return") || name.starts_with("volatility");
        for (row, (flat, jump)) in flat.iter().zip(jump).enumerate() {
            let same = (flat - jump).abs() < 1e-6 || flat.is_nan() && jump.is_nan();
            let higher = price && row >= 400 && (jump - flat - 10_000.0).abs() < 1e-6;
            let smaller = relative && jump.abs() <= flat.abs() + 1e-12;
            assert!(same || higher || smaller, "{name} sees the roll in row {row}: {flat}, {jump}");
        }
    }
}

#[test]
fn a_jump_at_a_roll_is_seen_by_no_label() {
    let (flat, jump) = (spliced(1, 0.0), spliced(1, 1000.0));
    assert_eq!(jump.labels.today, flat.labels.today);
    assert_eq!(directions(&jump), directions(&flat));
    for (counts, horizon) in jump.labels.today.iter().zip([10, 50, 200]) {
        assert_eq!(counts.excluded[&Excluded::Segment], horizon);
    }
}

#[test]
fn the_same_jump_within_a_segment_is_seen() {
    let (flat, jump) = (spliced(0, 0.0), spliced(0, 1000.0));
    assert_ne!(directions(&jump), directions(&flat));
    let returns = jump.listing.features.iter().position(|name| name == "return_1").unwrap();
    let largest = |built: &Built| built.features.columns[returns].iter().fold(0.0, |a: f64, b| a.max(b.abs()));
    assert!(largest(&jump) > 0.1 && largest(&flat) < 0.01);
}

#[test]
fn a_new_segment_is_as_if_nothing_had_been_before() {
    let old = day(21, "2022-02-17", 0, 300);
    let new = day(22, "2022-02-18", 1, 300);
    let joined = build(&Params::default(), 5, &[old, new.clone()].concat());
    let alone = build(&Params::default(), 5, &new);
    for (joined, alone) in bits(&joined).iter().zip(bits(&alone)) {
        assert_eq!(joined[300..], alone);
    }
    assert_eq!(joined.state.factors, alone.state.factors);
}

#[test]
fn windows_end_at_a_day_or_a_gap_where_the_parameters_say_so() {
    let rows = two_days(31);
    let never = Params { cross_day: CrossDay::Never, ..Params::default() };
    let split = build(&never, 5, &rows);
    let second = build(&never, 5, &rows[400..]);
    for (whole, alone) in bits(&split).iter().zip(bits(&second)) {
        assert_eq!(whole[400..], alone);
    }
    assert_eq!(split.labels.today[1].excluded[&Excluded::Day], 2 * 50);
    assert!(!split.labels.today[1].excluded.contains_key(&Excluded::End));

    let mut gap = rows[..400].to_vec();
    gap[200..].iter_mut().for_each(|row| row.ns += 60_000_000_000);
    let limit = |ms| Params { max_gap_ms: Some(ms), ..Params::default() };
    let (cut, whole) = (build(&limit(60_499), 5, &gap), build(&limit(60_500), 5, &gap));
    assert_eq!(cut.labels.today[0].excluded[&Excluded::Gap], 10);
    assert!(!whole.labels.today[0].excluded.contains_key(&Excluded::Gap));
    let column = cut.listing.features.iter().position(|name| name == "return_1").unwrap();
    assert!(cut.features.columns[column][200].is_nan() && !whole.features.columns[column][200].is_nan());
}

#[test]
fn rows_outside_the_sessions_are_no_events() {
    let rows = day(41, "2022-02-17", 0, 100);
    let built = build(&Params::default(), 5, &rows);
    let inner = build(&Params::default(), 5, &rows[1..99]);
    assert_eq!(built.features.len(), 100, "one row for every row");
    for (all, inner) in bits(&built).iter().zip(bits(&inner)) {
        assert_eq!((all[0], all[99]), (u64::MAX, u64::MAX), "null");
        assert_eq!(all[1..99], inner);
    }
    assert_eq!(built.labels.today[0].excluded[&Excluded::Session], 2);
    assert_eq!(built.labels.today[0].up, inner.labels.today[0].up);
}

#[test]
fn one_parameter_changes_its_own_columns() {
    let rows = day(51, "2022-02-17", 0, 200);
    let mut other = Params::default();
    other.factors.ofi.windows = vec![1, 10, 50, 100];
    let (one, two) = (build(&Params::default(), 5, &rows), build(&other, 5, &rows));
    assert_ne!(one.listing.hash, two.listing.hash);
    for (index, name) in one.listing.features.iter().enumerate() {
        assert_eq!(bits(&one)[index] == bits(&two)[index], name != "ofi_200", "{name}");
    }
}

#[test]
fn a_state_of_other_parameters_is_refused() {
    let rows = day(61, "2022-02-17", 0, 50);
    let state = build(&Params::default(), 5, &rows).state;
    let mut other = Params::default();
    other.factors.ofi.windows = vec![1];
    let refused = |params: &Params, contract: &str, state: &State| {
        Engine::new(params, &spec(5), contract).unwrap().restore(state).is_err()
    };
    assert!(!refused(&Params::default(), CONTRACT, &state));
    assert!(refused(&other, CONTRACT, &state));
    assert!(refused(&Params { horizons: vec![10], ..Params::default() }, CONTRACT, &state));
    assert!(refused(&Params::default(), "SHFE.cu2204", &state));
    let mut short = state.clone();
    short.labels.truncate(short.labels.len() - 16);
    assert!(refused(&Params::default(), CONTRACT, &short));
    let mut huge = state;
    huge.labels.replace_range(..16, "ffffffffffffffff");
    assert!(refused(&Params::default(), CONTRACT, &huge), "a damaged count asks for no memory");
}
