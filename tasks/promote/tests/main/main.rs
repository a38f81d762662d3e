//! The kind `promote`: its rules on made-up reports, and its gates on real models.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod gates;
mod null;
