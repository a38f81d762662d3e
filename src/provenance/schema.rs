//! The JSON Schema of what is written down: it follows from the types, so it cannot say anything else.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::{RunEnd, RunStart};
use crate::manifest::Manifest;

/// The schema of a task's manifest (`results/`), and of a run's (`start.json` and `end.json`).
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let kinds = [
        generator.subschema_for::<Manifest>(),
        generator.subschema_for::<RunStart>(),
        generator.subschema_for::<RunEnd>(),
    ];
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A manifest of ghtrader",
        "description": "Of a finished task (results/), or of a run (start.json, end.json). Generated: `ghtrader schema --manifest`.",
        "anyOf": kinds,
        "$defs": generator.take_definitions(true),
    })
}
