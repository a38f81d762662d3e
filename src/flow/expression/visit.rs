//! Walks the syntax tree of an expression: the names that it uses, with their places, and what is not allowed.

use std::sync::Arc;

use minijinja::machinery::ast::{CallArg, Expr};

use super::Place;
use crate::diagnostic::{Diagnostic, SourceFile, Span, nearest};

/// Functions that an expression may call.
pub(in crate::flow) const FUNCTIONS: [&str; 3] = ["files", "range", "dict"];

/// The filters of minijinja that flows may use: those that speak of values, not of HTML pages.
pub(in crate::flow) const FILTERS: [&str; 44] = [
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "zip",
];

/// The tests (`x is …`) of minijinja that flows may use.
pub(in crate::flow) const TESTS: [&str; 38] = [
    "!=",
    "<",
    "<=",
    "==",
    ">",
    ">=",
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "int",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
];

/// The kind of a name in an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Root {
    /// `params.NAME`
    Param,
    /// `NAME` or `matrix.NAME`
    Axis,
    /// `inputs.NAME`
    Input,
    /// `env.NAME`
    Env,
}

/// A name that an expression uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Where it is looked up.
    pub root: Root,
    /// The name.
    pub name: String,
    /// Its place in the file.
    pub span: Span,
}

/// The root and the keys of an expression that is a path.
pub(super) fn path(expr: &Expr<'_>) -> Option<(Root, Vec<String>)> {
    let mut keys = Vec::new();
    let mut at = expr;
    let root = loop {
        match at {
            Expr::Var(var) => break var.id,
            Expr::GetAttr(get) => {
                keys.push(get.name.to_owned());
                at = &get.expr;
            }
            Expr::GetItem(get) => {
                keys.push(constant(&get.subscript_expr)?);
                at = &get.expr;
            }
            _ => return None,
        }
    };
    keys.reverse();
    Some(match root_of(root) {
        Some(root) => (root, keys),
        None => (Root::Axis, std::iter::once(root.to_owned()).chain(keys).collect()),
    })
}

/// The expressions that an expression is made of; without arguments, and without those of which only a part is a value.
fn parts<'e, 's>(expr: &'e Expr<'s>) -> Vec<&'e Expr<'s>> {
    match expr {
        Expr::Slice(slice) => {
            [Some(&slice.expr), slice.start.as_ref(), slice.stop.as_ref()].into_iter().flatten().collect()
        }
        Expr::UnaryOp(op) => vec![&op.expr],
        Expr::BinOp(op) => vec![&op.left, &op.right],
        Expr::Compare(compare) => std::iter::once(&compare.expr).chain(compare.ops.iter().map(|op| &op.expr)).collect(),
        Expr::IfExpr(branch) => [Some(&branch.test_expr), Some(&branch.true_expr), branch.false_expr.as_ref()]
            .into_iter()
            .flatten()
            .collect(),
        Expr::Filter(filter) => filter.expr.iter().collect(),
        Expr::Test(test) => vec![&test.expr],
        Expr::List(list) => list.items.iter().collect(),
        Expr::Tuple(tuple) => tuple.items.iter().collect(),
        Expr::Map(map) => map.keys.iter().chain(&map.values).collect(),
        Expr::Var(_) | Expr::Const(_) | Expr::GetAttr(_) | Expr::GetItem(_) | Expr::Call(_) => Vec::new(),
    }
}

fn constant(expr: &Expr<'_>) -> Option<String> {
    match expr {
        Expr::Const(constant) => constant.value.as_str().map(str::to_owned),
        _ => None,
    }
}

fn root_of(word: &str) -> Option<Root> {
    match word {
        "params" => Some(Root::Param),
        "matrix" => Some(Root::Axis),
        "inputs" => Some(Root::Input),
        "env" => Some(Root::Env),
        _ => None,
    }
}

/// Collects the names of an expression. Its depth is bounded by the longest text that is allowed.
pub(super) struct Visit<'a> {
    pub(super) file: &'a Arc<SourceFile>,
    pub(super) place: Place,
    pub(super) names: Vec<Name>,
    pub(super) files: bool,
    pub(super) errors: Vec<Diagnostic>,
}

