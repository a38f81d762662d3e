//! A flow file and all files that it brings in (`flow:`): each is read once, and none brings itself in.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::flatten::{Inner, flatten};
use super::load::text_of;
use super::{Action, Flow, Spanned, subflow};
use crate::diagnostic::{Diagnostic, in_order, nearest};

/// The files of a flow, the one that was asked for first.
pub(crate) struct Files {
    root: PathBuf,
    files: Vec<File>,
}

struct File {
    path: PathBuf,
    /// What could be read of it, its inner flows not yet in their places.
    flow: Option<Flow>,
    errors: Vec<Diagnostic>,
    /// The files of its tasks with `flow`, by the task's name; one without has an error.
    inner: HashMap<String, usize>,
    /// How one comes to it, the last step first.
    notes: Vec<String>,
}

/// What becomes of a file that brings in another.
#[derive(Clone, Copy, PartialEq)]
enum Visit {
    New,
    Open,
    Done,
}

impl Files {
    /// Reads a flow file and all that it brings in; `check` says what else is wrong with a file, given its whole flow.
    ///
    /// # Errors
    /// All that is wrong with any of the files, file by file.
    pub(crate) fn load(
        root: &Path,
        path: &Path,
        name: &str,
        text: String,
        check: impl Fn(&Flow) -> Vec<Diagnostic>,
    ) -> Result<Flow, Vec<Diagnostic>> {
        let mut files = Self { root: root.to_path_buf(), files: Vec::new() };
        files.add(path.to_path_buf(), Flow::read(path, name, text), Vec::new());
        let mut next = 0;
        while next < files.files.len() {
            files.follow(next);
            next += 1;
        }
        let order = files.order();
        files.join(&order, check)
    }

    fn add(&mut self, path: PathBuf, read: (Option<Flow>, Vec<Diagnostic>), notes: Vec<String>) {
        let (flow, errors) = read;
        self.files.push(File { path, flow, errors, inner: HashMap::new(), notes });
    }

    /// Reads the files that a file brings in, where they are new.
    fn follow(&mut self, index: usize) {
        for (task, named) in self.calls(index) {
            let Some(path) = resolve(&self.root, &named.value) else {
                let error = self.missing(index, &named);
                self.lose(index, &task.value, error);
                continue;
            };
            let same = |file: &File| same_file(&file.path, &path);
            let known = self.files.iter().position(same).unwrap_or_else(|| self.read(index, &task, path));
            self.files[index].inner.insert(task.value, known);
        }
    }

    fn read(&mut self, outer: usize, task: &Spanned<String>, path: PathBuf) -> usize {
        let shown = path.strip_prefix(&self.root).unwrap_or(&path).display().to_string();
        let read = match text_of(&path, &shown) {
            Ok(text) => Flow::read(&path, &shown, text),
            Err(error) => (None, vec![error]),
        };
        let outer = &self.files[outer];
        let notes = outer.flow.iter().map(|flow| subflow::note(&shown, task, &flow.source));
        let notes = notes.chain(outer.notes.iter().cloned()).collect();
        self.add(path, read, notes);
        self.files.len() - 1
    }

    /// The tasks of a file that bring in a flow, with the files that they name.
    fn calls(&self, index: usize) -> Vec<(Spanned<String>, Spanned<String>)> {
        let tasks = self.files[index].flow.iter().flat_map(|flow| &flow.tasks);
        let call = |task: &super::Task| match &task.action {
            Action::Flow(file) => Some((task.name.clone(), file.clone())),
            _ => None,
        };
        tasks.filter_map(call).collect()
    }

    /// A task whose flow cannot be brought in: what names its tasks is not wrong as well.
    fn lose(&mut self, index: usize, task: &str, error: Option<Diagnostic>) {
        let file = &mut self.files[index];
        file.errors.extend(error);
        file.inner.remove(task);
        if let Some(flow) = &mut file.flow {
            flow.damaged.insert(task.to_owned());
        }
    }

