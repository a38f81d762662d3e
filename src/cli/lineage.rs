//! `ghtrader lineage ARTIFACT`: where it came from, to the source files; `--down` for what came of it.

use clap::{Args, ValueEnum};

use super::error::print;
use super::{CliError, Exit, Project};
use crate::cache::{Cache, Notice};
use crate::provenance::{Line, Lineage, LineageNode, descendants, find, lineage as walk, parts};
use crate::refs::{Change, Move};

#[derive(Debug, Args)]
pub(super) struct LineageArgs {
    /// A hash, a ref, a file, or `flow:task[axis=value].output`
    #[arg(add = super::completions::artifacts())]
    artifact: String,
    /// What came of it
    #[arg(long)]
    down: bool,
    /// How to show it
    #[arg(long, value_enum, default_value_t = LineageFormat::Text)]
    format: LineageFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LineageFormat {
    Text,
    Json,
    Dot,
    Mermaid,
    /// PROV-JSON, of the W3C
    Prov,
    /// OpenLineage events, one a line
    Openlineage,
}

pub(super) fn lineage(project: &Project, args: &LineageArgs) -> Result<Exit, CliError> {
    let cache = project.look()?;
    let found = find(&cache, Some(&project.root), &args.artifact)?;
    let graph = if args.down {
        let hashes: Vec<_> = found.hash.into_iter().collect();
        descendants(&cache, &found.keys, &hashes)?
    } else {
        match found.hash.filter(|_| found.keys.is_empty()) {
            Some(hash) => walk(&cache, &parts(&cache, &hash)?)?,
            None => walk(&cache, &found.keys)?,
        }
    };
    let damaged = damaged(&cache);
    if graph.nodes.is_empty() {
        if damaged.is_none() {
            print("no task in this cache wrote it: it is a source");
        }
        return damaged.map_or(Ok(Exit::Done), Err);
    }
    match args.format {
        LineageFormat::Text => {
            if let Some(step) = &found.moved {
                moved(&args.artifact, step);
            }
            text(&graph);
        }
        LineageFormat::Json => print(&serde_json::to_string_pretty(&graph).unwrap_or_default()),
        LineageFormat::Dot => dot(&graph),
        LineageFormat::Mermaid => mermaid(&graph),
        LineageFormat::Prov => print(&serde_json::to_string_pretty(&graph.prov(&cache)?).unwrap_or_default()),
        LineageFormat::Openlineage => graph.openlineage(&cache)?.iter().for_each(|event| print(&event.to_string())),
    }
    let known = !graph.nodes.iter().any(|node| matches!(node, LineageNode::Damaged { .. }));
    damaged.map_or(Ok(if known { Exit::Done } else { Exit::Damaged }), Err)
}

/// The manifests that were found damaged on the way: what is told is not all.
fn damaged(cache: &Cache) -> Option<CliError> {
    let of_manifest = |notice| match notice {
        Notice::DamagedManifest { path, why, .. } => Some((path, why)),
        Notice::IndexRebuilt { .. } | Notice::Doubtful(_) | Notice::NotIndexed(_) => None,
    };
    let manifests: Vec<_> = cache.take_notices().into_iter().filter_map(of_manifest).collect();
    if manifests.is_empty() { None } else { Some(CliError::Manifests(manifests)) }
}

/// The move that set a ref.
fn moved(name: &str, step: &Move) {
    let Change { artifact, who, at, decision, task, .. } = &step.change;
    let by = task.as_ref().map_or_else(|| who.clone(), |task| format!("{task}, run by {who}"));
    print(&format!("{name}  at {}", artifact.hash.short()));
    let decision = decision.as_ref().map(|decision| format!(", on decision {}", decision.hash.short()));
    print(&format!("    moved {at} by {by}{}", decision.unwrap_or_default()));
}

fn text(graph: &Lineage) {
    for Line { depth, via, node, again } in graph.lines() {
        let indent = "  ".repeat(depth);
        let via = if via.is_empty() { String::new() } else { format!("{via}: ") };
        let above = if again { " (see above)" } else { "" };
        print(&format!("{indent}{via}{node}{above}"));
        if !again {
            node.details().iter().for_each(|line| print(&format!("{indent}    {line}")));
        }
    }
}

fn dot(graph: &Lineage) {
    print("digraph lineage {");
    for (index, node) in graph.nodes.iter().enumerate() {
        let shape = if matches!(node, LineageNode::Task { .. }) { "box" } else { "ellipse" };
        print(&format!("  n{index} [shape={shape}, label={:?}];", node.to_string()));
    }
    for (from, to, input) in &graph.edges {
        print(&format!("  n{to} -> n{from} [label={input:?}];"));
    }
    print("}");
}

fn mermaid(graph: &Lineage) {
    print("graph LR");
    for (index, node) in graph.nodes.iter().enumerate() {
        print(&format!("  n{index}[\"{}\"]", node.to_string().replace('"', "#quot;")));
    }
    for (from, to, input) in &graph.edges {
        print(&format!("  n{to} -->|{input}| n{from}"));
    }
}
