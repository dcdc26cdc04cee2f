//! Text in lines that a terminal does not break anew.

/// The text, broken between words into lines of `room` cells; the first has `used` of them taken already, the others
/// begin with `indent` blanks. A word that is longer than a line stays whole: it can be copied as it is.
pub(crate) fn fold(text: &str, used: usize, room: Option<usize>, indent: usize) -> String {
    let Some(room) = room else { return text.to_owned() };
    let (mut folded, mut at) = (String::new(), used);
    for (number, word) in text.split(' ').enumerate() {
        let cells = word.chars().count();
        if at + usize::from(number > 0) + cells > room && at > indent {
            folded.truncate(folded.trim_end().len());
            folded.push('\n');
            folded.push_str(&" ".repeat(indent));
            at = indent;
        } else if number > 0 {
            folded.push(' ');
            at += 1;
        }
        folded.push_str(word);
        at += cells;
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(fold("one two three", 0, None, 2), "one two three");
        assert_eq!(fold("one two three", 0, Some(13), 2), "one two three");
        assert_eq!(fold("one two three", 0, Some(12), 2), "one two\n  three");
        assert_eq!(fold("one two three", 6, Some(9), 2), "one\n  two\n  three");
        assert_eq!(fold("one two three", 8, Some(9), 2), "\n  one two\n  three");
        assert_eq!(fold("incomprehensible one", 0, Some(9), 2), "incomprehensible\n  one");
    }
}
