//! `CUDA_VISIBLE_DEVICES` of the caller: which devices it may use. It reads nothing.

use super::Device;

/// The variable.
pub const VARIABLE: &str = "CUDA_VISIBLE_DEVICES";

/// Those of `devices` that a program with this value sees, as CUDA reads it: indices, or UUIDs of which the beginning is
/// enough, up to the first that names no device. Where it is not set, all; where it is empty, none.
pub fn visible(devices: Vec<Device>, value: Option<&str>) -> Vec<Device> {
    let Some(value) = value else { return devices };
    let mut seen: Vec<Device> = Vec::new();
    for name in value.split(',').map(str::trim) {
        let Some(device) = find(&devices, name) else { break };
        if !seen.contains(device) {
            seen.push(device.clone());
        }
    }
    seen.sort_by_key(|device| device.index);
    seen
}

/// What such a value names, up to the first that can name no device, where no driver tells which ones there are.
pub(super) fn names(value: &str) -> Vec<&str> {
    let is_name = |name: &&str| name.parse::<u32>().is_ok() || name.starts_with("GPU-") || name.starts_with("MIG-");
    value.split(',').map(str::trim).take_while(is_name).collect()
}

/// The one device of that name.
fn find<'d>(devices: &'d [Device], name: &str) -> Option<&'d Device> {
    if let Ok(index) = name.parse::<u32>() {
        return devices.iter().find(|device| device.index == index);
    }
    let mut named = devices.iter().filter(|device| name.starts_with("GPU-") && device.uuid.starts_with(name));
    named.next().filter(|_| named.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_variable_is_read_as_cuda_reads_it() {
        let uuids = ["GPU-1a2b", "GPU-1a2c", "GPU-9", "GPU-77"];
        let device = |(index, uuid): (usize, &&str)| Device {
            index: u32::try_from(index).unwrap(),
            uuid: (*uuid).to_owned(),
            memory: None,
        };
        let devices: Vec<Device> = uuids.iter().enumerate().map(device).collect();
        for (value, expected) in [
            (None, &[0, 1, 2, 3][..]),
            (Some(""), &[]),
            (Some("NoDevFiles"), &[]),
            (Some("2"), &[2]),
            (Some("3, 1"), &[1, 3]),
            (Some("1,1"), &[1]),
            (Some("0,-1,2"), &[0]),
            (Some("1,9,2"), &[1]),
            (Some("GPU-9,0"), &[0, 2]),
            (Some("GPU-1a2c"), &[1]),
            (Some("GPU-1a2,3"), &[]),
            (Some("GPU-,0"), &[]),
            (Some("MIG-1a2b/1/0"), &[]),
        ] {
            let seen: Vec<u32> = visible(devices.clone(), value).iter().map(|device| device.index).collect();
            assert_eq!(seen, expected, "{value:?}");
        }
        assert_eq!(visible(Vec::new(), Some("0")), []);
    }
}
