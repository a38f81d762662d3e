//! What a task needs and may: `resources`, `locks`, `env`, `retries`, `timeout`, `cache`.

use std::time::Duration;

use super::types::{CachePolicy, EnvVar, Gpu, Lock, Resources, Retries};
use super::walk::Walk;
use super::yaml::{Data, Node};
use super::{Spanned, units};

/// Reads `resources`.
pub(super) fn resources(walk: &mut Walk, node: &Node) -> Resources {
    let mut resources = Resources { span: node.span, ..Resources::default() };
    for (name, node) in walk.named(node, "`resources`", "resource") {
        resources.places.push((name.value.clone(), node.span));
        match name.value.as_str() {
            "cpu" => resources.cpu = walk.amount(node, "`cpu`", "a number of cores: 1, 0.5").unwrap_or(1.0),
            "memory" => resources.memory = size(walk, node, "`memory`"),
            "gpu" => resources.gpu = gpu(walk, node).filter(|gpu| gpu.count > 0.0),
            other => {
                let amount = walk.amount(node, &format!("`{other}`"), "how many of it the task takes: 1");
                resources.tokens.extend(amount.map(|amount| (other.to_owned(), amount)));
            }
        }
    }
    resources
}

const GPU: &str = "1 or more whole devices, or a share of one like 0.5, or { count: 1, memory: 20GiB, optional: true }";

fn gpu(walk: &mut Walk, node: &Node) -> Option<Gpu> {
    let Data::Map(_) = node.data else {
        return Some(Gpu { count: devices(walk, node)?, memory: None, optional: false });
    };
    let fields = walk.fields(node, "`gpu`", &["count", "memory", "optional"])?;
    let count = match fields.get("count") {
        Some(node) => devices(walk, node)?,
        None => 1.0,
    };
    let memory = fields.get("memory").and_then(|node| size(walk, node, "`memory`"));
    let optional = fields.get("optional").and_then(|node| walk.boolean(node, "`optional`")).unwrap_or(false);
    Some(Gpu { count, memory, optional })
}

fn devices(walk: &mut Walk, node: &Node) -> Option<f64> {
    let count = walk.amount(node, "`gpu`", GPU)?;
    if count > 1.0 && count.fract() != 0.0 {
        walk.error_help(node.span, "more than one device cannot be shared", "not a whole number", GPU);
        return None;
    }
    Some(count)
}

/// A size in bytes.
pub(crate) fn size(walk: &mut Walk, node: &Node, what: &str) -> Option<u64> {
    let size = match &node.data {
        Data::Number(number) => number.as_u64(),
        Data::Text(text) => units::size(text).ok(),
        _ => None,
    };
    if size.is_none() {
        walk.wrong(node, what, "a size", units::SIZE);
    }
    size
}

/// A duration.
pub(super) fn duration(walk: &mut Walk, node: &Node, what: &str) -> Option<Duration> {
    match node.text().map(units::duration) {
        Some(Ok(duration)) => Some(duration),
        Some(Err(units::LONG)) => {
            walk.error_help(node.span, format!("{what} is too long"), "longer than any clock runs", units::DURATION);
            None
        }
        _ => {
            walk.wrong(node, what, "a duration", units::DURATION);
            None
        }
    }
}

/// Reads `locks`.
pub(super) fn locks(walk: &mut Walk, node: &Node) -> Vec<Lock> {
    let items = walk.list(node, "`locks`", "write locks: [name] or locks: [{ key: name, mode: shared }]");
    items.unwrap_or_default().iter().filter_map(|item| lock(walk, item)).collect()
}

fn lock(walk: &mut Walk, node: &Node) -> Option<Lock> {
    let Data::Map(_) = node.data else {
        return Some(Lock { key: walk.text_template(node, "a lock", "its key: a text")?, shared: false });
    };
    let fields = walk.fields(node, "a lock", &["key", "mode"])?;
    let shared = match fields.get("mode") {
        None => false,
        Some(node) => match walk.fixed(node, "`mode`", "shared or exclusive")? {
            "shared" => true,
            "exclusive" => false,
            other => {
                walk.error_help(node.span, format!("there is no mode `{other}`"), "not known", "shared or exclusive");
                false
            }
        },
    };
    let Some(key) = fields.get("key") else {
        walk.error_help(node.span, "a lock has no `key`", "here", "write { key: name, mode: shared }");
        return None;
    };
    Some(Lock { key: walk.text_template(key, "`key`", "")?, shared })
}

