//! What people write who know another language, where a text stops being an expression.

/// What would be right, judged by the text and where it stopped being an expression.
pub(super) fn help(text: &str, at: usize, why: &str) -> String {
    let rest = text.get(at..).unwrap_or_default();
    let open = |open: char, close: char| text.matches(open).count() > text.matches(close).count();
    let help = match rest {
        rest if rest.starts_with("&&") => "write `a and b`",
        rest if rest.starts_with("||") => "write `a or b`",
        rest if rest.starts_with('!') => "write `not a`",
        rest if rest.starts_with('?') => "write `a if condition else b`",
        rest if rest.starts_with("=>") || why.contains("unexpected `>`") => {
            "there are no functions of one's own: use filters"
        }
        rest if rest.starts_with('=') && !rest.starts_with("==") => "write `a == b` to compare",
        rest if rest.starts_with('%') || text.contains("{%") => "statements are not possible here, only values",
        _ if why.contains("end of string") => "close the text with the quote that it began with",
        _ if open('(', ')') => "a `(` has no `)`",
        _ if open('[', ']') => "a `[` has no `]`",
        _ if open('{', '}') => "a `{` has no `}`",
        _ if why.contains("after expression") => "join values with an operator: `~` for texts, `+` for numbers",
        _ => "expressions are Jinja's: `a + 1`, `a == b and c`, `x if a else y`, `a | upper`, `list[0]`",
    };
    help.to_owned()
}
