//! ghtrader: a declarative DAG workflow runner for quantitative research on futures order books.
//!
//! Data flows one way: flow file → flow → graph → key → plan → schedule → execute → cache + provenance → report. A
//! module imports only from modules above it in this list (errors aside). Nothing but `report` and `cli` prints.

pub mod cli;
pub mod diagnostic;
pub mod flow;
pub mod kinds;
pub mod graph;
pub mod hash;
pub mod key;
pub mod cache;
pub mod refs;
pub mod locks;
pub mod plan;
pub mod resources;
pub mod schedule;
pub mod execute;
pub mod provenance;
pub mod report;
pub mod run;
