//! Locks between the threads of this process.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock, also one whose holder panicked: the panic ends the program as soon as its thread is joined, and what is
/// behind a lock is either replaced as a whole or only counted, collected or looked up.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