impl Visit<'_> {
    fn span(&self, span: minijinja::machinery::Span) -> Span {
        self.place.inside(span.start_offset as usize, span.end_offset as usize)
    }

    fn error(&mut self, span: Span, message: String, label: &str, help: Option<String>) {
        self.errors.push(Diagnostic::at(self.file, span, message, label).maybe_help(help));
    }

    pub(super) fn expr(&mut self, expr: &Expr<'_>) {
        match expr {
            Expr::Var(var) => return self.variable(var.id, self.span(var.span())),
            Expr::GetAttr(get) => return self.member(&get.expr, Some(get.name.to_owned()), self.span(get.span())),
            Expr::GetItem(get) => {
                self.expr(&get.subscript_expr);
                return self.member(&get.expr, constant(&get.subscript_expr), self.span(get.span()));
            }
            Expr::Call(call) => {
                self.call(&call.expr, self.span(call.span()));
                return self.arguments(&call.args);
            }
            Expr::Slice(slice) => slice.step.iter().for_each(|step| self.step(step)),
            Expr::Filter(filter) => {
                self.known("filter", filter.name, &FILTERS, self.span(filter.span()));
                self.arguments(&filter.args);
            }
            Expr::Test(test) => {
                self.known("test", test.name, &TESTS, self.span(test.span()));
                self.arguments(&test.args);
            }
            _ => {}
        }
        for part in parts(expr) {
            self.expr(part);
        }
    }

    /// minijinja 3.0.5 panics at backward slices of empty lists.
    fn step(&mut self, step: &Expr<'_>) {
        let forward = step.as_const().and_then(|step| i64::try_from(step).ok()).is_some_and(|step| step > 0);
        if !forward {
            let help = Some("for backward: `value | reverse`".to_owned());
            self.error(
                self.span(step.span()),
                "the step of a slice has to be a positive integer".to_owned(),
                "here",
                help,
            );
        }
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>]) {
        for argument in arguments {
            match argument {
                CallArg::Pos(expr) | CallArg::Kwarg(_, expr) | CallArg::PosSplat(expr) | CallArg::KwargSplat(expr) => {
                    self.expr(expr);
                }
            }
        }
    }

    fn variable(&mut self, word: &str, span: Span) {
        if root_of(word).is_some() {
            let help = Some(format!("name one of them: `{word}.NAME`"));
            self.error(span, format!("`{word}` alone is not a value"), "used here", help);
        } else if FUNCTIONS.contains(&word) {
            self.error(span, format!("`{word}` is a function"), "not called here", Some(format!("write `{word}(…)`")));
        } else {
            self.names.push(Name { root: Root::Axis, name: word.to_owned(), span });
        }
    }

    fn member(&mut self, of: &Expr<'_>, name: Option<String>, span: Span) {
        let root = match of {
            Expr::Var(var) => root_of(var.id).map(|root| (root, var.id)),
            _ => None,
        };
        match (root, name) {
            (None, _) => self.expr(of),
            (Some((root, _)), Some(name)) => self.names.push(Name { root, name, span }),
            (Some((_, word)), None) => {
                let help = Some(format!("write `{word}.NAME`, so that it is known what the task depends on"));
                self.error(span, format!("`{word}[…]` has to have a fixed name"), "used here", help);
            }
        }
    }

    fn call(&mut self, of: &Expr<'_>, span: Span) {
        match of {
            Expr::Var(var) if FUNCTIONS.contains(&var.id) => self.files |= var.id == "files",
            Expr::Var(var) => self.known("function", var.id, &FUNCTIONS, self.span(var.span())),
            _ => {
                let help = Some("use a filter: `value | upper`".to_owned());
                self.error(span, "values have no methods".to_owned(), "called here", help);
            }
        }
    }

    fn known(&mut self, what: &str, name: &str, known: &[&str], span: Span) {
        if !known.contains(&name) {
            let help = nearest(name, known.iter().copied());
            self.error(span, format!("no {what} `{name}`"), "used here", help);
        }
    }
}
