//! Cutting the text of a template into what stays and what is filled in.

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    /// What stands between `{{` and `}}`.
    Call(&'a str),
}

/// The pieces of `text`.
///
/// # Errors
/// A `{{` has no end.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        let (call, behind) = after
            .split_once("}}")
            .ok_or_else(|| format!("`{{{{{after}` has no end: close it with `}}}}`"))?;
        pieces.push(Piece::Call(call.trim()));
        rest = behind;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// A line's words, split at spaces outside of `{{…}}`.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut depth = 0u32;
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        let pair = chars.peek() == Some(&char);
        match char {
            '{' if pair => depth += 1,
            '}' if pair => depth = depth.saturating_sub(1),
            _ => {}
        }
        if char.is_whitespace() && depth == 0 {
            words.push(String::new());
            continue;
        }
        if let Some(word) = words.last_mut() {
            word.push(char);
            if (char == '{' || char == '}') && pair {
                chars.next();
                word.push(char);
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
