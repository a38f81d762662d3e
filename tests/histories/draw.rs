//! Draws projects.

use crate::dice::Dice;
use crate::program::Make;
use crate::project::{Filter, Input, Output, Param, Piece, Project, Source, Task, Text, Values, When};
use crate::value::{File, Folder};

/// Files of a project; some names are odd.
pub(crate) const FILES: [&str; 10] = ["a", "b", "d/x", "d/y", "d/s/z", "d/s/-o dd", "d/ü", "d/new\nline", "v/a", "v/b"];

/// Paths that inputs name.
const PATHS: [&str; 6] = ["src/a", "src/b", "src/d", "src/d/x", "src/d/s", "src/opt"];

pub(crate) fn project(dice: &mut Dice) -> Project {
    let mut project = Project {
        params: vec![
            Param { name: "p".into(), default: "m".into(), list: false },
            Param { name: "q".into(), default: "b".into(), list: false },
            Param { name: "xs".into(), default: "[a,c]".into(), list: true },
        ],
        sources: sources(dice),
        weather: "sun".into(),
        ..Project::default()
    };
    let values: &[&[&str]] = &[&["a", "b"], &["a", "b"], &["a", "b", "c"], &["b"], &["p q", "a"]];
    let values = dice.pick(values).iter().map(|value| (*value).to_owned()).collect();
    project.axes.insert("x".into(), Values::List(values));
    project.axes.insert("w".into(), Values::Param("xs".into()));
    for number in 0..1 + dice.below(5) + dice.below(2) {
        let task = task(dice, &project, number);
        project.tasks.push(task);
        if !project.axes.contains_key("y") && dice.chance(60) {
            axis_from(&mut project, number);
        }
    }
    project
}

fn sources(dice: &mut Dice) -> Folder {
    let mut sources = Folder::new();
    for path in FILES {
        // What axes read is always there, and what inputs read nearly always.
        if path.starts_with("v/") || dice.chance(if path.contains('/') { 70 } else { 100 }) {
            sources.insert(path.to_owned(), Some(file(dice)));
        }
    }
    sources.entry("d/x".into()).or_insert_with(|| Some(file(dice)));
    sources.entry("d/s/z".into()).or_insert_with(|| Some(file(dice)));
    if dice.chance(40) {
        sources.insert("d/void".into(), None);
    }
    sources
}

/// A short file; now and then with the mark at which some tasks fail.
pub(crate) fn file(dice: &mut Dice) -> File {
    let letters = ["a", "b", "c", "x", "y", "\n"];
    let mut text: String = (0..1 + dice.below(4)).map(|_| *dice.pick(&letters)).collect();
    if dice.chance(7) {
        text.push('!');
    }
    File { text, executable: dice.chance(10) }
}

/// An axis from the first output of a task that is JSON.
fn axis_from(project: &mut Project, task: usize) {
    let decl = &project.tasks[task];
    let json = decl.outputs.iter().find(|output| matches!(output.make, Make::List | Make::Object));
    if let (Some(output), false) = (json, decl.axes.contains(&"w".to_owned())) {
        project.axes.insert("y".into(), Values::From(task, output.name.clone()));
    }
}

fn task(dice: &mut Dice, project: &Project, number: usize) -> Task {
    let axes = axes(dice, project);
    let mut task = Task {
        name: format!("t{number}"),
        label: format!("t{number}"),
        axes,
        never_cached: dice.chance(7),
        fails: dice.chance(35),
        ..Task::default()
    };
    for place in 0..dice.below(4) {
        if let Some(source) = source(dice, project, &task) {
            let (source, optional) = source;
            task.inputs.push(Input { name: format!("i{place}"), optional, source });
        }
    }
    let makes = [Make::Concat, Make::Concat, Make::First, Make::Count, Make::List, Make::Object, Make::Split];
    for place in 0..[0, 1, 1, 1, 1, 2, 2, 3][dice.below(8)] {
        let path = if dice.chance(20) { format!("deep/o{place}.out") } else { format!("o{place}") };
        let make = *dice.pick(&makes);
        task.outputs.push(Output { name: format!("o{place}"), path, make, publish: dice.chance(40) });
    }
    if number > 0 && dice.chance(15) {
        task.needs.push(dice.below(number));
    }
    surroundings(dice, &mut task);
    task.when = when(dice, project, &task);
    moves(dice, &mut task);
    task
}

/// A task that moves a ref, and most often compares with what it points to.
fn moves(dice: &mut Dice, task: &mut Task) {
    if !task.axes.is_empty() || task.outputs.is_empty() || task.never_cached || !dice.chance(15) {
        return;
    }
    let name = format!("r/{}", task.label);
    if dice.chance(75) {
        task.inputs.push(Input { name: "now".into(), optional: true, source: Source::Ref(name.clone()) });
    }
    task.outputs[0].publish = false;
    task.moves = Some(name);
}

fn axes(dice: &mut Dice, project: &Project) -> Vec<String> {
    let mut axes = Vec::new();
    let from = project.axes.get("y").and_then(|values| match values {
        Values::From(task, _) => Some(&project.tasks[*task].axes),
        _ => None,
    });
    let from = from.filter(|_| dice.chance(45));
    if dice.chance(30) || from.is_some_and(|axes| axes.contains(&"x".to_owned())) {
        axes.push("x".to_owned());
    }
    if dice.chance(12) {
        axes.push("w".to_owned());
    }
    if from.is_some() {
        axes.push("y".to_owned());
    }
    axes
}

