//! The flow `daily` end to end.
