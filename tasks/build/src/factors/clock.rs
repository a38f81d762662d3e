//! Time of session.

use super::{Factor, Step};
use crate::store::Store;

/// Three columns: share of the day's trading time that has passed, seconds since the session opened, seconds until it
/// closes.
pub(crate) struct TimeOfSession;

impl Factor for TimeOfSession {
    fn update(&mut self, step: &Step, out: &mut Vec<f64>) {
        let place = step.market.clock.place(step.now.ns);
        out.extend(place.map_or([f64::NAN; 3], |place| [place.elapsed, place.since_open, place.to_close]));
    }

    fn reset(&mut self) {}

    fn walk(&mut self, _: &mut Store) {}
}