/// Reads `env`.
pub(super) fn env(walk: &mut Walk, node: &Node) -> Vec<EnvVar> {
    let mut variables: Vec<EnvVar> = Vec::new();
    let items = walk.list(node, "`env`", "write env: [LANG] or env: [{ name: TOKEN, secret: true }]");
    for item in items.unwrap_or_default() {
        let Some(variable) = variable(walk, item) else { continue };
        if variables.iter().any(|other| other.name.value == variable.name.value) {
            walk.error(item.span, format!("the variable {} is given twice", variable.name), "again here");
        }
        variables.push(variable);
    }
    variables
}

/// The runner sets these; a caller's would be lost.
const OWN: [&str; 5] = ["INPUT_", "OUTPUT_", "PARAM_", "MATRIX_", "GHTRADER_"];

fn variable(walk: &mut Walk, node: &Node) -> Option<EnvVar> {
    let (name, secret) = match &node.data {
        Data::Map(_) => {
            let fields = walk.fields(node, "a variable of `env`", &["name", "secret"])?;
            let secret = fields.get("secret").and_then(|node| walk.boolean(node, "`secret`")).unwrap_or(false);
            let Some(name) = fields.get("name") else {
                walk.error_help(
                    node.span,
                    "a variable of `env` has no `name`",
                    "here",
                    "write { name: TOKEN, secret: true }",
                );
                return None;
            };
            (name, secret)
        }
        _ => (node, false),
    };
    let text = walk.fixed(name, "a variable of `env`", "its name: a text")?;
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || !text.chars().all(letters) || text.starts_with(|c: char| c.is_ascii_digit()) {
        walk.error(name.span, format!("`{text}` is not the name of a variable"), "here");
        return None;
    }
    if OWN.iter().any(|own| text.starts_with(own)) {
        let help = "INPUT_, OUTPUT_, PARAM_, MATRIX_ and GHTRADER_ variables are the task's own";
        walk.error_help(name.span, format!("the runner sets {text}"), "cannot be the caller's", help);
        return None;
    }
    Some(EnvVar { name: Spanned::new(text.to_owned(), name.span), secret })
}

/// Reads `retries`.
pub(super) fn retries(walk: &mut Walk, node: &Node) -> Retries {
    let mut retries = Retries::default();
    let Some(fields) = walk.fields(node, "`retries`", &["attempts", "backoff", "max"]) else { return retries };
    match fields.get("attempts") {
        None => {
            let help = "write retries: { attempts: 3 }; the first attempt counts";
            walk.error_help(node.span, "`retries` has no `attempts`", "how often?", help);
        }
        Some(node) => match walk.integer(node, "`attempts`").map(u32::try_from) {
            Some(Ok(attempts @ 1..)) => retries.attempts = attempts,
            Some(Err(_)) if walk.integer(node, "`attempts`").is_some_and(|attempts| attempts > 0) => {
                walk.error(node.span, format!("`attempts` has to be at most {}", u32::MAX), "too many");
            }
            Some(_) => walk.error(node.span, "`attempts` has to be at least 1", "the first attempt counts"),
            None => {}
        },
    }
    let mut time = |key: &str| fields.get(key).and_then(|node| duration(walk, node, &format!("`{key}`")));
    retries.backoff = time("backoff").unwrap_or(retries.backoff);
    retries.max = time("max").unwrap_or(retries.max.max(retries.backoff));
    retries
}

/// Reads `cache`.
pub(super) fn cache(walk: &mut Walk, node: &Node) -> CachePolicy {
    match &node.data {
        Data::Bool(true) => CachePolicy::Always,
        Data::Bool(false) => CachePolicy::Never,
        Data::Map(_) => {
            let fields = walk.fields(node, "`cache`", &["ttl"]);
            let Some(ttl) = fields.and_then(|fields| fields.get("ttl")) else {
                if !fields.is_none_or(|fields| fields.misspells(&["ttl"])) {
                    walk.error_help(node.span, "`cache` has no `ttl`", "here", "write cache: { ttl: 1d }");
                }
                return CachePolicy::Always;
            };
            duration(walk, ttl, "`ttl`").map_or(CachePolicy::Always, CachePolicy::Ttl)
        }
        _ => {
            walk.wrong(node, "`cache`", "true, false or { ttl: 1d }", "");
            CachePolicy::Always
        }
    }
}
