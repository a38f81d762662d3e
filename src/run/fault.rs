//! Devices that fail: the task starts again on another one, and the one that failed is given last.
//!
//! That a device failed is seen from how the task ended and what it said last; nothing here asks a driver. Where a second
//! device fails the same task, it is the task's own doing: what was set aside for it is used again.

use super::Run;
use super::task::last_lines_since;
use crate::execute::Exit;
use crate::plan::InstanceId;
use crate::report::Event;

/// What programs say that CUDA, its libraries or the driver have failed, in small letters.
const SIGNS: &[&str] = &[
    "cuda error",
    "cuda out of memory",
    "[cuda] out of memory",
    "cudaerror",
    "cuda_error_",
    "cublas_status_",
    "cudnn_status_",
    "nvrm: xid",
    "uncorrectable ecc error",
    "gpu has fallen off the bus",
];
/// Of successes the same libraries speak too.
const WELL: &str = "success";

/// The line that tells of a device that failed.
fn told(lines: &[String]) -> Option<&str> {
    let sign = |line: &&String| {
        let line = line.to_lowercase();
        SIGNS.iter().any(|sign| line.contains(sign)) && !line.contains(WELL)
    };
    lines.iter().rev().find(sign).map(String::as_str)
}

impl<'a: 'scope, 'scope> Run<'a, 'scope> {
    /// Starts a task again on another device, where its own has failed. Whether there is one, and it did.
    pub(super) fn start_elsewhere(&mut self, id: InstanceId, exit: &Exit) -> bool {
        let name = self.planner.name(id);
        let log = (self.options.log)(&name);
        let Some(flight) = self.flying.get_mut(&id) else { return false };
        // Of several devices, nothing tells which one it was.
        let devices = flight.holds.as_ref().map(|holds| holds.devices.as_slice());
        let (Some(&[device]), Exit::Code(_) | Exit::Signal(_)) = (devices, exit) else { return false };
        let before = flight.failed_on.map_or(0, |(_, length)| length);
        let lines = last_lines_since(&log, before);
        let Some(line) = told(&lines).map(|line| line.trim().to_owned()) else { return false };
        if let Some((first, _)) = flight.failed_on {
            self.scheduler.set_aside(first, false);
            let text = format!("{name} failed on device {device} as on device {first}, which is used again: {line}");
            self.reporter.event(&Event::Notice { text });
            return false;
        }
        let others = self.options.machine.others_for(&flight.resolved.request, device);
        if !others || self.interrupts > 0 || self.halted.is_some() {
            return false;
        }
        let Some(locks) = flight.locks.take() else { return false };
        let length = fs_err::metadata(&log).map(|metadata| metadata.len()).unwrap_or_default();
        flight.failed_on = Some((device, length));
        flight.metrics.clear();
        self.scheduler.set_aside(device, true);
        let text = format!("{name} failed on device {device}, which is set aside; again on another one: {line}");
        self.reporter.event(&Event::Notice { text });
        self.step_aside(id);
        self.queue_again(id, locks);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_failed_is_told_from_other_failures() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        for text in [
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
            "RuntimeError: CUDA error: unspecified launch failure\nand more",
            "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.",
            "cudaErrorECCUncorrectable: uncorrectable ECC error encountered",
            "CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        ] {
            assert!(told(&lines(text)).is_some(), "{text}");
        }
        for text in ["", "KeyError: 'cuda'", "out of memory", "CUDNN_STATUS_SUCCESS", "no such file"] {
            assert_eq!(told(&lines(text)), None, "{text}");
        }
    }
}
