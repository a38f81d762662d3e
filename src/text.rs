//! Texts of others on a terminal: what a terminal would obey is shown instead, and words can be pasted into a shell.
//!
//! It knows no task and no event; whoever writes to a terminal passes what it did not write itself through [`visible`].

use std::borrow::Cow;
use std::fmt::Write as _;

/// A text whose control characters are written out (`\x1b`, `\r`, `\u{202e}`); lines stay lines and tabs tabs.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| is_hidden(c) && c != '\n' && c != '\t') {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            c => push(&mut shown, c),
        }
    }
    Cow::Owned(shown)
}

/// The same for what has to stay on one line.
pub fn visible_line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    text.chars().for_each(|c| push(&mut shown, c));
    Cow::Owned(shown)
}

fn push(shown: &mut String, c: char) {
    // Writing to a string cannot fail.
    let _ = match c {
        '\n' => shown.write_str("\\n"),
        '\r' => shown.write_str("\\r"),
        '\t' => shown.write_str("\\t"),
        c if !is_hidden(c) => shown.write_char(c),
        c if c.is_ascii() => write!(shown, "\\x{:02x}", u32::from(c)),
        c => write!(shown, "\\u{{{:x}}}", u32::from(c)),
    };
}

/// Whether a terminal would obey a character instead of showing it: controls, and what turns the direction of a text.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text as one word of a POSIX shell.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+,=-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    if text.chars().any(is_hidden) {
        // Bash, zsh and fish's `bash -c` read `$'…'`; a bare control character would not survive being pasted.
        return ansi_c_word(text);
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn ansi_c_word(text: &str) -> String {
    let mut word = String::from("$'");
    for c in text.chars() {
        match c {
            '\'' | '\\' => word.extend(['\\', c]),
            c if is_hidden(c) => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(word, "\\x{byte:02x}");
                }
            }
            c => word.push(c),
        }
    }
    word.push('\'');
    word
}

/// What is at the bottom of an error, in one line: what wraps it says only where in a library that was.
pub fn cause(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(visible("a\u{1b}[2Jb\r\n\tc\u{9b}1m\u{202e}é\u{7f}"), "a\\x1b[2Jb\\r\n\tc\\u{9b}1m\\u{202e}é\\x7f");
        assert_eq!(visible_line("a\nb\tc"), "a\\nb\\tc");
        assert!(matches!(visible("plain, größe 你好\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn words_come_back_from_a_shell_as_they_were() {
        for text in ["plain", "", "a b", "it's", "$HOME `x` \"y\" \\", "a[b=\"c,d\"]", "*", "line\nend\u{1b}é'\\", "-p"]
        {
            let script = format!("printf %s {}", shell_word(text));
            let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{script}");
        }
        assert_eq!(shell_word("plain=1,b"), "plain=1,b");
    }
}
