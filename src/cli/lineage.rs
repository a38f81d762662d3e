//! `ghtrader lineage ARTIFACT`: where it came from, to the source files; `--down` for what came of it.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};

use super::error::print;
use super::find::find;
use super::{CliError, Exit, Project};
use crate::cache::{Cache, Notice};
use crate::provenance::{Lineage, LineageNode, descendants, lineage as walk};
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
    let found = find(project, &cache, &args.artifact)?;
    let graph = if args.down {
        let hashes: Vec<_> = found.hash.into_iter().collect();
        descendants(&cache, &found.keys, &hashes)?
    } else {
        walk(&cache, &found.keys)?
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
            Text::of(&graph).show();
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

/// A tree of text; a node that was shown before is named only.
struct Text<'a> {
    graph: &'a Lineage,
    below: BTreeMap<usize, Vec<(usize, &'a str)>>,
    shown: Vec<bool>,
}

impl<'a> Text<'a> {
    fn of(graph: &'a Lineage) -> Self {
        let mut below: BTreeMap<usize, Vec<(usize, &str)>> = BTreeMap::new();
        for (from, to, name) in &graph.edges {
            below.entry(*from).or_default().push((*to, name));
        }
        Self { graph, below, shown: vec![false; graph.nodes.len()] }
    }

    fn show(mut self) {
        let mut stack: Vec<(usize, usize, String)> =
            self.graph.roots.iter().rev().map(|root| (*root, 0, String::new())).collect();
        while let Some((node, depth, via)) = stack.pop() {
            let indent = "  ".repeat(depth);
            let via = if via.is_empty() { String::new() } else { format!("{via}: ") };
            let again = std::mem::replace(&mut self.shown[node], true);
            if again {
                print(&format!("{indent}{via}{} (see above)", name(&self.graph.nodes[node])));
                continue;
            }
            print(&format!("{indent}{via}{}", name(&self.graph.nodes[node])));
            for line in details(&self.graph.nodes[node]) {
                print(&format!("{indent}    {line}"));
            }
            for (to, input) in self.below.get(&node).into_iter().flatten().rev() {
                stack.push((*to, depth + 1, (*input).to_owned()));
            }
        }
    }
}

fn name(node: &LineageNode) -> String {
    match node {
        LineageNode::Task { task, key, .. } => format!("{task}  key {}", key.short()),
        LineageNode::Source { path, hash } => format!("{path}  content {}", hash.short()),
        LineageNode::Ref { name, hash } => format!("{name}  at {}", hash.short()),
        LineageNode::Unknown { key } => format!("{} (not recorded in this cache)", key.short()),
        LineageNode::Damaged { key } => {
            format!("{} (its manifest is damaged; `ghtrader run` of its flow makes it again)", key.short())
        }
    }
}

fn details(node: &LineageNode) -> Vec<String> {
    let LineageNode::Task { flow, run, finished, code, params, commit, dirty, outputs, .. } = node else {
        return Vec::new();
    };
    let mut lines = vec![format!("code {}", code.replace('\n', "; "))];
    if !params.is_empty() {
        let params: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
        lines.push(format!("with {}", params.join(" ")));
    }
    let outputs: Vec<String> = outputs.iter().map(|(name, hash)| format!("{name} {}", hash.short())).collect();
    lines.push(format!("wrote {}", outputs.join(", ")));
    let changes = if *dirty { " with changes" } else { "" };
    let commit = commit.as_ref().map(|commit| format!(", commit {}{changes}", commit.get(..8).unwrap_or(commit)));
    lines.push(format!("in run {run} of {flow}, {finished}{}", commit.unwrap_or_default()));
    lines
}

fn dot(graph: &Lineage) {
    print("digraph lineage {");
    for (index, node) in graph.nodes.iter().enumerate() {
        let shape = if matches!(node, LineageNode::Task { .. }) { "box" } else { "ellipse" };
        print(&format!("  n{index} [shape={shape}, label={:?}];", name(node)));
    }
    for (from, to, input) in &graph.edges {
        print(&format!("  n{to} -> n{from} [label={input:?}];"));
    }
    print("}");
}

fn mermaid(graph: &Lineage) {
    print("graph LR");
    for (index, node) in graph.nodes.iter().enumerate() {
        print(&format!("  n{index}[\"{}\"]", name(node).replace('"', "#quot;")));
    }
    for (from, to, input) in &graph.edges {
        print(&format!("  n{to} -->|{input}| n{from}"));
    }
}
