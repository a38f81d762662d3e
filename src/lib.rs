//! ghtrader: a declarative DAG workflow runner for quantitative research on futures order books.
//!
//! Data flows one way: flow file → [`flow`] → [`graph`] → [`key`] → [`plan`] → [`schedule`] → [`execute`] → [`cache`] +
//! [`provenance`] → [`report`]; [`run`] is the loop that joins them, [`cli`] calls it, [`serve`] shows what came of it to a
//! browser. Nothing but `report` and `cli` prints. What is passed on from one to the next is data of its own: an [`artifact`], a [`manifest`].
//! [`diagnostic`], [`hash`], [`text`] and `sync` are for all of them.

pub mod artifact;
pub mod cache;
pub mod cli;
pub mod diagnostic;
pub mod execute;
pub mod flow;
pub mod graph;
pub mod hash;
pub mod key;
pub mod kinds;
pub mod leases;
pub mod locks;
pub mod machine;
pub mod manifest;
pub mod plan;
pub mod provenance;
pub mod refs;
pub mod report;
pub mod resources;
pub mod run;
pub mod schedule;
pub mod serve;
pub mod settings;
mod sync;
pub mod text;
