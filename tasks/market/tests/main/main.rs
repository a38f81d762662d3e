//! Ticks in files, the calendar against its golden cases, and `market.yaml`.

mod calendar;
mod market_file;
mod ticks;
