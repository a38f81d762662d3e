//! Draws what happens to a project.

use crate::dice::Dice;
use crate::draw::{FILES, file, project};
use crate::project::{Project, Source, Values};
use crate::reference::{Ask, Incident, Target};
use crate::steps::{Harm, History, How, Step};

/// A history: runs, with one or two steps of other kinds between them.
pub(crate) fn history(seed: u64) -> History {
    let mut dice = Dice::new(seed);
    let project = project(&mut dice);
    let mut steps = vec![run(&mut dice, &project)];
    for _ in 0..2 + dice.below(3) {
        for _ in 0..[0, 1, 1, 1, 2][dice.below(5)] {
            steps.push(step(&mut dice, &project));
        }
        steps.push(run(&mut dice, &project));
    }
    // Whatever happened, the last run brings all up to date, and says so.
    let ask = Ask { keep_going: true, ..Ask::default() };
    steps.push(Step::Run { ask, before: false, after: true });
    History { project, steps }
}

fn step(dice: &mut Dice, project: &Project) -> Step {
    match dice.below(100) {
        0..32 => write(dice),
        32..38 => Step::Remove { path: path(dice) },
        38..44 => Step::Rename { from: path(dice), to: format!("d/{}", dice.pick(&["n", "s/n", "x"])) },
        44..48 => Step::Folder { path: (*dice.pick(&["d/hollow", "d/s/e/f", "opt"])).to_owned() },
        48..51 => Step::Touch { path: path(dice) },
        51..59 => Step::Revert,
        59..67 => give(dice),
        67..72 => {
            let env = [
                ("E1", Some("one")),
                ("E1", None),
                ("SECRET", Some("hunter2-hunter2")),
                ("SECRET", Some("hunter2-hunter3x")),
            ];
            let (name, value) = *dice.pick(&env);
            Step::Env { name: name.to_owned(), value: value.map(str::to_owned) }
        }
        72..75 => Step::Look(dice.below(6) as u32),
        75..78 => Step::Salt { task: dice.below(project.tasks.len()), salt: dice.below(2) as u32 },
        78..80 => {
            let task = dice.below(project.tasks.len());
            Step::RenameTask { task, name: format!("r{task}") }
        }
        80..84 => Step::Weather((*dice.pick(&["rain", "fog!", "sun"])).to_owned()),
        84..88 => Step::Spoil { pick: dice.below(100), remove: dice.chance(50) },
        88..96 => Step::Lose { pick: dice.below(100), remove: dice.chance(50) },
        _ => Step::Index(*dice.pick(&[Harm::Remove, Harm::Truncate, Harm::Garbage])),
    }
}

fn path(dice: &mut Dice) -> String {
    if dice.chance(8) { (*dice.pick(&["d", "d/s"])).to_owned() } else { (*dice.pick(&FILES[..8])).to_owned() }
}

fn write(dice: &mut Dice) -> Step {
    let how = *dice.pick(&[How::Plain, How::SameTime, How::SameTime, How::Older, How::Replace]);
    let paths = ["opt", "d/s/new", "d/t/u"];
    let path = if dice.chance(20) { *dice.pick(&paths) } else { *dice.pick(&FILES) };
    Step::Write { path: path.to_owned(), file: file(dice), how }
}

fn give(dice: &mut Dice) -> Step {
    let values: [(&str, Option<&str>); 7] = [
        ("p", Some("n")),
        ("p", None),
        ("q", Some("c")),
        ("q", None),
        ("xs", Some("[a]")),
        ("xs", Some("[b,a,c]")),
        ("xs", None),
    ];
    let (param, value) = *dice.pick(&values);
    Step::Give { param: param.to_owned(), value: value.map(str::to_owned) }
}

fn run(dice: &mut Dice, project: &Project) -> Step {
    let ask = ask(dice, project);
    let moves = project.tasks.iter().any(|task| task.moves.is_some());
    match dice.below(100) {
        // Whether a ref was moved before a kill, or before the other run looked, is not known.
        0..17 if moves => Step::Run { ask, before: true, after: true },
        0..10 => Step::Kill { ask, after: (dice.below(60_000)) as u64 },
        10..17 => Step::Two { ask },
        17..27 => incident(dice, project, ask),
        _ => Step::Run { ask, before: dice.chance(60), after: dice.chance(30) },
    }
}

fn ask(dice: &mut Dice, project: &Project) -> Ask {
    let mut ask = Ask { keep_going: dice.chance(60), ..Ask::default() };
    if dice.chance(15) {
        ask.targets.push(target(dice, project));
    }
    if dice.chance(10) {
        ask.force.push(dice.below(project.tasks.len()));
    }
    ask
}

fn target(dice: &mut Dice, project: &Project) -> Target {
    let task = dice.below(project.tasks.len());
    let mut axes = Vec::new();
    // Asking for a value of one axis where another is empty is an error.
    if let (["x"], Values::List(values)) =
        (&project.tasks[task].axes.iter().map(String::as_str).collect::<Vec<_>>()[..], &project.axes["x"])
        && dice.chance(40)
    {
        axes.push(("x".to_owned(), dice.pick(values).clone()));
    }
    Target { task, axes, dependents: dice.chance(30) }
}

/// Something in the midst of a task whose instances are known from the flow.
fn incident(dice: &mut Dice, project: &Project, ask: Ask) -> Step {
    let task = dice.below(project.tasks.len());
    let decl = &project.tasks[task];
    let values: Vec<Vec<String>> = decl.axes.iter().map(|axis| crate::draw::values(project, axis)).collect();
    if values.iter().any(Vec::is_empty) {
        return Step::Run { ask, before: true, after: true };
    }
    let values: Vec<String> = values.iter().map(|values| dice.pick(values).clone()).collect();
    let path = decl.inputs.iter().find_map(|input| match &input.source {
        Source::Path(text) => Some(text.eval(|axis| crate::judge::axis(decl, &values, axis), |_| String::new())),
        _ => None,
    });
    let incident = match path {
        Some(path) if dice.chance(70) => {
            Incident::Edits(if path == "src/d" || path == "src/d/s" { "src/d/s/z".to_owned() } else { path })
        }
        _ => Incident::Fails,
    };
    Step::Incident { ask, task, values, incident }
}
