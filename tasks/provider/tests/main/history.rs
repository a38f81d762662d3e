//! Historical ticks: what the server has is what comes, whatever goes wrong on the way.

use std::time::{Duration, Instant};

use ghtrader_provider::server::{Faults, Server};
use ghtrader_provider::tqsdk::{Addresses, Patience};
use ghtrader_provider::{Error, Guard, Guarded, Provider as _, TqSdk, Window};
use proptest::prelude::*;

use crate::bench::*;

#[test]
fn each_day_comes_whole_and_no_tick_of_another() {
    let server = server();
    let mut client = client(&server);
    let mut all = 0;
    for day in ["2024-01-29", "2024-01-30", "2024-01-31"] {
        let window = window(CU, day);
        let expected = server.market().window(&window);
        assert!(expected.len() > 2_500, "more than a page: {}", expected.len());
        assert_same(&history(&mut client, &window).unwrap(), &expected);
        all += expected.len();
    }
    assert_eq!(all, server.market().series[CU].len());
    assert_eq!(server.seen().logins, 1, "one token is enough");
}

#[test]
fn a_day_or_a_contract_without_ticks_gives_none() {
    let server = server();
    for (contract, day) in [(CU, "2024-01-26"), (CU, "2024-02-01"), ("SHFE.cu2709", "2024-01-29")] {
        assert!(history(&mut client(&server), &window(contract, day)).unwrap().is_empty(), "{contract} {day}");
    }
}

/// The day comes as it is under faults, with as many connections as that takes.
fn under(order: impl FnOnce(&mut Faults)) -> Server {
    let server = server();
    server.fault(order);
    let window = window(CU, "2024-01-30");
    let mut provider = guarded(&server);
    assert_same(&history(&mut provider, &window).unwrap(), &server.market().window(&window));
    server
}

#[test]
fn faults_change_nothing_of_what_comes() {
    under(|faults| faults.partial = true);
    under(|faults| faults.shuffled = true);
    under(|faults| faults.twice = true);
    under(|faults| faults.texts = true);
    under(|faults| faults.after_moment = true);
    under(|faults| faults.open_end = true);
    under(|faults| faults.delay = Duration::from_millis(50));
    under(|faults| {
        *faults =
            Faults { partial: true, shuffled: true, twice: true, texts: true, open_end: true, ..Faults::default() };
    });
}

