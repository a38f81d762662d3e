//! Devices, their shares and their memory: nothing is given twice.

use proptest::prelude::*;

use super::*;

const GIB: u64 = 1 << 30;

fn share(memory: u64) -> Request {
    Request::new(0.0, 0.25).memory_on_each(memory * GIB)
}

#[test]
fn a_device_counts_only_with_as_much_memory() {
    let machine = Pool::new(8.0, 0, &[0, 1, 2]).device_memory(0, 8 * GIB, 8 * GIB).device_memory(1, 24 * GIB, GIB);
    let wants = |count, memory| Request::new(0.0, count).memory_on_each(memory * GIB);
    assert_eq!(machine.clone().take(&wants(1.0, 16)), Some(vec![2]), "on 1 others leave too little");
    assert_eq!(machine.clone().take(&wants(2.0, 16)), Some(vec![1, 2]));
    assert_eq!(machine.clone().take(&wants(2.0, 8)), Some(vec![0, 1]), "as crowded as 1 and 2");
    let error = machine.admits(&wants(3.0, 16)).unwrap_err().to_string();
    assert_eq!(error, "it asks for 3 gpu with 16.0 GiB, and this machine has 2 of 3 with as much (24.0 GiB at most)");
    let optional = machine.settle(wants(3.0, 16).devices_optional());
    assert!(!optional.wants_devices());
    assert!(machine.settle(wants(2.0, 16).devices_optional()).wants_devices());
}

#[test]
fn tasks_on_one_device_ask_for_no_more_memory_than_it_has() {
    let machine = Pool::new(8.0, 0, &[0, 1]).device_memory(0, 24 * GIB, 24 * GIB).device_memory(1, 8 * GIB, 8 * GIB);
    let mut free = machine.clone();
    assert_eq!(free.take(&share(16)), Some(vec![0]));
    assert_eq!(free.take(&share(16)), None);
    assert_eq!(free.take(&share(8)), Some(vec![0]), "the fullest with room");
    assert_eq!(free.take(&share(1)), Some(vec![1]));
    assert_eq!(free.take(&Request::new(0.0, 0.5)), Some(vec![0]), "without a word of memory, the share counts alone");
    free.give_back(&share(16), &[0]);
    assert_eq!(free.take(&share(17)), None, "8 of 24 are taken");
    assert_eq!(free.take(&share(16)), Some(vec![0]));
    for (request, device) in [(share(16), 0), (share(8), 0), (share(1), 1), (Request::new(0.0, 0.5), 0)] {
        free.give_back(&request, &[device]);
    }
    assert_eq!(free, machine);
}

#[test]
fn what_waits_for_memory_keeps_the_devices_that_have_it() {
    let mut free = Pool::new(8.0, 0, &[0, 1]).device_memory(0, 8 * GIB, 8 * GIB).device_memory(1, 24 * GIB, 24 * GIB);
    assert_eq!(free.take(&share(20)), Some(vec![1]));
    free.reserve(&Request::new(0.0, 0.75).memory_on_each(10 * GIB));
    assert_eq!(free.take(&Request::new(0.0, 0.25)), Some(vec![0]), "none of 1");
}

#[test]
fn what_a_request_avoids_it_gets_only_where_it_cannot_do_without() {
    let machine = Pool::new(8.0, 0, &[0, 1, 2, 3]);
    let avoiding = |count, devices: &[u32]| Request::new(0.0, count).avoiding(&devices.iter().copied().collect());
    let given = |count, devices: &[u32]| machine.clone().take(&avoiding(count, devices)).unwrap();
    assert_eq!(given(1.0, &[]), [0]);
    assert_eq!(given(0.5, &[0, 2]), [1]);
    assert_eq!(given(2.0, &[0, 1]), [2, 3]);
    assert_eq!(given(2.0, &[0, 1, 2]), [2, 3], "one of them, as there is only one other");
    assert_eq!(given(3.0, &[0]), [1, 2, 3]);
    assert_eq!(given(1.0, &[0, 1, 2, 3]), [0]);
    let busy = |taken: &[u32], request: &Request| {
        let mut free = machine.clone();
        free.take_devices(&Request::new(0.0, 1.0), taken);
        free.fit(request)
    };
    assert_eq!(busy(&[3], &avoiding(1.0, &[0, 1, 2])), None, "the other one is worth waiting for");
    assert_eq!(busy(&[3], &avoiding(2.0, &[0, 1, 2])), Some(vec![0, 1]), "it needs one of them anyway");
}

#[test]
fn what_failed_the_task_itself_is_avoided_before_what_is_set_aside() {
    let mut machine = Pool::new(8.0, 0, &[0, 1, 2]);
    machine.set_aside(1, true);
    let avoiding = |devices: &[u32]| Request::new(0.0, 1.0).avoiding(&devices.iter().copied().collect());
    assert_eq!(machine.fit(&avoiding(&[0])), Some(vec![2]));
    assert_eq!(machine.fit(&avoiding(&[0, 2])), Some(vec![1]));
    assert_eq!(machine.fit(&avoiding(&[0, 1, 2])), Some(vec![0]), "of those that failed it, not the one set aside");
    assert!(machine.spares(&avoiding(&[0, 1])) && !machine.spares(&avoiding(&[0, 1, 2])));
}

/// Three devices, of the last of which nobody knows the memory.
fn three() -> Pool {
    Pool::new(64.0, 0, &[0, 1, 2]).device_memory(0, 24 * GIB, 24 * GIB).device_memory(1, 8 * GIB, GIB)
}

fn drawn_request() -> impl Strategy<Value = Request> {
    let count = prop_oneof![Just(0.25), Just(0.5), Just(0.75), Just(1.0), Just(2.0), Just(3.0)];
    (count, 0..30_u64).prop_map(|(count, memory)| Request::new(0.0, count).memory_on_each(memory * GIB))
}

proptest! {
    /// Whatever is asked for and given back, in whatever order.
    #[test]
    fn no_device_is_given_beyond_what_it_has(steps in prop::collection::vec((drawn_request(), any::<bool>(), 0..8_usize), 1..40)) {
        let machine = three();
        let mut free = machine.clone();
        let mut given: Vec<(Request, Vec<u32>)> = Vec::new();
        for (request, give_back, which) in steps {
            if give_back && !given.is_empty() {
                let (request, devices) = given.swap_remove(which % given.len());
                free.give_back(&request, &devices);
            } else if let Some(devices) = free.take(&request) {
                prop_assert!(machine.admits(&request).is_ok());
                prop_assert_eq!(devices.len() as u64, request.devices.div_ceil(WHOLE));
                given.push((request, devices));
            }
            for (device, total) in [(0, 24 * GIB), (1, 8 * GIB), (2, u64::MAX)] {
                let here = || given.iter().filter(|(_, devices)| devices.contains(&device)).map(|(request, _)| request);
                prop_assert!(here().map(|request| request.devices.min(WHOLE)).sum::<u64>() <= WHOLE);
                prop_assert!(here().map(|request| request.device_memory).sum::<u64>() <= total);
            }
        }
        for (request, devices) in given {
            free.give_back(&request, &devices);
        }
        prop_assert_eq!(free, machine);
    }

    /// What a machine admits starts there when nothing else runs.
    #[test]
    fn what_is_admitted_can_be_given(request in drawn_request()) {
        let machine = three();
        prop_assert_eq!(machine.admits(&request).is_ok(), machine.fit(&request).is_some());
    }
}
