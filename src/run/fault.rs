//! Devices that fail: the task starts again on others, and one that failed alone is given last.
//!
//! That a device failed is seen from how the task ended and what it said last; nothing here asks a driver. Where a second
//! device fails the same task, it is the task's own doing: what was set aside for it is used again. Whatever attempts it has
//! left go to devices on which it has not failed, as long as there are any. Of several devices that failed together nothing
//! tells which one it was: the task avoids all of them, and nobody else does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Run;
use super::task::last_lines_since;
use crate::execute::Exit;
use crate::plan::InstanceId;
use crate::report::Event;

/// What is known of the devices that failed a task.
#[derive(Debug, Default)]
pub(super) struct Faults {
    failed: BTreeSet<u32>,
    /// The one that is set aside for it.
    aside: Option<u32>,
    /// How long its log was when the last of them failed.
    logged: u64,
}

/// What programs say that a device, its driver or their libraries have failed, in small letters.
const SIGNS: &[&str] = &[
    "cuda error",
    "cuda driver error",
    "cuda failure",
    "cuda out of memory",
    "[cuda] out of memory",
    "cuda.outofmemoryerror",
    "cuda.memory.outofmemoryerror",
    "resource_exhausted: out of memory",
    "cudaerror",
    "cuda_error_",
    "cublas_status_",
    "cudnn_status_",
    "cusolver_status_",
    "cusparse_status_",
    "an illegal memory access was encountered",
    "unhandled cuda error",
    "ncclunhandledcudaerror",
    "hip error",
    "hip out of memory",
    "hiperror",
    "xid (pci:",
    "nvrm: xid",
    "uncorrectable ecc error",
    "gpu has fallen off the bus",
    "unable to determine the device handle for gpu",
];
/// Of successes the same libraries speak too, and a program may name what they do not have.
const WELL: &[&str] = &["success", "has no attribute", "is not defined", "cannot import name"];

/// The line that tells of a device that failed.
fn told(lines: &[String]) -> Option<&str> {
    lines.iter().rev().find(|line| tells(line)).map(String::as_str)
}

fn tells(line: &str) -> bool {
    let small = line.to_lowercase();
    // `shipError` is none of HIP.
    let begins_with_it = |sign: &&str| after(&small, sign).next().is_some();
    (SIGNS.iter().any(begins_with_it) || has_xid(line)) && !WELL.iter().any(|well| small.contains(well))
}

/// `Xid 79`, as a driver numbers its errors. Databases number their transactions in small letters, and go further.
fn has_xid(line: &str) -> bool {
    after(line, "Xid").any(|rest| {
        let number = rest.trim_start_matches([' ', ':']);
        let digits = number.chars().take_while(char::is_ascii_digit).count();
        number.len() < rest.len() && (1..=3).contains(&digits)
    })
}

/// What follows each word that begins like this.
fn after<'t>(text: &'t str, word: &str) -> impl Iterator<Item = &'t str> {
    let places = text.match_indices(word).map(|(at, word)| (&text[..at], &text[at + word.len()..]));
    places.filter(|(before, _)| !before.ends_with(char::is_alphanumeric)).map(|(_, rest)| rest)
}

