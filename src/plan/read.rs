//! Reads inputs: outputs of other instances, joined or gathered, files outside the cache, and refs.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry as Slot;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::expand::near;
use super::input::{Data, ResolvedInput};
use super::prepare::{FromPlan, InputPlan, Join};
use super::resolve::{Read, Reader, Step, Stop, failed};
use super::tree::{Filter, text_of};
use super::{Done, InstanceId, Item, Lost, Outcome, Planner};
use crate::artifact::Artifact;
use crate::cache::CacheError;
use crate::diagnostic::{Diagnostic, Span};
use crate::flow::Template;
use crate::hash::Hash;
use crate::key::canonical;
use crate::manifest::Origin;
use crate::sync::lock;

/// What a look-up of a producer's instances gave.
enum Lookup {
    /// One instance.
    One(InstanceId),
    /// Several, to be gathered over the axes that are true.
    Many(Vec<InstanceId>, Vec<bool>),
    /// `where` is null: there is nothing to read.
    Absent,
}

/// A part of an output.
enum Entry {
    Json(Value),
    File(Artifact),
}

const OPTIONAL: &str = "add `optional: true` if the task can do without it";

impl Planner<'_> {
    /// An output of another task, or a gather.
    pub(super) fn read(&self, reader: Reader<'_>, plan: &InputPlan<'_>, from: &FromPlan<'_>) -> Step<Option<Read>> {
        let name = &plan.decl.name;
        match self.look_up(reader, from, name.span)? {
            Lookup::Absent if plan.decl.optional => Ok(None),
            Lookup::Absent => {
                let message = format!("input `{name}` is not there: its `where` is null");
                Err(self.error(reader.scope, name.span, message, "read here").help(OPTIONAL).into())
            }
            Lookup::One(producer) => match self.done(producer)? {
                Some(done) => self.take(reader, plan, from, producer, &done),
                None if plan.decl.optional => Ok(None),
                None => Err(Stop::Lost(Lost::Skipped {
                    why: format!("it reads `{}`, which is skipped", self.name(producer)),
                    blocked: false,
                })),
            },
            Lookup::Many(..) if from.at.is_some() => {
                let message = format!("`at` takes an entry of one instance, and input `{name}` gathers several");
                let help = "fix the other axes with `where`, or read the entries in the folder of the gather";
                Err(self.error(reader.scope, name.span, message, "gathers").help(help).into())
            }
            Lookup::Many(producers, over) => Ok(Some((self.gather(plan, from, &producers, &over)?, None))),
        }
    }

    /// The instances of a producer that are read, all of them ended.
    fn look_up(&self, reader: Reader<'_>, from: &FromPlan<'_>, span: Span) -> Step<Lookup> {
        let Some((filter, over)) = self.filter(reader, from)? else { return Ok(Lookup::Absent) };
        let producer = self.tasks[from.producer].decl.name.value.clone();
        let found = self.trees[from.producer].find(&filter);
        if let Some((axis, text)) = found.missing.first() {
            let axis = &self.tasks[from.producer].axes[*axis];
            let message = format!("there is no `{producer}` with {axis}={text}");
            return Err(self.error(reader.scope, span, message, "read here").into());
        }
        // A gather leaves out what its own `when` skipped, also where that was the source of an axis.
        let left_out = |lost: &Lost| over.contains(&true) && matches!(lost, Lost::Skipped { blocked: false, .. });
        let lost = found.lost.into_iter().find(|lost| !left_out(lost)).map(|lost| match lost {
            Lost::Unknown(_) => Lost::Unknown(producer.clone()),
            Lost::Skipped { blocked, .. } => {
                Lost::Skipped { why: format!("`{producer}` is skipped"), blocked: *blocked }
            }
        });
        if let Some(lost @ Lost::Skipped { blocked: false, .. }) = lost {
            return Err(Stop::Lost(lost));
        }
        let (leaves, open) = (found.leaves, found.open);
        if self.draws {
            match reader.id {
                Some(id) => lock(&self.edges).extend(leaves.iter().map(|leaf| (*leaf, id))),
                None => {
                    let of_axis = leaves.iter().map(|leaf| (*leaf, reader.task, reader.axes.to_vec()));
                    lock(&self.axis_edges).extend(of_axis);
                }
            }
        }
        let nodes = open.into_iter().map(|node| Item::Node(from.producer, node));
        let pending = leaves.iter().copied().filter(|leaf| self.instances[*leaf].outcome.is_none());
        let on: BTreeSet<Item> = nodes.chain(pending.map(Item::Instance)).collect();
        // What does not depend on a failure is brought up to date, also where the failure has ended the axes of the rest.
        if !on.is_empty() {
            return Err(Stop::Blocked(on));
        }
        if let Some(lost) = lost {
            return Err(Stop::Lost(lost));
        }
        match leaves.as_slice() {
            _ if over.contains(&true) => Ok(Lookup::Many(leaves, over)),
            [one] => Ok(Lookup::One(*one)),
            _ => Err(self
                .error(reader.scope, span, format!("there is no such instance of `{producer}`"), "read here")
                .into()),
        }
    }

    /// The values that each axis of the producer is fixed to, and the axes that are gathered; `None` where one is null.
    fn filter(&self, reader: Reader<'_>, from: &FromPlan<'_>) -> Step<Option<(Filter, Vec<bool>)>> {
        let mut filter: Filter = Vec::with_capacity(from.joins.len());
        let mut over = Vec::with_capacity(from.joins.len());
        for join in &from.joins {
            let (texts, gathered) = match join {
                Join::Mine(index) => (Some(vec![Arc::clone(&reader.axes[*index].text)]), false),
                Join::All => (None, true),
                Join::Where(template) => match self.eval(reader, template)? {
                    Value::Null => return Ok(None),
                    Value::Array(items) => {
                        let mut seen = BTreeSet::new();
                        let texts = items.iter().map(text_of).filter(|text| seen.insert(text.clone()));
                        (Some(texts.map(Arc::from).collect()), true)
                    }
                    value => (Some(vec![text_of(&value).into()]), false),
                },
            };
            filter.push(texts);
            over.push(gathered);
        }
        Ok(Some((filter, over)))
    }

    /// The result of an instance that has ended; `None` where its own `when` skipped it.
    fn done(&self, id: InstanceId) -> Step<Option<Arc<Done>>> {
        let blocked = |what: &str| {
            let why = format!("`{}` {what}", self.name(id));
            Err(Stop::Lost(Lost::Skipped { why, blocked: true }))
        };
        match &self.instances[id].outcome {
            Some(Outcome::Cached(done) | Outcome::Ran(done)) => Ok(Some(Arc::clone(done))),
            Some(Outcome::Skipped { blocked: false, .. }) => Ok(None),
            Some(Outcome::Skipped { .. }) => blocked("is skipped"),
            Some(Outcome::Failed) => blocked("failed"),
            Some(Outcome::WillRun(_) | Outcome::WillShare(_) | Outcome::MayRun(_)) => {
                Err(Stop::Lost(Lost::Unknown(self.tasks[self.instances[id].task].decl.name.value.clone())))
            }
            None => Err(Stop::Blocked(BTreeSet::from([Item::Instance(id)]))),
        }
    }

    /// One output of one instance, or the entry of it that `at` names.
    fn take(
        &self,
        reader: Reader<'_>,
        plan: &InputPlan<'_>,
        from: &FromPlan<'_>,
        producer: InstanceId,
        done: &Done,
    ) -> Step<Option<Read>> {
        let Some(artifact) = done.outputs.get(&from.output) else { return Ok(None) };
        let at = self.at(reader, from)?;
        let origin =
            Origin::Task { task: self.name(producer), key: done.key, output: from.output.clone(), at: at.clone() };
        let input = |file: String, data: Data| ResolvedInput {
            name: plan.decl.name.value.clone(),
            file,
            data,
            origins: vec![origin],
        };
        let Some(at) = at else {
            return Ok(Some((input(from.file.clone(), Data::Cached(artifact.clone())), None)));
        };
        let span = plan.decl.name.span;
        match self.entry(artifact, &at).map_err(|stop| self.not_json(reader, stop, producer, from, span))? {
            Some(Entry::Json(value)) => {
                let bytes: Arc<[u8]> = canonical(&value).into_bytes().into();
                let entry = Artifact { hash: Hash::of(&bytes), folder: false, size: bytes.len() as u64 };
                let file = format!("{}.json", plan.decl.name);
                Ok(Some((input(file, Data::Json(entry, bytes)), Some(value))))
            }
            Some(Entry::File(entry)) => {
                let file = at.rsplit('/').next().unwrap_or(&at).to_owned();
                let data = if entry.folder {
                    Data::Folder { artifact: entry, of: artifact.clone(), at }
                } else {
                    Data::Cached(entry)
                };
                Ok(Some((input(file, data), None)))
            }
            None if plan.decl.optional => Ok(None),
            None => {
                let message = format!("output `{}` of `{}` has no entry `{at}`", from.output, self.name(producer));
                Err(self.error(reader.scope, plan.decl.name.span, message, "read here").into())
            }
        }
    }

    /// The value of `at`.
    fn at(&self, reader: Reader<'_>, from: &FromPlan<'_>) -> Step<Option<String>> {
        Ok(match from.at {
            Some(at) => Some(text_of(&self.eval(reader, at)?)),
            None => None,
        })
    }

    /// An entry of an output: of a folder by path, of a JSON file by key.
    fn entry(&self, artifact: &Artifact, at: &str) -> Step<Option<Entry>> {
        if artifact.folder {
            let entry = self.context.cache.entry(artifact, at).map_err(failed)?;
            return Ok(entry.map(Entry::File));
        }
        Ok(pick(&*self.json(artifact)?, at).cloned().map(Entry::Json))
    }

    /// A JSON output, read once.
    fn json(&self, artifact: &Artifact) -> Step<Arc<Value>> {
        if let Some(json) = lock(&self.json).get(&artifact.hash) {
            return Ok(Arc::clone(json));
        }
        let json = match self.context.cache.json(&artifact.hash) {
            Ok(json) => Arc::new(json),
            Err(CacheError::Json { source, .. }) => return Err(Stop::Error(Diagnostic::new(source.to_string()))),
            Err(error) => return Err(failed(error)),
        };
        lock(&self.json).insert(artifact.hash, Arc::clone(&json));
        Ok(json)
    }

    /// The value that an axis reads: a whole JSON output, or an entry of it.
    pub(super) fn axis_source(&self, reader: Reader<'_>, from: &FromPlan<'_>, span: Span) -> Step<Value> {
        let Lookup::One(producer) = self.look_up(reader, from, span)? else {
            return Err(self
                .error(reader.scope, span, "an axis reads one instance of a task", "this one reads several")
                .into());
        };
        let Some(done) = self.done(producer)? else {
            let why = format!("its axis reads `{}`, which is skipped", self.name(producer));
            return Err(Stop::Lost(Lost::Skipped { why, blocked: false }));
        };
        let at = self.at(reader, from)?.unwrap_or_default();
        let json = match done.outputs.get(&from.output) {
            Some(artifact) if artifact.folder => {
                let message = format!(
                    "output `{}` of `{}` is a folder, and an axis needs JSON",
                    from.output,
                    self.name(producer)
                );
                return Err(self.error(reader.scope, span, message, "read here as JSON").into());
            }
            Some(artifact) => self.json(artifact).map_err(|stop| self.not_json(reader, stop, producer, from, span))?,
            None => Arc::new(Value::Null),
        };
        pick(&json, &at).cloned().ok_or_else(|| {
            let message = format!("output `{}` of `{}` has no entry `{at}`", from.output, self.name(producer));
            self.error(reader.scope, span, message, "read here").into()
        })
    }

    /// Names the output that is not JSON although an axis or `at` reads it as such.
    fn not_json(&self, reader: Reader<'_>, stop: Stop, producer: InstanceId, from: &FromPlan<'_>, span: Span) -> Stop {
        let Stop::Error(error) = stop else { return stop };
        let message = format!("output `{}` of `{}` is not JSON: {}", from.output, self.name(producer), error.message);
        self.error(reader.scope, span, message, "read here as JSON").into()
    }

    /// Outputs of several instances, as one folder.
    fn gather(
        &self,
        plan: &InputPlan<'_>,
        from: &FromPlan<'_>,
        producers: &[InstanceId],
        over: &[bool],
    ) -> Step<ResolvedInput> {
        let mut listing = Vec::with_capacity(producers.len());
        let mut origins = Vec::with_capacity(producers.len());
        for producer in producers {
            // A gather leaves out what its own `when` skipped.
            let Some(done) = self.done(*producer)? else { continue };
            let Some(artifact) = done.outputs.get(&from.output) else { continue };
            listing.push((self.gathered_path(*producer, from, over), artifact.clone()));
            let task = self.name(*producer);
            origins.push(Origin::Task { task, key: done.key, output: from.output.clone(), at: None });
        }
        let artifact = self.context.cache.gather_hash(&listing).map_err(failed)?;
        let name = plan.decl.name.value.clone();
        Ok(ResolvedInput { file: name.clone(), name, data: Data::Gather(artifact, listing.into()), origins })
    }

    /// `axis=value/…/` and the output's file name.
    fn gathered_path(&self, producer: InstanceId, from: &FromPlan<'_>, over: &[bool]) -> String {
        let instance = &self.instances[producer];
        let names = &self.tasks[instance.task].axes;
        let mut path = String::new();
        for ((name, value), _) in names.iter().zip(&*instance.axes).zip(over).filter(|(_, over)| **over) {
            path.push_str(&format!("{name}={}/", percent_encoded(&value.text)));
        }
        path + &from.file
    }

    /// A file or folder outside the cache.
    pub(super) fn source(&self, reader: Reader<'_>, plan: &InputPlan<'_>, template: &Template) -> Step<Option<Read>> {
        let text = match self.eval(reader, template)? {
            Value::Null if plan.decl.optional => return Ok(None),
            Value::String(text) => text,
            other => {
                return Err(self
                    .error(reader.scope, template.span(), "a path is a text", &format!("gives {other}"))
                    .into());
            }
        };
        let path = self.context.root.join(&text);
        if self.publishes
            && let Some(place) = self.places.read(&path)
            && let Some(other) = self.published_around(reader, plan, place)
        {
            let message = format!("input `{}` lies where `{}` publishes", plan.decl.name, self.name(other));
            let help = "read the output itself, with `from`";
            return Err(self.error(reader.scope, template.span(), message, "read here").help(help).into());
        }
        let known = lock(&self.sources).get(&text).cloned();
        let artifact = match known {
            Some(artifact) => artifact,
            None => match self.context.cache.hash_source(&path) {
                Ok(artifact) => lock(&self.sources).entry(text.clone()).or_insert(artifact).clone(),
                Err(error @ CacheError::Index { .. }) => return Err(failed(error)),
                Err(_) if self.holds_cache(&path) => {
                    let message = format!("input `{}` contains the cache, which every run changes", plan.decl.name);
                    let help = "name the files or folders in it that the task reads, or keep the cache elsewhere with `--cache DIR`";
                    return Err(self.error(reader.scope, template.span(), message, "this folder").help(help).into());
                }
                Err(_) if std::fs::symlink_metadata(&path).is_err() => {
                    lock(&self.absent).insert(path.clone());
                    if plan.decl.optional {
                        return Ok(None);
                    }
                    let message = format!("input `{}` is not there: {}", plan.decl.name, path.display());
                    return Err(self.error(reader.scope, template.span(), message, "read here").help(OPTIONAL).into());
                }
                Err(error) => {
                    let message = format!("input `{}` cannot be read: {error}", plan.decl.name);
                    return Err(self.error(reader.scope, template.span(), message, "read here").into());
                }
            },
        };
        let name = plan.decl.name.value.clone();
        let file = path.file_name().map_or_else(|| name.clone(), |file| file.to_string_lossy().into_owned());
        let origins = vec![Origin::Path(text)];
        Ok(Some((ResolvedInput { name, file, data: Data::Source(artifact, path), origins }, None)))
    }

    /// Who publishes to a place, to a folder above it, or below it. That of who does so later finds it among those that are read.
    fn published_around(&self, reader: Reader<'_>, plan: &InputPlan<'_>, place: PathBuf) -> Option<InstanceId> {
        let found = near(&self.published, &place).copied();
        if found.is_none() {
            let own = (reader.task, plan.decl.name.value.clone());
            // The same one whichever thread comes first.
            match lock(&self.read_places).entry(place) {
                Slot::Occupied(mut known) if own < *known.get() => drop(known.insert(own)),
                Slot::Occupied(_) => {}
                Slot::Vacant(place) => drop(place.insert(own)),
            }
        }
        found
    }

    /// Whether a path is a folder that the cache lies in.
    fn holds_cache(&self, path: &Path) -> bool {
        path.is_dir() && fs_err::canonicalize(path).is_ok_and(|path| self.context.cache.runs().starts_with(path))
    }

    /// Whether what `needs` names has ended.
    pub(super) fn order(&self, reader: Reader<'_>, need: &FromPlan<'_>) -> Step<()> {
        let span = self.tasks[reader.task].decl.name.span;
        let ids = match self.look_up(reader, need, span)? {
            Lookup::One(id) => vec![id],
            Lookup::Many(ids, _) => ids,
            Lookup::Absent => Vec::new(),
        };
        ids.into_iter().try_for_each(|id| self.done(id).map(drop))
    }
}

