//! What a list scheduler with one queue and no overhead comes to, by a simulation that shares nothing with the crate.

use crate::bench::Share;

/// When the last of the tasks ends, with `devices` devices: in order, what fits starts; the first of each share that does
/// not keeps what it can get.
pub(crate) fn list_schedule(tasks: &[(Share, f64)], devices: usize) -> f64 {
    let mut free = vec![1.0; devices];
    let mut queue: Vec<(Share, f64)> = tasks.to_vec();
    let mut running: Vec<(f64, Vec<(usize, f64)>)> = Vec::new();
    let mut now = 0.0;
    while !queue.is_empty() || !running.is_empty() {
        let mut left = free.clone();
        let mut blocked: Vec<Share> = Vec::new();
        queue.retain(|(share, duration)| {
            if blocked.contains(share) {
                return true;
            }
            let Some(parts) = fit(&left, share.devices()) else {
                blocked.push(*share);
                keep(&mut left, share.devices());
                return true;
            };
            for (device, part) in &parts {
                left[*device] -= part;
                free[*device] -= part;
            }
            running.push((now + duration, parts));
            false
        });
        let Some(end) = running.iter().map(|(end, _)| *end).reduce(f64::min) else { break };
        now = end;
        running.retain(|(end, parts)| {
            let ended = *end <= now;
            parts.iter().filter(|_| ended).for_each(|(device, part)| free[*device] += part);
            !ended
        });
    }
    now
}

/// The time that all of it takes on one device.
pub(crate) fn work(tasks: &[(Share, f64)]) -> f64 {
    tasks.iter().map(|(share, duration)| share.devices() * duration).sum()
}

fn fit(free: &[f64], wanted: f64) -> Option<Vec<(usize, f64)>> {
    if wanted < 1.0 {
        let device = (0..free.len()).filter(|device| free[*device] >= wanted);
        return device.min_by(|one, two| free[*one].total_cmp(&free[*two])).map(|device| vec![(device, wanted)]);
    }
    let whole: Vec<usize> = (0..free.len()).filter(|device| free[*device] >= 1.0).collect();
    (whole.len() as f64 >= wanted)
        .then(|| whole.into_iter().take(wanted as usize).map(|device| (device, 1.0)).collect())
}

fn keep(free: &mut [f64], mut wanted: f64) {
    for free in free {
        let kept = wanted.min(*free);
        *free -= kept;
        wanted -= kept;
    }
}

#[test]
fn the_ideal_of_simple_cases_is_known() {
    let four = |share, count| vec![(share, 1.0); count];
    assert_eq!(list_schedule(&four(Share::Half, 16), 4), 2.0);
    assert_eq!(list_schedule(&four(Share::Four, 3), 4), 3.0);
    assert_eq!(list_schedule(&[(Share::One, 1.0), (Share::Four, 1.0), (Share::One, 1.0)], 4), 3.0);
    assert_eq!(work(&four(Share::Two, 3)), 6.0);
}