fn surroundings(dice: &mut Dice, task: &mut Task) {
    if dice.chance(20) {
        task.env.push(("E1".into(), false));
    }
    if dice.chance(15) {
        task.env.push(("SECRET".into(), true));
    }
    if dice.chance(20) {
        task.with.push(("k".into(), Text(vec![Piece::Plain("k".into()), Piece::Param("p".into())])));
    }
    if dice.chance(12) {
        task.inline = Some("q".into());
    }
}

fn when(dice: &mut Dice, project: &Project, task: &Task) -> Option<When> {
    let number = |input: &&Input| {
        let Source::From { task, output, at: Some(_), .. } = &input.source else { return false };
        let made = project.tasks[*task].outputs.iter().find(|other| other.name == *output);
        !input.optional && made.is_some_and(|output| output.make == Make::Object)
    };
    if let Some(input) = task.inputs.iter().find(number)
        && dice.chance(50)
    {
        return Some(When::AtLeast(input.name.clone(), 2));
    }
    match dice.below(14) {
        0 | 1 => Some(When::Param("p".into(), "n".into())),
        2 | 3 if !task.axes.is_empty() => Some(When::AxisIsNot(dice.pick(&task.axes).clone(), "b".into())),
        _ => None,
    }
}

/// A path, or an output of an earlier task; and whether it is optional.
fn source(dice: &mut Dice, project: &Project, task: &Task) -> Option<(Source, bool)> {
    let earlier: Vec<usize> =
        (0..project.tasks.len()).filter(|earlier| !project.tasks[*earlier].outputs.is_empty()).collect();
    if earlier.is_empty() || dice.chance(40) {
        if task.axes.contains(&"x".to_owned()) && dice.chance(30) && !values(project, "x").contains(&"c".to_owned()) {
            let path = Text(vec![Piece::Plain("src/v/".into()), Piece::Axis("x".into())]);
            return Some((Source::Path(path), values(project, "x").contains(&"p q".to_owned())));
        }
        let path = *dice.pick(&PATHS);
        return Some((Source::Path(Text::plain(path)), path == "src/opt" || dice.chance(15)));
    }
    let refs: Vec<&String> = project.tasks.iter().filter_map(|task| task.moves.as_ref()).collect();
    if !refs.is_empty() && dice.chance(25) {
        return Some((Source::Ref((*dice.pick(&refs)).clone()), true));
    }
    let producer = *dice.pick(&earlier);
    let decl = &project.tasks[producer];
    let output = dice.pick(&decl.outputs);
    let filter = filter(dice, project, producer);
    let gathers = decl.axes.iter().any(|axis| match filter.iter().find(|(other, _)| other == axis) {
        Some((_, filter)) => matches!(filter, Filter::Many(_)),
        None => !task.axes.contains(axis),
    });
    let at = if gathers { None } else { at(dice, project, task, (producer, output), filter.is_empty()) };
    // An entry that is there for certain: the axis is made of the keys of this very output.
    let certain = at.as_ref().is_none_or(|at| matches!(at.0[..], [Piece::Axis(_)]));
    let source = Source::From { task: producer, output: output.name.clone(), filter, at };
    Some((source, !certain || dice.chance(15)))
}

/// The values of an axis that the flow lists.
pub(crate) fn values(project: &Project, axis: &str) -> Vec<String> {
    match &project.axes[axis] {
        Values::List(list) => list.clone(),
        _ => Vec::new(),
    }
}

fn filter(dice: &mut Dice, project: &Project, producer: usize) -> Vec<(String, Filter)> {
    let mut filters = Vec::new();
    let axes = &project.tasks[producer].axes;
    // Not where another axis has values of its own for each value of this one: whether a gather over `where: {x: [a]}` that is
    // joined on a value of `y` which only x=b has is empty, or an error, the rules leave open.
    let nested = matches!(project.axes.get("y"), Some(Values::From(from, _)) if !project.tasks[*from].axes.is_empty());
    if nested && axes.contains(&"y".to_owned()) {
        return filters;
    }
    for axis in axes {
        let known = values(project, axis);
        if !known.is_empty() && dice.chance(25) {
            let one = dice.pick(&known).clone();
            let filter = if dice.chance(50) { Filter::One(Text::plain(one)) } else { Filter::Many(vec![one]) };
            filters.push((axis.clone(), filter));
        }
    }
    filters
}

fn at(
    dice: &mut Dice,
    project: &Project,
    task: &Task,
    (producer, output): (usize, &Output),
    joined: bool,
) -> Option<Text> {
    // The axis of the very instance that is read.
    let own_axis = match &project.axes.get("y") {
        Some(Values::From(from, name)) => {
            joined && *from == producer && *name == output.name && task.axes.contains(&"y".into())
        }
        _ => false,
    };
    match output.make {
        Make::Object if own_axis && dice.chance(80) => Some(Text(vec![Piece::Axis("y".into())])),
        Make::Object if dice.chance(40) => Some(Text::plain(*dice.pick(&["a", "b"]))),
        Make::Split if dice.chance(60) => Some(Text::plain(*dice.pick(&["a", "sub", "sub/first", "void"]))),
        _ => None,
    }
}
