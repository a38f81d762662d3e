//! Programs and schemas of kinds.
