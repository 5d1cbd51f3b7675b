//! llama.cpp's grammars (GBNF) in Lark's words:
//!
//!   root ::= item ("," item)*        start: item ("," item)*
//!   item ::= [a-z]+ | "\n" # note    item: /[a-z]/+ | "\n"
//!
//! Rules that stand beside each other mean the same in both; names, comments and
//! character classes are spelled differently.

use crate::border::Error;

pub fn to_lark(gbnf: &str) -> Result<String, Error> {
    let tokens = lex(gbnf)?;
    let mut lark = String::new();
    let mut defines_root = false;
    let mut i = 0;
    while i < tokens.len() {
        let (Some(Token::Name(name)), Some(Token::Defines)) = (tokens.get(i), tokens.get(i + 1))
        else {
            return Err(Error::invalid("GBNF: each rule must read: name ::= what it stands for"));
        };
        defines_root |= name == "root";
        lark.push_str(&format!("{}:", rule_name(name)));
        i += 2;
        while i < tokens.len() && !starts_rule(&tokens[i..]) {
            match &tokens[i] {
                Token::Name(name) => lark.push_str(&format!(" {}", rule_name(name))),
                Token::Text(text) => lark.push_str(&format!(" {text}")),
                Token::Suffix(suffix) => lark.push_str(suffix),
                Token::Defines => unreachable!("behind a name"),
            }
            i += 1;
        }
        lark.push('\n');
    }
    if !defines_root {
        return Err(Error::invalid("GBNF: there is no rule named root"));
    }
    Ok(lark)
}

enum Token {
    Name(String),
    Defines,
    /// A string, a class as a regular expression, or one of ( ) |
    Text(String),
    /// * + ? {m,n}: bound to what stands before
    Suffix(String),
}

fn starts_rule(tokens: &[Token]) -> bool {
    matches!(tokens, [Token::Name(_), Token::Defines, ..])
}

/// Lark's rules are written small, with underscores.
fn rule_name(name: &str) -> String {
    if name == "root" {
        return "start".into();
    }
    let spelled: String =
        name.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect();
    format!("gbnf_{spelled}")
}

fn lex(gbnf: &str) -> Result<Vec<Token>, Error> {
    let mut tokens = Vec::new();
    let mut rest = gbnf.trim_start();
    while let Some(c) = rest.chars().next() {
        let size = match c {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            ':' if rest.starts_with("::=") => {
                tokens.push(Token::Defines);
                3
            }
            '"' => {
                let size = quoted(rest, '"')?;
                tokens.push(Token::Text(as_json(&rest[1..size - 1])?));
                size
            }
            '[' => {
                let size = quoted(rest, ']')?;
                tokens.push(Token::Text(format!("/{}/", rest[..size].replace('/', "\\/"))));
                size
            }
            '.' => {
                tokens.push(Token::Text("/(?s:.)/".into()));
                1
            }
            '(' | ')' | '|' => {
                tokens.push(Token::Text(c.into()));
                1
            }
            '*' | '+' | '?' => {
                tokens.push(Token::Suffix(c.into()));
                1
            }
            '{' => {
                let size = rest.find('}').ok_or_else(|| Error::invalid("GBNF: { without }"))? + 1;
                tokens.push(Token::Suffix(rest[..size].into()));
                size
            }
            _ if c.is_ascii_alphanumeric() => {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
                let size = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                tokens.push(Token::Name(rest[..size].into()));
                size
            }
            _ => return Err(Error::invalid(format!("GBNF: unexpected character {c:?}"))),
        };
        rest = rest[size..].trim_start();
    }
    Ok(tokens)
}

/// The size of what begins here and ends with an unescaped `end`.
fn quoted(text: &str, end: char) -> Result<usize, Error> {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == end {
            return Ok(at + 1);
        }
    }
    Err(Error::invalid(format!("GBNF: a string or class has no closing {end}")))
}

/// GBNF's escapes are C's; Lark reads strings as JSON.
fn as_json(escaped: &str) -> Result<String, Error> {
    let mut text = String::new();
    let mut chars = escaped.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        let size = match chars.next() {
            Some('n') => {
                text.push('\n');
                continue;
            }
            Some('r') => {
                text.push('\r');
                continue;
            }
            Some('t') => {
                text.push('\t');
                continue;
            }
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            Some(c) => {
                text.push(c);
                continue;
            }
            None => 0,
        };
        let digits: String = chars.by_ref().take(size).collect();
        let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == size);
        let c = code.and_then(char::from_u32);
        text.push(c.ok_or_else(|| Error::invalid("GBNF: a string has a bad escape"))?);
    }
    Ok(serde_json::Value::from(text).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_strings_classes_and_repetitions() {
        let gbnf =
            "# a list\nroot ::= item (\",\" item)* # more\nitem ::= [a-z/]+ | \"\\x41\\n\" | \
                    two-words{1,3}\ntwo-words ::= .";
        assert_eq!(
            to_lark(gbnf).unwrap(),
            "start: gbnf_item ( \",\" gbnf_item )*\n\
             gbnf_item: /[a-z\\/]/+ | \"A\\n\" | gbnf_two_words{1,3}\n\
             gbnf_two_words: /(?s:.)/\n"
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (gbnf, word) in [
            ("item ::= \"a\"", "root"),
            ("root ::= \"a", "closing"),
            ("root ::= [a-z", "closing"),
            ("root ::= \"\\xZZ\"", "escape"),
            ("\"a\" ::= root", "each rule"),
            ("root ::= %", "unexpected"),
        ] {
            let error = to_lark(gbnf).unwrap_err();
            assert!(error.message.contains(word), "{gbnf}: {}", error.message);
        }
    }
}