/// Faults that the protocol allows, and breaks, as they are drawn.
fn drawn() -> impl Strategy<Value = Faults> {
    let flags = proptest::array::uniform6(any::<bool>());
    (flags, 0_u32..4, 1_usize..4_000).prop_map(|(flags, drops, drop_after)| {
        let [partial, shuffled, twice, texts, after_moment, open_end] = flags;
        Faults { partial, shuffled, twice, texts, after_moment, open_end, drops, drop_after, ..Faults::default() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_drawn_what_the_server_has_comes(faults in drawn(), begin in 0_i64..40_000, length in 1_i64..60_000) {
        let server = server();
        let whole = window(CU, "2024-01-30");
        let from_ns = whole.from_ns + begin * 1_000_000_000;
        let window = Window { from_ns, to_ns: from_ns + length * 1_000_000_000, ..whole };
        server.fault(|order| *order = faults);
        let guard = Guard { attempts: 6, ..quick() };
        let ticks = history(&mut Guarded::new(client(&server), guard), &window).unwrap();
        assert_same(&ticks, &server.market().window(&window));
    }
}

#[test]
fn the_last_day_ends_where_the_series_does() {
    for open_end in [false, true] {
        let server = server();
        server.fault(|faults| faults.open_end = open_end);
        let window = Window { to_ns: i64::MAX, ..window(CU, "2024-01-31") };
        assert_same(&history(&mut client(&server), &window).unwrap(), &server.market().window(&window));
    }
}

#[test]
fn a_connection_that_breaks_is_gone_on_with() {
    let server = server();
    server.fault(|faults| (faults.drops, faults.drop_after) = (2, 2_100));
    let window = Window { to_ns: i64::MAX, ..window(CU, "2024-01-29") };
    let expected = server.market().window(&window);
    assert_same(&history(&mut guarded(&server), &window).unwrap(), &expected);
    let seen = server.seen();
    assert_eq!(seen.connections, 3);
    // Each broke in its second page: what came in the first was not asked for again.
    assert!(seen.rows <= expected.len() as u64 + 2 * 2_000, "{seen:?} for {}", expected.len());
}

#[test]
fn a_service_that_is_away_for_a_moment_is_asked_again() {
    assert_eq!(under(|faults| faults.unavailable = 2).seen().connections, 1);
}

#[test]
fn a_token_that_has_expired_is_renewed() {
    let server = server();
    let mut client = client(&server);
    let window = window(CU, "2024-01-29");
    history(&mut client, &window).unwrap();
    server.fault(|faults| faults.expired = 1);
    assert_same(&history(&mut client, &window).unwrap(), &server.market().window(&window));
    assert_eq!(server.seen().logins, 2);
}

#[test]
fn a_server_that_restarts_is_gone_on_with() {
    let first = server();
    let (port, window) = (first.port(), window(CU, "2024-01-30"));
    let expected = first.market().window(&window);
    let mut provider = guarded(&first);
    let mut server = Some(first);
    let mut ticks = Vec::new();
    provider
        .history(&window, &mut |tick| {
            ticks.push(tick);
            if ticks.len() == 1_500 {
                drop(server.take());
                server = Some(Server::start(market(3), None, port)?);
            }
            Ok(())
        })
        .unwrap();
    assert_same(&ticks, &expected);
}

#[test]
fn a_wrong_password_is_refused_at_once_and_never_shown() {
    let server = server();
    let mut who = credentials(&server);
    who.password = "not-the-password-5512".to_owned();
    let addresses = Addresses::of(Some(&server.address())).unwrap();
    let mut provider = Guarded::new(TqSdk::new(addresses, who, patience()), quick());
    let error = history(&mut provider, &window(CU, "2024-01-29")).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    let text = format!("{error} {error:?}");
    assert!(text.contains("the login was refused (401 invalid_grant)") && text.contains("TQ_PASSWORD"), "{text}");
    assert!(!text.contains("5512") && !text.contains("tester"), "{text}");
    assert_eq!(provider.health().retries, 0, "nothing would be better the next time");
}

#[test]
fn silence_is_not_waited_for_without_end() {
    let server = server();
    server.fault(|faults| faults.silent = true);
    let begun = Instant::now();
    let mut patient = TqSdk::new(
        Addresses::of(Some(&server.address())).unwrap(),
        credentials(&server),
        Patience { answer: Duration::from_millis(400), silence: Duration::from_millis(100) },
    );
    let error = history(&mut patient, &window(CU, "2024-01-29")).unwrap_err();
    assert!(error.is_transient() && begun.elapsed() < Duration::from_secs(5), "{error}");
}

#[test]
fn nobody_there_is_an_error_that_names_the_address() {
    let (address, who) = {
        let server = server();
        (server.address(), credentials(&server))
    };
    let mut client = TqSdk::new(Addresses::of(Some(&address)).unwrap(), who, patience());
    let error = history(&mut client, &window(CU, "2024-01-29")).unwrap_err();
    assert!(error.is_transient() && error.to_string().contains(&address), "{error}");
}

#[test]
fn calendar_and_contracts_come_from_the_service() {
    let server = server();
    let mut client = client(&server);
    assert_eq!(client.closed_days().unwrap(), [day("2024-01-01"), day("2024-02-09"), day("2024-02-12")]);
    let contracts = client.contracts("SHFE", "cu").unwrap();
    let names: Vec<&str> = contracts.iter().map(|listing| listing.contract.as_str()).collect();
    assert_eq!(names, server.market().series.keys().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(contracts[0].last_day, Some(day("2024-03-15")));
    assert!(client.contracts("SHFE", "c").unwrap().is_empty(), "cu is not c");
}
