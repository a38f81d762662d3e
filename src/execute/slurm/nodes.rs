//! What the nodes of a Slurm have, by `sinfo`.

use super::command::call;
use crate::execute::ExecuteError;
use crate::resources::Pool;

/// What each node has that jobs may go to, whether it is free or not.
pub(in crate::execute) fn nodes() -> Result<Vec<Pool>, ExecuteError> {
    let partition = std::env::var("SBATCH_PARTITION").ok().filter(|name| !name.is_empty());
    let mut args = vec!["--noheader".to_owned(), "--Node".to_owned(), "--format=%N|%c|%m|%G".to_owned()];
    args.extend(partition.as_ref().map(|name| format!("--partition={name}")));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let text = call("sinfo", &args, "").map_err(|failed| failed.at_the_start())?;
    let nodes: Vec<Pool> = text.lines().filter_map(node).collect();
    if !nodes.is_empty() {
        return Ok(nodes);
    }
    let what = match partition {
        Some(name) => format!("`--executor slurm`: Slurm has no partition `{name}` with nodes (SBATCH_PARTITION)"),
        None => "`--executor slurm`: Slurm has no nodes".to_owned(),
    };
    Err(ExecuteError::Cluster { what, help: "`sinfo` lists partitions and their nodes".to_owned() })
}

/// `name|cores|MiB|devices`.
fn node(line: &str) -> Option<Pool> {
    let mut fields = line.trim().split('|').skip(1);
    // A `+` stands behind what differs among nodes that are told together.
    let mut number = || fields.next()?.trim_end_matches('+').parse::<u64>().ok();
    let (cores, mebibytes) = (number()?, number()?);
    let devices = devices(fields.next().unwrap_or_default());
    Some(Pool::new(cores as f64, mebibytes << 20, &(0..devices).collect::<Vec<_>>()))
}

/// `gpu:4`, `gpu:a100:2(S:0-1),gpu:v100:2,shard:8`; `(null)` where there is none.
fn devices(text: &str) -> u32 {
    let mut count = 0;
    let mut depth = 0_u32;
    let plain: String = text
        .chars()
        .filter(|character| {
            depth += u32::from(*character == '(');
            let outside = depth == 0;
            depth = depth.saturating_sub(u32::from(*character == ')'));
            outside
        })
        .collect();
    for part in plain.split(',') {
        let mut words = part.split(':');
        if words.next() == Some("gpu") {
            count += words.next_back().map_or(1, |number| number.parse().unwrap_or(1));
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Request;

    #[test]
    fn devices_are_counted_in_all_ways_to_write_them() {
        let cases = [
            ("gpu:4", 4),
            ("gpu:a100:2(S:0-1),gpu:v100:2,shard:8", 4),
            ("(null)", 0),
            ("gpu:tesla:1(S:0,1)", 1),
            ("", 0),
        ];
        for (text, count) in cases {
            assert_eq!(devices(text), count, "{text}");
        }
    }

    #[test]
    fn a_node_is_what_a_request_has_to_fit_on() {
        let node = node("n1|16|16000|gpu:4").unwrap();
        assert!(node.admits(&Request::new(16.0, 4.0).memory(16_000 << 20)).is_ok());
        for too_much in [Request::new(17.0, 0.0), Request::new(1.0, 5.0), Request::new(1.0, 0.0).memory(16_001 << 20)] {
            assert!(node.admits(&too_much).is_err());
        }
    }
}
