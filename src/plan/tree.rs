//! The instances of one task, as a tree over its axes.
//!
//! An axis may be known only once another task has run, so a node of the tree is either expanded, waiting, or lost. A
//! look-up says what matches a filter and what has to be expanded first. It knows no flow and evaluates nothing.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use crate::key::canonical;

/// An instance, by its place in the planner's list.
pub type InstanceId = usize;
/// A node of a tree, by its place in the tree's list.
pub(super) type NodeId = usize;

/// The root of every tree.
pub(super) const ROOT: NodeId = 0;

/// One value of an axis: with its type, and as the text that identifies it.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisValue {
    /// As it is shown and compared: a string as it is, anything else as JSON.
    pub text: Arc<str>,
    /// With its type.
    pub value: Value,
}

impl From<Value> for AxisValue {
    fn from(value: Value) -> Self {
        Self { text: text_of(&value).into(), value }
    }
}

/// The text that identifies a value of an axis.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => canonical(other),
    }
}

/// What is known below a node.
#[derive(Clone, Debug)]
pub(super) enum State<L> {
    /// Nobody has asked yet, or the values of its axis are not known yet.
    Open,
    /// Its children, in the order of the axis.
    Expanded(IndexMap<Arc<str>, Child>),
    /// It will never be expanded in this plan.
    Lost(L),
}

/// A child of an expanded node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Child {
    /// There are more axes.
    Node(NodeId),
    /// It was the last axis.
    Leaf(InstanceId),
}

/// A node: the values of the first axes.
#[derive(Clone, Debug)]
pub(super) struct Node<L> {
    /// The values of the axes before it.
    pub values: Vec<AxisValue>,
    /// What is below it.
    pub state: State<L>,
}

/// The instances of one task; `L` says why a part of it will never be known.
#[derive(Clone, Debug)]
pub(super) struct Tree<L> {
    nodes: Vec<Node<L>>,
}

/// A filter: for each axis the texts that match, or `None` for all.
pub(super) type Filter = Vec<Option<Vec<Arc<str>>>>;

/// What a look-up found.
#[derive(Debug)]
pub(super) struct Found<'a, L> {
    /// The instances that match.
    pub leaves: Vec<InstanceId>,
    /// Nodes that have to be expanded before the answer is complete.
    pub open: Vec<NodeId>,
    /// Why a part that would match is lost.
    pub lost: Vec<&'a L>,
    /// Values that were asked for and do not exist: axis index and text.
    pub missing: Vec<(usize, Arc<str>)>,
}

impl<L> Tree<L> {
    /// A tree with an open root.
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node { values: Vec::new(), state: State::Open }] }
    }

    /// A node.
    pub(super) fn node(&self, id: NodeId) -> &Node<L> {
        &self.nodes[id]
    }

    /// How many nodes it has.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// All nodes.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node<L>> {
        self.nodes.iter()
    }

    /// Gives `id` its children: for each value the instance, or a new node where there are more axes.
    pub(super) fn expand(&mut self, id: NodeId, values: Vec<(AxisValue, Option<InstanceId>)>) -> Vec<NodeId> {
        let mut children = IndexMap::with_capacity(values.len());
        let mut opened = Vec::new();
        for (value, leaf) in values {
            let text = value.text.clone();
            let child = match leaf {
                Some(instance) => Child::Leaf(instance),
                None => {
                    let values = longer(&self.nodes[id].values, value);
                    self.nodes.push(Node { values, state: State::Open });
                    opened.push(self.nodes.len() - 1);
                    Child::Node(self.nodes.len() - 1)
                }
            };
            children.insert(text, child);
        }
        self.nodes[id].state = State::Expanded(children);
        opened
    }

    /// Says that `id` will never be expanded.
    pub(super) fn lose(&mut self, id: NodeId, why: L) {
        self.nodes[id].state = State::Lost(why);
    }

    /// What matches `filter`, one entry for each axis.
    pub(super) fn find(&self, filter: &Filter) -> Found<'_, L> {
        let mut found = Found { leaves: Vec::new(), open: Vec::new(), lost: Vec::new(), missing: Vec::new() };
        let mut stack = vec![(ROOT, 0)];
        while let Some((id, depth)) = stack.pop() {
            match &self.nodes[id].state {
                State::Open => found.open.push(id),
                State::Lost(why) => found.lost.push(why),
                State::Expanded(children) => match filter.get(depth).and_then(Option::as_ref) {
                    None => visit(children.values().rev(), depth, &mut found.leaves, &mut stack),
                    Some(texts) => {
                        let known = texts.iter().rev().filter_map(|text| {
                            let child = children.get(text);
                            if child.is_none() {
                                found.missing.push((depth, text.clone()));
                            }
                            child
                        });
                        visit(known, depth, &mut found.leaves, &mut stack);
                    }
                },
            }
        }
        found
    }
}

/// The values of the axes before, and the next one.
pub(super) fn longer(before: &[AxisValue], value: AxisValue) -> Vec<AxisValue> {
    let mut all = Vec::with_capacity(before.len() + 1);
    all.extend_from_slice(before);
    all.push(value);
    all
}

/// Puts nodes on the stack, and leaves on the list in the order of the axis (they come in reverse).
fn visit<'a>(
    children: impl Iterator<Item = &'a Child>,
    depth: usize,
    leaves: &mut Vec<InstanceId>,
    stack: &mut Vec<(NodeId, usize)>,
) {
    let start = leaves.len();
    for child in children {
        match *child {
            Child::Leaf(instance) => leaves.push(instance),
            Child::Node(node) => stack.push((node, depth + 1)),
        }
    }
    leaves[start..].reverse();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(values: &[&str]) -> Vec<AxisValue> {
        values.iter().map(|value| AxisValue::from(json!(value))).collect()
    }

    /// Axes variety (cu, au) and day; the days of au are not known.
    fn tree() -> Tree<&'static str> {
        let mut tree = Tree::new();
        let opened = tree.expand(ROOT, values(&["cu", "au"]).into_iter().map(|value| (value, None)).collect());
        tree.expand(opened[0], values(&["1", "2"]).into_iter().zip([Some(0), Some(1)]).collect());
        tree
    }

    fn only(text: &str) -> Option<Vec<Arc<str>>> {
        Some(vec![text.into()])
    }

    #[test]
    fn a_look_up_names_what_has_to_be_expanded_first() {
        let tree = tree();
        let all = tree.find(&vec![None, None]);
        assert_eq!((all.leaves, all.open), (vec![0, 1], vec![2]));
        let cu = tree.find(&vec![only("cu"), only("2")]);
        assert_eq!((cu.leaves, cu.open), (vec![1], vec![]));
    }

    #[test]
    fn a_value_that_does_not_exist_is_named() {
        let tree = tree();
        let found = tree.find(&vec![only("cu"), only("3")]);
        assert_eq!(found.missing, [(1, Arc::from("3"))]);
        assert!(found.leaves.is_empty());
    }

    #[test]
    fn what_is_lost_is_told() {
        let mut tree = tree();
        tree.lose(2, "schedule failed");
        assert_eq!(tree.find(&vec![None, None]).lost, [&"schedule failed"]);
    }
}
