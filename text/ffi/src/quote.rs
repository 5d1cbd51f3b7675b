//! Quoting: how "<|im_end|>" in a message stays eleven characters though the
//! template's own "<|im_end|>" is one token.
//!
//! Before a message enters the template, a BREAK is put behind the first
//! character of every added token's literal in it. The template sees ordinary
//! text, and what it writes itself has no BREAK. After rendering, an unbroken
//! literal is the template's, and the breaks are dropped from the rest.
//!
//! The three signs are Unicode noncharacters. A message that holds one gets an
//! ESCAPE before it, so nobody can forge a sign, and nobody's text is changed.

use aho_corasick::AhoCorasick;

const ESCAPE: char = '\u{FDD0}';
const BREAK: char = '\u{FDD1}';
const END: char = '\u{FDD2}';

/// The literals to break.
pub struct Quoter {
    literals: Option<AhoCorasick>,
}

impl Quoter {
    pub fn new<'a>(literals: impl Iterator<Item = &'a str>) -> Quoter {
        let literals: Vec<&str> = literals.filter(|literal| !literal.is_empty()).collect();
        if literals.is_empty() {
            return Quoter { literals: None };
        }
        let literals = AhoCorasick::new(literals).expect("literals fit an automaton");
        Quoter { literals: Some(literals) }
    }

    pub fn quote(&self, text: &str) -> String {
        // Overlapping: breaking only one of two literals that share characters
        // would leave the other whole.
        let mut starts: Vec<usize> = match &self.literals {
            Some(literals) => literals.find_overlapping_iter(text).map(|m| m.start()).collect(),
            None => Vec::new(),
        };
        starts.sort_unstable();
        let mut starts = starts.into_iter().peekable();
        let mut quoted = String::with_capacity(text.len() + 3);
        for (at, c) in text.char_indices() {
            if is_sign(c) {
                quoted.push(ESCAPE);
            }
            quoted.push(c);
            if starts.next_if_eq(&at).is_some() {
                quoted.push(BREAK);
                while starts.next_if_eq(&at).is_some() {}
            }
        }
        quoted
    }
}

/// Marks the end of the message that the model is to continue.
pub fn mark_end(quoted: &mut String) {
    quoted.push(END);
}

/// What stands before the mark of mark_end; None if the template dropped it.
pub fn cut_at_end(mut rendered: String) -> Option<String> {
    let mut chars = rendered.char_indices();
    let at = loop {
        match chars.next()? {
            (_, ESCAPE) => drop(chars.next()),
            (at, END) => break at,
            _ => {}
        }
    };
    rendered.truncate(at);
    Some(rendered)
}

pub fn unquote(quoted: &str) -> String {
    let mut text = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            ESCAPE => text.extend(chars.next()),
            BREAK | END => {}
            _ => text.push(c),
        }
    }
    text
}

/// True if `rest`, what follows a literal, says that the literal was quoted after
/// all: one of a single character has its break behind itself.
pub fn breaks_before(rest: &str) -> bool {
    rest.starts_with(BREAK)
}

fn is_sign(c: char) -> bool {
    matches!(c, ESCAPE | BREAK | END)
}
