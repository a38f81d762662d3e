//! The devices of this machine, as NVIDIA's management library (NVML) tells them. The driver brings that library; it is
//! loaded when it is asked, so this program is built and runs without it.

use std::ffi::OsStr;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

use super::{Device, DeviceMemory};

/// The library as drivers install it.
pub(super) const LIBRARY: &str = "libnvidia-ml.so.1";
/// … and as it is called where it is for development, or a driver lacks the number.
pub(super) const PLAIN: &str = "libnvidia-ml.so";

/// All devices; none where there is no driver, or it does not answer.
pub(super) fn devices(libraries: &[&str]) -> Vec<Device> {
    let open = |name: &&str| Nvml::builder().lib_path(OsStr::new(name)).init().ok();
    let Some(nvml) = libraries.iter().find_map(open) else { return Vec::new() };
    let count = nvml.device_count().unwrap_or_default();
    // One that does not answer (it fell off the bus) is not there.
    (0..count).filter_map(|index| device(&nvml, index).ok()).collect()
}

fn device(nvml: &Nvml, index: u32) -> Result<Device, NvmlError> {
    let device = nvml.device_by_index(index)?;
    // Drivers before 510 do not tell it in this form.
    let memory = device.memory_info().ok().map(|memory| DeviceMemory { total: memory.total, free: memory.free });
    Ok(Device { index, uuid: device.uuid()?, memory })
}

#[cfg(test)]
mod tests {
    #[test]
    fn where_there_is_no_library_there_are_no_devices() {
        assert_eq!(super::devices(&["libnothing-of-the-kind.so.1"]), []);
    }
}
