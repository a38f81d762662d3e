//! A lineage in the formats of others: see `prov.rs` and `openlineage.rs`.

use serde_json::Value;

use super::{Lineage, LineageNode, openlineage, prov};
use crate::cache::{Cache, CacheError};
use crate::manifest::Manifest;

impl Lineage {
    /// As one PROV-JSON document.
    ///
    /// # Errors
    /// Where a manifest cannot be read.
    pub fn prov(&self, cache: &Cache) -> Result<Value, CacheError> {
        prov::document(cache, &self.manifests(cache)?)
    }

    /// As OpenLineage events, what was made first first.
    ///
    /// # Errors
    /// Where a manifest cannot be read.
    pub fn openlineage(&self, cache: &Cache) -> Result<Vec<Value>, CacheError> {
        openlineage::events(cache, &self.manifests(cache)?)
    }

    /// The executions of all its tasks, by the time of their end.
    fn manifests(&self, cache: &Cache) -> Result<Vec<Manifest>, CacheError> {
        let mut manifests = Vec::new();
        for node in &self.nodes {
            if let LineageNode::Task { key, .. } = node {
                manifests.extend(cache.manifest(key)?);
            }
        }
        manifests.sort_by(|a, b| a.execution.finished.cmp(&b.execution.finished));
        Ok(manifests)
    }
}
