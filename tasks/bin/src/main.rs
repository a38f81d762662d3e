//! The executable `ghtrader-tasks`: the list of kinds, and nothing else.

use std::process::ExitCode;

use ghtrader_kit::kind;

mod code {
    //! Made by `build.rs`.
    include!(concat!(env!("OUT_DIR"), "/code.rs"));
}

fn main() -> ExitCode {
    let kinds = [
        kind::<ghtrader_cells::ListCells>(),
        kind::<ghtrader_ingest::Ingest>(),
        kind::<ghtrader_index::Index>(),
        kind::<ghtrader_ledger::KeepLedger>(),
        kind::<ghtrader_schedule::Schedule>(),
        kind::<ghtrader_main_l5::MainL5>(),
        kind::<ghtrader_build::Build>(),
        kind::<ghtrader_train::Train>(),
        kind::<ghtrader_eval::Eval>(),
        kind::<ghtrader_promote::Promote>(),
        kind::<ghtrader_summary::Summary>(),
        kind::<ghtrader_check_ticks::CheckTicks>(),
        kind::<ghtrader_check_main::CheckMain>(),
        kind::<ghtrader_audit::Audit>(),
        kind::<ghtrader_store_ticks::StoreTicks>(),
        kind::<ghtrader_store_day::StoreDay>(),
        kind::<ghtrader_store_no_data::StoreNoData>(),
        kind::<ghtrader_missing::Missing>(),
        kind::<ghtrader_fetch::Fetch>(),
        kind::<ghtrader_markers::Markers>(),
        kind::<ghtrader_trading_day::TradingDay>(),
        kind::<ghtrader_record::Record>(),
    ];
    ghtrader_kit::main(&kinds, code_version)
}

/// The code version of a kind, whose crate is named after it.
fn code_version(kind: &str) -> &'static str {
    let name = format!("ghtrader-{kind}");
    code::CODE.iter().find(|(crate_name, _)| *crate_name == name).map_or("unknown", |(_, version)| version)
}
