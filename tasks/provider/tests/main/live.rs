//! Live ticks: none is lost and none comes twice, through breaks and restarts.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use ghtrader_provider::server::{Play, Server};
use ghtrader_provider::{Event, Follow, Provider, SourceTick};

use crate::bench::*;

const OTHER: &str = "SHFE.cu2404";

/// Follows a contract until so many ticks are there, or ten seconds have passed.
fn follow(
    provider: &mut impl Provider,
    after: Option<i64>,
    until: usize,
    mut each: impl FnMut(usize),
) -> Vec<SourceTick> {
    let (mut ticks, begun) = (Vec::new(), Instant::now());
    let from_ns = window(CU, "2024-01-29").from_ns;
    let follow = [Follow { contract: CU.into(), from_ns, after }];
    provider
        .live(&follow, &mut |event| {
            if let Event::Tick(tick) = event {
                ticks.push(tick);
                each(ticks.len());
            }
            let enough = ticks.len() >= until || begun.elapsed() > Duration::from_secs(20);
            Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .unwrap();
    ticks
}

fn assert_rows(server: &Server, ticks: &[SourceTick], from: usize) {
    let rows = server.market().series[CU].iter().cloned().enumerate().skip(from).take(ticks.len());
    let rows: Vec<_> = rows.map(|(index, row)| (server.market().first_id + index as i64, row)).collect();
    assert_same(ticks, &rows);
}

#[test]
fn ticks_come_as_the_market_goes() {
    for partial in [false, true] {
        let server = playing(100, 400.0);
        server.fault(|faults| faults.partial = partial);
        let ticks = follow(&mut client(&server), None, 900, |_| ());
        assert_eq!(ticks.len(), 900);
        assert_rows(&server, &ticks, 0);
    }
}

#[test]
fn a_series_at_rest_does_not_hold_up_another() {
    // The second contract has far fewer ticks, which are all there from the begin.
    let server = playing(1_200, 300.0);
    let length = server.market().series[OTHER].len();
    assert!(length < 1_200 && length > 100, "{length}");
    let follow = [CU, OTHER].map(|contract| Follow { contract: contract.into(), from_ns: 0, after: None });
    let (mut cu, mut other, begun) = (Vec::new(), 0, Instant::now());
    client(&server)
        .live(&follow, &mut |event| {
            match event {
                Event::Tick(tick) if &*tick.contract == CU => cu.push(tick),
                Event::Tick(_) => other += 1,
                Event::Idle | Event::Waiting => {}
            }
            let enough = cu.len() >= 1_700 && other == length || begun.elapsed() > Duration::from_secs(20);
            Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .unwrap();
    assert_eq!(other, length);
    assert!(cu.len() >= 1_700, "{}", cu.len());
    assert_rows(&server, &cu, 0);
}

#[test]
fn what_is_here_already_does_not_come_again() {
    let server = playing(100, 400.0);
    let after = server.market().first_id + 49;
    let ticks = follow(&mut client(&server), Some(after), 200, |_| ());
    assert_rows(&server, &ticks, 50);
}

#[test]
fn what_came_while_nobody_listened_is_fetched() {
    // The live window has 2,000 ticks; the last one that is here is further back.
    let server = playing(2_300, 50.0);
    let ticks = follow(&mut client(&server), Some(server.market().first_id + 99), 2_260, |_| ());
    assert_eq!(ticks.len(), 2_260);
    assert_rows(&server, &ticks, 100);
}

#[test]
fn a_first_start_in_the_middle_of_the_day_begins_with_its_first_tick() {
    // The live window has 2,000 ticks.
    let server = playing(2_300, 50.0);
    let ticks = follow(&mut client(&server), None, 2_360, |_| ());
    assert_eq!(ticks.len(), 2_360);
    assert_rows(&server, &ticks, 0);
    // And with no tick before its moment.
    let rows = &server.market().series[CU];
    let (from_ns, mut first) = (rows[150].datetime_ns, None);
    client(&server)
        .live(&[Follow { contract: CU.into(), from_ns, after: None }], &mut |event| {
            let Event::Tick(tick) = event else { return Ok(ControlFlow::Continue(())) };
            first = Some(tick.datetime_ns);
            Ok(ControlFlow::Break(()))
        })
        .unwrap();
    assert_eq!(first, Some(from_ns));
}

#[test]
fn who_waits_for_an_answer_hears_of_it() {
    let server = playing(100, 0.0);
    server.fault(|faults| faults.delay = Duration::from_millis(900));
    let (mut waited, mut last, mut most) = (0, None::<Instant>, Duration::ZERO);
    client(&server)
        .live(&[Follow { contract: CU.into(), from_ns: 0, after: None }], &mut |event| {
            most = last.map_or(most, |last| most.max(last.elapsed()));
            last = Some(Instant::now());
            waited += usize::from(matches!(event, Event::Waiting));
            Ok(if matches!(event, Event::Tick(_)) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .unwrap();
    assert!(waited >= 3 && most < Duration::from_secs(1), "{waited} times, at most {most:?} apart");
    // Who has had enough while he waits is let go.
    let begun = Instant::now();
    client(&server)
        .live(&[Follow { contract: CU.into(), from_ns: 0, after: None }], &mut |_| Ok(ControlFlow::Break(())))
        .unwrap();
    assert!(begun.elapsed() < Duration::from_millis(800), "{:?}", begun.elapsed());
}

#[test]
fn breaks_cost_nothing() {
    let server = playing(100, 400.0);
    server.fault(|faults| (faults.drops, faults.drop_after) = (3, 250));
    let mut provider = guarded(&server);
    let ticks = follow(&mut provider, None, 1_200, |_| ());
    assert_eq!(ticks.len(), 1_200);
    assert_rows(&server, &ticks, 0);
    assert_eq!((server.seen().connections, provider.health().retries), (4, 3));
}

#[test]
fn a_connection_that_falls_silent_is_given_up() {
    let server = playing(100, 400.0);
    server.fault(|faults| (faults.stalls, faults.drop_after) = (1, 250));
    let mut provider = guarded(&server);
    let ticks = follow(&mut provider, None, 1_200, |_| ());
    assert_eq!(ticks.len(), 1_200);
    assert_rows(&server, &ticks, 0);
    assert_eq!((server.seen().connections, provider.health().failures), (2, 1));
}

#[test]
fn a_service_that_was_there_once_is_waited_for() {
    let first = playing(500, 0.0);
    let port = first.port();
    let (mut server, mut provider) = (Some(first), guarded(&playing(1, 0.0)));
    // Of that other server only the account is the same.
    drop(std::mem::replace(&mut provider, guarded(server.as_ref().unwrap())));
    let mut away = None;
    let ticks = follow(&mut provider, None, 700, |count| {
        if count == 400 {
            drop(server.take());
            away = Some(std::thread::spawn(move || {
                // Longer than three attempts take.
                std::thread::sleep(Duration::from_millis(700));
                Server::start(market(1), Some(Play { from: 800, per_second: 0.0 }), port).unwrap()
            }));
        }
    });
    let server = away.unwrap().join().unwrap();
    assert_eq!(ticks.len(), 700);
    assert_rows(&server, &ticks, 0);
}
