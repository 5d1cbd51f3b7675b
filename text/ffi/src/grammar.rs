//! What the next token may be under a grammar: llguidance over our token table.

use crate::border::Error;
use crate::dates;
use crate::gbnf;
use crate::tokenizer::Tokenizer;
use crate::GrammarKind;
use llguidance::api::{GrammarWithLexer, TopLevelGrammar};
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities, TokRxInfo, TokTrie};
use llguidance::{JsonCompileOptions, Matcher, ParserFactory};
use serde_json::Value;
use std::sync::Arc;

/// White space that an answer may have between two tokens of JSON: a blank, or a line
/// break with an indent. A model that likes blanks would fill its answer with any more.
const JSON_BLANKS: &str = r"\x20|\x0A[\x20\x09]{0,20}";

pub struct Compiler {
    factory: ParserFactory,
}

pub struct Position {
    matcher: Matcher,
}

impl Compiler {
    /// `eos` stands for the end of the answer in masks.
    pub fn new(tokenizer: &Tokenizer, eos: u32) -> Result<Compiler, Error> {
        let words = words(tokenizer);
        if eos as usize >= words.len() {
            return Err(Error::invalid(format!(
                "the end-of-text id {eos} is not in the vocabulary"
            )));
        }
        let trie = TokTrie::from(&TokRxInfo::new(words.len() as u32, eos), &words);
        let environment: llguidance::toktrie::TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory = ParserFactory::new(
            &environment,
            InferenceCapabilities::default(),
            &llguidance::earley::SlicedBiasComputer::json_slices(),
        )
        .map_err(Error::internal)?;
        factory.quiet();
        // Errors go to clients: without the grammar and the tokens so far.
        factory.limits_mut().verbose_errors = false;
        Ok(Compiler { factory })
    }

    /// At the start of an answer, its first mask computed.
    pub fn compile(
        &self,
        kind: GrammarKind,
        text: &str,
        behind_reasoning: bool,
    ) -> Result<Position, Error> {
        let mut answer = answer(kind, text)?;
        // By itself first: behind line breaks that may come, one that nothing can be said
        // under would show only later.
        let start = self.start(vec![answer.clone()])?;
        if !behind_reasoning {
            return Ok(start);
        }
        answer.name = Some("answer".into());
        let lead = "start: LINES? @answer\nLINES: /\\n{1,2}/\n";
        self.start(vec![GrammarWithLexer::from_lark(lead.into()), answer])
    }

    fn start(&self, grammars: Vec<GrammarWithLexer>) -> Result<Position, Error> {
        let grammar = TopLevelGrammar { grammars, max_tokens: None };
        let mut matcher = Matcher::new(self.factory.create_parser(grammar));
        if let Some(error) = matcher.get_error() {
            return Err(Error::invalid(first_line(&error)));
        }
        match matcher.compute_mask_or_eos() {
            Ok(mask) if !mask.is_zero() => Ok(Position { matcher }),
            Err(error) if !error.to_string().contains("NoExtension") => Err(rejected(error)),
            _ => Err(Error::invalid("nothing can be said under this grammar")),
        }
    }
}

impl Position {
    /// Independent of this one, in its caches, too: both may be used at once.
    pub fn fork(&self) -> Position {
        Position { matcher: self.matcher.deep_clone() }
    }

    pub fn consume(&mut self, token: u32) -> Result<(), Error> {
        if self.matcher.is_stopped() && !self.matcher.is_error() {
            return Ok(()); // the answer is complete; what follows is no part of it
        }
        self.matcher.consume_token(token).map_err(rejected)
    }

    /// Bit i % 32 of words[i / 32]: token i may come next. Returns whether the answer may
    /// end here.
    pub fn mask(&mut self, words: &mut [u32]) -> Result<bool, Error> {
        let mask = self.matcher.compute_mask_or_eos().map_err(rejected)?;
        let ends = self.matcher.is_stopped() || self.matcher.is_accepting().map_err(rejected)?;
        let from = mask.as_slice();
        let n = from.len().min(words.len());
        words[..n].copy_from_slice(&from[..n]);
        words[n..].fill(0);
        Ok(ends)
    }
}

/// What each token writes. Special ones are marked, so that no text matches them.
fn words(tokenizer: &Tokenizer) -> Vec<Vec<u8>> {
    let table = tokenizer.table();
    (0..table.special.len())
        .map(|id| {
            let text = &table.bytes[table.offsets[id] as usize..table.offsets[id + 1] as usize];
            if table.special[id] == 0 {
                return text.to_vec();
            }
            let mut marked = vec![TokTrie::SPECIAL_TOKEN_MARKER];
            marked.extend_from_slice(text);
            marked
        })
        .collect()
}

fn answer(kind: GrammarKind, text: &str) -> Result<GrammarWithLexer, Error> {
    Ok(match kind {
        GrammarKind::JsonObject => json(serde_json::json!({ "type": "object" })),
        GrammarKind::JsonSchema => {
            let schema: Value = serde_json::from_str(text)
                .map_err(|e| Error::invalid(format!("the schema is not JSON: {e}")))?;
            match schema {
                Value::Object(_) => json(schema),
                Value::Bool(true) => json(serde_json::json!({})),
                _ => return Err(Error::invalid("a JSON schema must be an object")),
            }
        }
        GrammarKind::Regex => GrammarWithLexer::from_regex(text),
        GrammarKind::Choice => {
            let choices: Vec<String> = serde_json::from_str(text)
                .map_err(|_| Error::invalid("the choices must be an array of strings"))?;
            if choices.is_empty() || choices.iter().any(String::is_empty) {
                return Err(Error::invalid("there must be at least one choice, and none empty"));
            }
            let quoted: Vec<String> =
                choices.iter().map(|c| Value::from(c.as_str()).to_string()).collect();
            GrammarWithLexer::from_lark(format!("start: {}\n", quoted.join(" | ")))
        }
        GrammarKind::Grammar if text.contains("::=") => {
            GrammarWithLexer::from_lark(gbnf::to_lark(text)?)
        }
        GrammarKind::Grammar => GrammarWithLexer::from_lark(text.into()),
    })
}

fn json(mut schema: Value) -> GrammarWithLexer {
    dates::keep_to_the_calendar(&mut schema);
    if schema.get("x-guidance").is_none() {
        let options = JsonCompileOptions {
            whitespace_pattern: Some(JSON_BLANKS.into()),
            ..Default::default()
        };
        options.apply_to(&mut schema);
    }
    GrammarWithLexer::from_json_schema(schema)
}

fn rejected(error: anyhow::Error) -> Error {
    Error::invalid(first_line(&error.to_string()))
}

/// Without a backtrace or an excerpt behind it, and no longer than a client reads.
fn first_line(error: &str) -> String {
    const MOST: usize = 300;
    let line = error.lines().next().unwrap_or_default().trim();
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_become_quoted_alternatives() {
        let grammar = answer(GrammarKind::Choice, r#"["yes", "a \"no\""]"#).unwrap();
        assert_eq!(grammar.lark_grammar.unwrap(), "start: \"yes\" | \"a \\\"no\\\"\"\n");
    }
}