    fn missing(&self, index: usize, named: &Spanned<String>) -> Option<Diagnostic> {
        let flow = self.files[index].flow.as_ref()?;
        let message = format!("there is no flow `{named}`");
        let names = names(&self.root.join("flows"));
        let help = nearest(&named.value, names.iter().map(String::as_str));
        let place = "name a file in `flows/`, or a path from the project root";
        let error = Diagnostic::at(&flow.source, named.span, message, "no such file");
        Some(error.help(help.unwrap_or_else(|| place.to_owned())))
    }

    /// The files, each after those that it brings in. One that would bring itself in is not brought in again.
    fn order(&mut self) -> Vec<usize> {
        let mut visits = vec![Visit::New; self.files.len()];
        let mut order = Vec::with_capacity(self.files.len());
        // The files from the first one down, each with the calls that are still to be followed.
        let mut path = vec![(0, self.calls(0).into_iter())];
        visits[0] = Visit::Open;
        while let Some((file, calls)) = path.last_mut() {
            let file = *file;
            let Some((task, named)) = calls.next() else {
                visits[file] = Visit::Done;
                order.push(file);
                path.pop();
                continue;
            };
            let Some(inner) = self.files[file].inner.get(&task.value).copied() else { continue };
            match visits[inner] {
                Visit::Done => {}
                Visit::New => {
                    visits[inner] = Visit::Open;
                    path.push((inner, self.calls(inner).into_iter()));
                }
                Visit::Open => {
                    let chain: Vec<usize> =
                        path.iter().map(|(file, _)| *file).skip_while(|file| *file != inner).collect();
                    let error = self.cycle(&chain, file, &named);
                    self.lose(file, &task.value, error);
                }
            }
        }
        order
    }

    fn cycle(&self, chain: &[usize], file: usize, named: &Spanned<String>) -> Option<Diagnostic> {
        let name = |file: &usize| self.files.get(*file)?.flow.as_ref().map(|flow| format!("`{}`", flow.source.name));
        let names: Vec<String> = chain.iter().chain(chain.first()).filter_map(name).collect();
        let message = format!("flows form a cycle: {}", names.join(" → "));
        let source = &self.files[file].flow.as_ref()?.source;
        let label = if chain.len() == 1 { "the flow itself" } else { "brings in a flow that brings in this one" };
        Some(Diagnostic::at(source, named.span, message, label).help("remove one of these steps"))
    }

    /// Puts the tasks of inner flows in their places, from the inside out.
    fn join(mut self, order: &[usize], check: impl Fn(&Flow) -> Vec<Diagnostic>) -> Result<Flow, Vec<Diagnostic>> {
        let mut whole: Vec<Option<Flow>> = self.files.iter().map(|_| None).collect();
        for &index in order {
            let Some(flow) = self.files[index].flow.take() else { continue };
            let inner = |task: &str| match self.files[index].inner.get(task) {
                None => Inner::Lost,
                Some(file) => whole[*file].as_ref().map_or(Inner::Lost, Inner::Flow),
            };
            let (flow, errors) = flatten(flow, inner);
            self.files[index].errors.extend(errors);
            // The flow that was asked for is checked when its graph is made, unless an error keeps it from that.
            if index != 0 || self.files.iter().any(|file| !file.errors.is_empty()) {
                self.files[index].errors.extend(check(&flow));
            }
            whole[index] = Some(flow);
        }
        let errors: Vec<Diagnostic> = self.files.into_iter().flat_map(File::errors).collect();
        match whole.into_iter().next().flatten() {
            Some(flow) if errors.is_empty() => Ok(flow),
            _ => Err(errors),
        }
    }
}

impl File {
    fn errors(self) -> Vec<Diagnostic> {
        let noted = self.errors.into_iter().map(|error| error.notes(self.notes.clone()));
        in_order(noted.collect())
    }
}

/// The file that `flow` names: `flows/NAME.yaml`, or a path from the project root.
fn resolve(root: &Path, name: &str) -> Option<PathBuf> {
    let in_flows = root.join("flows").join(format!("{name}.yaml"));
    let candidates = [Some(in_flows).filter(|_| !name.contains('/')), Some(root.join(name))];
    candidates.into_iter().flatten().find(|path| path.is_file())
}

/// Whether two paths lead to one file.
fn same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((std::fs::canonicalize(a), std::fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

/// The names of the flows in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let yaml = entries.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let mut names: Vec<String> =
        yaml.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
    names.sort();
    names
}
