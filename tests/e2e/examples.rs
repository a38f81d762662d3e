//! The examples: every ```` ```sh ```` block of their READMEs is run, in order, in a copy of the project where `./x` is the
//! built runner; where a ```` ```text ```` block follows, that is what the commands have to print.
//!
//! `ghtrader-tasks` has to be built: `./x test` does.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::space::{Answer, Space, answer};

/// A block of commands, and what they print where the README says so.
#[derive(Debug, Default)]
struct Block {
    commands: String,
    prints: Option<String>,
}

/// Stands between the outputs of two blocks.
const MARK: &str = "--- the next block ---";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folders of `examples/`, by name.
fn examples() -> Vec<String> {
    let folders = std::fs::read_dir(repository().join("examples")).unwrap().map(Result::unwrap);
    let folders = folders.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut names: Vec<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The blocks of a README that are to be run.
fn blocks(readme: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut language = None;
    // Whether the last thing before this line was a block of commands.
    let mut follows = false;
    for line in readme.lines() {
        match (line.strip_prefix("```"), language) {
            (Some("sh"), None) => {
                blocks.push(Block::default());
                language = Some("sh");
            }
            (Some(other), None) => {
                language = Some(if other == "text" && follows { "text" } else { "other" });
                if let (Some("text"), Some(block)) = (language, blocks.last_mut()) {
                    block.prints = Some(String::new());
                }
            }
            (Some(_), Some(ended)) => {
                follows = ended == "sh";
                language = None;
            }
            (None, Some("sh")) => append(blocks.last_mut().map(|block| &mut block.commands), line),
            (None, Some("text")) => append(blocks.last_mut().and_then(|block| block.prints.as_mut()), line),
            (None, Some(_)) => {}
            (None, None) => follows &= line.is_empty(),
        }
    }
    blocks
}

fn append(text: Option<&mut String>, line: &str) {
    let text = text.unwrap();
    text.push_str(line);
    text.push('\n');
}

/// A copy of what the READMEs speak of: the flows, the examples, and `./x`.
fn project() -> Space {
    let ghtrader = Path::new(env!("CARGO_BIN_EXE_ghtrader"));
    let tasks = ghtrader.with_file_name("ghtrader-tasks");
    assert!(tasks.is_file(), "{} is not built: run ./x test, or ./x build first", tasks.display());
    let space = Space::new();
    for folder in ["flows", "examples"] {
        let copied = Command::new("cp").arg("-r").arg(repository().join(folder)).arg(space.root()).status().unwrap();
        assert!(copied.success());
    }
    space.write("x", &format!("#!/bin/sh\nexec '{}' \"$@\"\n", ghtrader.display()));
    let made = Command::new("chmod").arg("+x").arg(space.path("x")).status().unwrap();
    assert!(made.success());
    space
}

/// Runs all blocks in one shell, which ends at the first command that fails.
fn run(space: &Space, blocks: &[Block]) -> Answer {
    let commands: Vec<&str> = blocks.iter().map(|block| block.commands.as_str()).collect();
    let script = commands.join(&format!("echo '{MARK}'\n"));
    let mut command = Command::new("sh");
    command.args(["-eu", "-c", &script]).current_dir(space.root()).stdin(Stdio::null());
    for name in ["GHTRADER_CACHE", "GHTRADER_TASKS"] {
        command.env_remove(name);
    }
    answer(&mut command)
}

#[test]
fn every_command_of_an_example_s_readme_does_what_it_says() {
    let names = examples();
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        let path = repository().join("examples").join(&name).join("README.md");
        let readme = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let blocks = blocks(&readme);
        assert!(!blocks.is_empty(), "the README of {name} has no commands");
        let space = project();
        let answer = run(&space, &blocks);
        assert_eq!(answer.code, 0, "{name}: {answer:#?}");
        let outputs: Vec<&str> = answer.out.split(&format!("{MARK}\n")).collect();
        assert_eq!(outputs.len(), blocks.len(), "{name}: {answer:#?}");
        for (block, output) in blocks.iter().zip(outputs) {
            if let Some(prints) = &block.prints {
                assert_eq!(output, prints, "{name}: {}", block.commands);
            }
        }
    }
}

#[test]
fn the_first_flow_of_the_readme_is_the_example() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let flow = std::fs::read_to_string(repository().join("examples/first-flow/flows/first.yaml")).unwrap();
    assert!(readme.contains(&format!("```yaml\n{flow}```\n")), "README.md does not show examples/first-flow as it is");
}

#[test]
fn a_text_block_belongs_to_the_commands_right_before_it() {
    let readme = "```sh\na\n```\n```text\n1\n```\n\n```sh\nb\n```\nwords\n\n```text\n2\n```\n";
    let blocks = blocks(readme);
    let prints: Vec<Option<&str>> = blocks.iter().map(|block| block.prints.as_deref()).collect();
    assert_eq!(prints, [Some("1\n"), None]);
    assert_eq!(blocks[1].commands, "b\n");
}
