//! Where tasks run: one machine, or many.

use std::sync::Arc;

use super::Others;
use crate::resources::{Pool, Request};

/// Where tasks run, and what is free there.
pub trait Room {
    /// What a task is given.
    type Given: Clone + PartialEq + std::fmt::Debug;
    /// What is left to those that come after the tasks that did not fit, while it is decided who starts.
    type Rest;
    /// What others use and wait for.
    type Others: Default;
    /// Whether what is kept for a task may be used until that one can start: [`Room::opens`] says when that is.
    const BACKFILLS: bool;

    /// All that is free is left, but for what others use.
    fn rest(&self, others: &Self::Others) -> Self::Rest;

    /// Takes a request out of what is left, or nothing where it does not fit. `waited`: of those that ask for the same, it has waited
    /// longest.
    fn take(
        &mut self,
        rest: &mut Self::Rest,
        request: &Arc<Request>,
        others: &Self::Others,
        waited: bool,
    ) -> Option<Self::Given>;

    /// Takes a request out of what is free, also where that is kept for another one here.
    fn take_kept(
        &mut self,
        _rest: &mut Self::Rest,
        _request: &Arc<Request>,
        _others: &Self::Others,
        _waited: bool,
    ) -> Option<Self::Given> {
        None
    }

    /// Keeps what is left for a request that does not fit.
    fn reserve(&mut self, rest: &mut Self::Rest, request: &Arc<Request>);

    /// After which of those that are `given` something there is room for a request, if they end in this order.
    fn opens<'g>(
        _rest: &Self::Rest,
        _given: impl Iterator<Item = (&'g Request, &'g Self::Given)>,
        _request: &Request,
    ) -> Option<usize>
    where
        Self::Given: 'g,
    {
        None
    }

    /// Gives back what [`Room::take`] gave.
    fn give_back(&mut self, request: &Request, given: &Self::Given);
}

/// What is left on one machine.
#[derive(Debug)]
pub struct Rest {
    /// To those that come after tasks that did not fit.
    left: Pool,
    /// Without what is kept for those.
    open: Pool,
}

impl Room for Pool {
    type Given = Vec<u32>;
    type Rest = Rest;
    type Others = Others;
    const BACKFILLS: bool = true;

    fn rest(&self, others: &Others) -> Rest {
        let mut open = self.clone();
        others.used.iter().for_each(|(request, devices)| open.take_devices(request, devices));
        Rest { left: open.clone(), open }
    }

    fn take(&mut self, rest: &mut Rest, request: &Arc<Request>, others: &Others, waited: bool) -> Option<Vec<u32>> {
        let devices = others.leave(&rest.left, request, waited).fit(request)?;
        // What is left is a part of what is free, so what fits there fits here; the devices have to be the same.
        [&mut rest.left, &mut rest.open, self].into_iter().for_each(|pool| pool.take_devices(request, &devices));
        Some(devices)
    }

    fn take_kept(
        &mut self,
        rest: &mut Rest,
        request: &Arc<Request>,
        others: &Others,
        waited: bool,
    ) -> Option<Vec<u32>> {
        let devices = others.leave(&rest.open, request, waited).fit(request)?;
        [&mut rest.left, &mut rest.open, self].into_iter().for_each(|pool| pool.take_devices(request, &devices));
        Some(devices)
    }

    fn reserve(&mut self, rest: &mut Rest, request: &Arc<Request>) {
        rest.left.reserve(request);
    }

    fn opens<'g>(
        rest: &Rest,
        mut given: impl Iterator<Item = (&'g Request, &'g Vec<u32>)>,
        request: &Request,
    ) -> Option<usize> {
        let mut open = rest.open.clone();
        given.position(|(ended, devices)| {
            open.give_back(ended, devices);
            open.fit(request).is_some()
        })
    }

    fn give_back(&mut self, request: &Request, devices: &Vec<u32>) {
        Self::give_back(self, request, devices);
    }
}
