//! Where a shared cache is.

use std::fmt;
use std::path::{Path, PathBuf};

use super::RemoteError;

/// Where a shared cache is: `s3://bucket/prefix`, or a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A bucket; its server and the credentials are those of the environment (`AWS_…`).
    S3 {
        /// Its name.
        bucket: String,
        /// What all names in it begin with; may be empty.
        prefix: String,
    },
    /// A folder that all machines see.
    Folder(PathBuf),
}

impl Address {
    /// Reads one; a folder is relative to the project's root.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn parse(text: &str, root: &Path) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            if text.is_empty() || text.contains('\0') {
                return Err("is no folder".to_owned());
            }
            return Ok(Self::Folder(root.join(text)));
        };
        match scheme {
            "file" if rest.starts_with('/') => Ok(Self::Folder(rest.into())),
            "file" => Err("has no absolute path".to_owned()),
            "s3" => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
                if bucket.len() < 3 || bucket.len() > 63 || !bucket.chars().all(fits) {
                    return Err(format!("names no bucket: `{bucket}` cannot be the name of one"));
                }
                let prefix = prefix.trim_matches('/');
                if prefix.split('/').any(|part| part == "." || part == "..") || prefix.contains("//") {
                    return Err("has a part of its path that is `.`, `..` or empty".to_owned());
                }
                Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
            }
            _ => Err(format!("is neither a bucket nor a folder: `{scheme}` is not known")),
        }
    }

    pub(super) fn prefix(&self) -> &str {
        match self {
            Self::S3 { prefix, .. } => prefix,
            Self::Folder(_) => "",
        }
    }

    pub(super) fn no_bucket(&self) -> RemoteError {
        let why = "there is no such bucket; make it, or name another one in ghtrader.yaml";
        RemoteError::new(self, why.to_owned())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Folder(folder) => write!(f, "{}", folder.display()),
        }
    }
}