impl<'a: 'scope, 'scope> Run<'a, 'scope> {
    /// Starts a task again on other devices, where its own have failed for the first time: that counts as no attempt. Whether
    /// there are as many others, and they did.
    pub(super) fn start_elsewhere(&mut self, id: InstanceId, exit: &Exit) -> bool {
        let Some((devices, line)) = self.fault(id, exit) else { return false };
        let name = self.planner.name(id);
        let Some(flight) = self.flying.get_mut(&id) else { return false };
        let faults = &mut flight.faults;
        let is_first = faults.failed.is_empty();
        faults.failed.extend(&devices);
        if !is_first {
            self.use_again(id, &devices, &line);
            return false;
        }
        let request = flight.resolved.request.clone().avoiding(&faults.failed);
        if !self.options.machine.spares(&request) || self.interrupts > 0 || self.halted.is_some() {
            return false;
        }
        let text = match devices.as_slice() {
            &[device] => {
                faults.aside = Some(device);
                self.scheduler.set_aside(device, true);
                format!("{name} failed on device {device}, which is set aside; again on another one: {line}")
            }
            several => {
                let several: Vec<String> = several.iter().map(u32::to_string).collect();
                format!("{name} failed on the devices {}; again on others: {line}", several.join(", "))
            }
        };
        flight.metrics.clear();
        self.reporter.event(&Event::Notice { text });
        self.leave_devices(id);
        self.prepare(id, Duration::ZERO);
        true
    }

    /// The devices that a task had, and what tells that they have failed, where it ended by that.
    fn fault(&mut self, id: InstanceId, exit: &Exit) -> Option<(Vec<u32>, String)> {
        let log = (self.options.log)(&self.planner.name(id));
        let flight = self.flying.get_mut(&id)?;
        let devices = flight.holds.as_ref().map(|holds| holds.devices.clone())?;
        if devices.is_empty() || !matches!(exit, Exit::Code(_) | Exit::Signal(_)) {
            return None;
        }
        let lines = last_lines_since(&log, flight.faults.logged);
        let line = told(&lines)?.trim().to_owned();
        flight.faults.logged = fs_err::metadata(&log).map(|metadata| metadata.len()).unwrap_or_default();
        Some((devices, line))
    }

    /// Another device has failed the task: the one that is set aside for it is as good as any.
    fn use_again(&mut self, id: InstanceId, devices: &[u32], line: &str) {
        let aside = self.flying.get_mut(&id).and_then(|flight| flight.faults.aside.take());
        if let (Some(first), &[device]) = (aside, devices) {
            self.scheduler.set_aside(first, false);
            let name = self.planner.name(id);
            let text = format!("{name} failed on device {device} as on device {first}, which is used again: {line}");
            self.reporter.event(&Event::Notice { text });
        }
    }

    /// Whether the next attempt of a task had better be on other devices: its own have failed it, and others have not.
    pub(super) fn had_better_move(&self, id: InstanceId) -> bool {
        let Some(flight) = self.flying.get(&id) else { return false };
        let Some(holds) = &flight.holds else { return false };
        let failed = &flight.faults.failed;
        // What waits for devices after another task's failure would not be started any more.
        self.halted.is_none()
            && holds.devices.iter().any(|device| failed.contains(device))
            && self.options.machine.has_others(&flight.resolved.request.clone().avoiding(failed))
    }

    /// A task gives back all that it was given of the machine; what it is given next has none of the devices that failed it,
    /// where others are enough.
    pub(super) fn leave_devices(&mut self, id: InstanceId) {
        self.step_aside(id);
        let Some(flight) = self.flying.get_mut(&id) else { return };
        let resolved = Arc::make_mut(&mut flight.resolved);
        resolved.request = std::mem::take(&mut resolved.request).avoiding(&flight.faults.failed);
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
            "torch.cuda.OutOfMemoryError: Allocation on device 0 would exceed allowed memory.",
            "cupy.cuda.memory.OutOfMemoryError: Out of memory allocating 8,589,934,592 bytes",
            "RuntimeError: CUDA error: unspecified launch failure\nand more",
            "RuntimeError: CUDA driver error: out of memory",
            "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 bytes.",
            "thrust::system::system_error: an illegal memory access was encountered",
            "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.",
            "kernel: Xid (PCI:0000:3b:00): 31, pid=4242, name=python",
            "device 0 reported Xid 79",
            "Xid: 48 on device 1",
            "cudaErrorECCUncorrectable: uncorrectable ECC error encountered",
            "CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            "Unable to determine the device handle for GPU 0000:3B:00.0: GPU is lost.  Reboot the system",
            "RuntimeError: HIP error: out of memory",
            "error: 'hipErrorOutOfMemory'(2) at train.cpp:7",
            "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1333, unhandled cuda error (run with NCCL_DEBUG=INFO)",
            "ncclUnhandledCudaError: Call to CUDA function failed.",
        ] {
            assert!(told(&lines(text)).is_some(), "{text}");
        }
        for text in [
            "",
            "KeyError: 'cuda'",
            "out of memory",
            "CUDNN_STATUS_SUCCESS",
            "no such file",
            "AttributeError: module 'torch.cuda' has no attribute 'OutOfMemoryError'",
            "NameError: name 'cudaErrorNoDevice' is not defined",
            "java.lang.OutOfMemoryError: Java heap space",
            "grpc: RESOURCE_EXHAUSTED: quota exceeded",
            "MembershipError: no such account",
            "ownership error in table x",
            "database: xid 79 is in progress",
            "Xid 4294967 wrapped around",
            "taxid 9606",
            "Xids 7",
            "ncclSystemError: socket closed",
            "ncclRemoteError: a peer has left",
            "RuntimeError: an illegal access to memory of the heap",
        ] {
            assert_eq!(told(&lines(text)), None, "{text}");
        }
    }
}
