//! `ghtrader graph FLOW`: the DAG, of tasks or of instances.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::error::print;
use super::project::refs_of;
use super::{CliError, Exit, FlowArgs, Project};
use crate::plan::{Planner, Wish};

#[derive(Debug, Args)]
pub(super) struct GraphArgs {
    #[command(flatten)]
    flow: FlowArgs,
    /// How to show it
    #[arg(long, value_enum, default_value_t = GraphFormat::Text)]
    format: GraphFormat,
    /// Instances instead of tasks, as far as their axes are known
    #[arg(long)]
    instances: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GraphFormat {
    Text,
    Dot,
    Mermaid,
    Json,
}

/// Nodes by name, and edges from what is read to what reads it.
struct Drawing {
    nodes: Vec<String>,
    edges: Vec<(usize, usize)>,
}

pub(super) fn graph(project: &Project, args: &GraphArgs) -> Result<Exit, CliError> {
    let loaded = project.load(&args.flow)?;
    let graph = loaded.graph()?;
    let drawing = if args.instances {
        let cache = project.look()?;
        let refs = refs_of(&graph, &cache)?;
        let machine = project.this_machine(&graph)?;
        let context = loaded.context(project, &graph, &cache, &refs, &machine);
        let mut planner = Planner::new(context, Wish::default());
        planner.keep_edges();
        planner.to_the_end();
        let errors = planner.take_errors()?;
        if !errors.is_empty() {
            return Err(CliError::Invalid(errors));
        }
        let (nodes, edges) = planner.drawing();
        Drawing { nodes, edges }
    } else {
        let nodes = graph.tasks().iter().map(|task| task.name.value.clone()).collect();
        Drawing { nodes, edges: graph.edges().to_vec() }
    };
    match args.format {
        GraphFormat::Text => text(&drawing),
        GraphFormat::Dot => dot(&drawing),
        GraphFormat::Mermaid => mermaid(&drawing),
        GraphFormat::Json => print(&json!({ "nodes": drawing.nodes, "edges": drawing.edges }).to_string()),
    }
    Ok(Exit::Done)
}

fn text(drawing: &Drawing) {
    let mut read: Vec<Vec<&str>> = vec![Vec::new(); drawing.nodes.len()];
    drawing.edges.iter().for_each(|(from, to)| read[*to].push(&drawing.nodes[*from]));
    for (node, reads) in drawing.nodes.iter().zip(read) {
        let after = if reads.is_empty() { String::new() } else { format!("  ← {}", reads.join(", ")) };
        print(&format!("{node}{after}"));
    }
}

fn dot(drawing: &Drawing) {
    print("digraph flow {");
    for (index, node) in drawing.nodes.iter().enumerate() {
        print(&format!("  n{index} [shape=box, label={node:?}];"));
    }
    for (from, to) in &drawing.edges {
        print(&format!("  n{from} -> n{to};"));
    }
    print("}");
}

fn mermaid(drawing: &Drawing) {
    print("graph TD");
    for (index, node) in drawing.nodes.iter().enumerate() {
        print(&format!("  n{index}[\"{}\"]", node.replace('"', "#quot;")));
    }
    for (from, to) in &drawing.edges {
        print(&format!("  n{from} --> n{to}"));
    }
}
