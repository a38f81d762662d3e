//! Typed paths: the fields of a kind's inputs and outputs.
//!
//! Their JSON Schema carries the path type in `format`, from which the runner learns what a kind reads and writes. An
//! output's relative path is given with `#[schemars(extend("path" = "days.json"))]`, otherwise it is the field's name.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Result;

macro_rules! path_types {
    ($($(#[$doc:meta])* $name:ident is $format:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(transparent)]
        pub struct $name(PathBuf);

        impl $name {
            /// Where it lies.
            pub fn path(&self) -> &Path {
                &self.0
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format })
            }
        }
    )*};
}

path_types! {
    /// An input file.
    InputFile is "file";
    /// An input folder.
    InputFolder is "folder";
    /// An output file to write.
    OutputFile is "file";
    /// An output folder to write; it exists already, empty.
    OutputFolder is "folder";
}

macro_rules! json_types {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(transparent, bound = "")]
        pub struct $name<T>(PathBuf, #[serde(skip)] PhantomData<fn() -> T>);

        impl<T> $name<T> {
            /// Where it lies.
            pub fn path(&self) -> &Path {
                &self.0
            }
        }

        impl<T> JsonSchema for $name<T> {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": "json" })
            }
        }
    )*};
}

json_types! {
    /// An input file with JSON of type `T`.
    InputJson;
    /// An output file for JSON of type `T`.
    OutputJson;
}

impl<T: DeserializeOwned> InputJson<T> {
    /// Reads and checks it. An error names the file, and line and column of what does not fit.
    pub fn read(&self) -> Result<T> {
        read(&self.0)
    }
}

impl<T: DeserializeOwned> OutputJson<T> {
    /// Reads what an earlier run wrote, for [`crate::Task::probe`].
    pub fn read(&self) -> Result<T> {
        read(&self.0)
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs_err::read_to_string(path)?;
    serde_json::from_str(&text).with_context(|| format!("{} is not what this task reads", path.display()))
}

impl<T: Serialize> OutputJson<T> {
    /// Writes `value`, indented, with a newline at the end.
    pub fn write(&self, value: &T) -> Result<()> {
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        Ok(fs_err::write(&self.0, text)?)
    }
}