/// An entry of a JSON value: the key as it is, or the parts of `a/b` one below the other. An empty key is all of it.
fn pick<'v>(value: &'v Value, at: &str) -> Option<&'v Value> {
    let child = |value: &'v Value, key: &str| match value {
        Value::Object(map) => map.get(key),
        Value::Array(items) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
        _ => None,
    };
    if at.is_empty() {
        return Some(value);
    }
    child(value, at).or_else(|| {
        let (first, rest) = at.split_once('/')?;
        pick(child(value, first)?, rest)
    })
}

/// Letters, digits and `-._~+,:@=` as they are, anything else as `%XX`: one part of a path, never `.` or `..`.
fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+,:@=".contains(&byte);
    let dots = text == "." || text == "..";
    text.bytes()
        .map(
            |byte| {
                if plain(byte) && !(dots && byte == b'.') {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_found_by_its_whole_key_or_by_its_parts() {
        let value = json!({ "a/b": 1, "a": { "b": 2, "c/d": 3 }, "l": [4, 5] });
        assert_eq!(pick(&value, "a/b"), Some(&json!(1)));
        assert_eq!(pick(&value, "a/c/d"), Some(&json!(3)));
        assert_eq!(pick(&value, "l/1"), Some(&json!(5)));
        assert_eq!(pick(&value, "l/x"), None);
    }

    #[test]
    fn values_in_paths_are_encoded() {
        assert_eq!(percent_encoded("2022-02-18"), "2022-02-18");
        assert_eq!(percent_encoded("a/b ü%"), "a%2Fb%20%C3%BC%25");
        assert_eq!(percent_encoded(".."), "%2E%2E");
    }
}
