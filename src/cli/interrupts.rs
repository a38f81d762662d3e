//! Ctrl-C, and the request to end.

use std::thread::JoinHandle;

/// Hears Ctrl-C and requests to end, until it is dropped.
pub(super) struct Interrupts {
    handle: signal_hook::iterator::Handle,
    thread: Option<JoinHandle<()>>,
}

impl Interrupts {
    /// Calls `told` at each, until it says that nobody listens any more.
    pub(super) fn hear(told: impl Fn() -> bool + Send + 'static) -> std::io::Result<Self> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
        let handle = signals.handle();
        let thread = std::thread::spawn(move || {
            for signal in signals.forever() {
                // A request to end is not asked twice.
                let times = if signal == SIGTERM { 2 } else { 1 };
                if !(0..times).all(|_| told()) {
                    return;
                }
            }
        });
        Ok(Self { handle, thread: Some(thread) })
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.handle.close();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
