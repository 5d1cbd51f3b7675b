//! A byte-level BPE tokenizer as tokenizer.json describes it.

use crate::border::Error;
use crate::quote;
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::tokenizer::{
    Model, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer,
};
use tokenizers::{DecoderWrapper, ModelWrapper};

/// No vocabulary is near this; it bounds what a wrong id can make us allocate.
const MAX_IDS: u32 = 1 << 22;

/// The longest run of text, far beyond any context. Some pattern of the
/// pre-tokenizer walks back over a whole run of spaces, and onig gives up after
/// ten million steps.
const MAX_RUN_BYTES: usize = 8 << 20;

/// Words that each encoding thread remembers; a word takes up to 8 KB of it.
/// Upstream's 10,000 are 2% faster and let hostile text hold 80 MB per thread.
const MAX_CACHED_WORDS: usize = 4_000;

pub struct Tokenizer {
    hf: tokenizers::Tokenizer,
    table: Table,
}

/// What every id stands for, in one run of bytes.
pub struct Table {
    pub bytes: Vec<u8>,
    pub offsets: Vec<u32>,
    pub special: Vec<u8>,
}

impl Tokenizer {
    pub fn new(json: &[u8]) -> Result<Tokenizer, Error> {
        let mut hf =
            tokenizers::Tokenizer::from_bytes(json).map_err(|e| Error::invalid(e.to_string()))?;
        if !matches!(hf.get_model(), ModelWrapper::BPE(_))
            || !matches!(hf.get_decoder(), Some(DecoderWrapper::ByteLevel(_)))
        {
            return Err(Error::invalid(
                "not a byte-level BPE tokenizer (a BPE model with a ByteLevel decoder)",
            ));
        }
        let mut model = hf.get_model().clone();
        model.resize_cache(MAX_CACHED_WORDS);
        hf.with_model(model);
        let table = Table::new(&hf)?;
        Ok(Tokenizer { hf, table })
    }

    pub fn table(&self) -> &Table {
        &self.table
    }

    pub fn token_to_id(&self, token: &str) -> Option<u32> {
        self.hf.token_to_id(token)
    }

    /// The names of all added tokens, special or not.
    pub fn added_tokens(&self) -> impl Iterator<Item = &str> {
        self.hf.get_added_vocabulary().get_vocab().keys().map(String::as_str)
    }

    pub fn encode(&self, text: &str, parse_added: bool) -> Result<Vec<i32>, Error> {
        let mut ids = Vec::new();
        if parse_added {
            check_size(text)?;
            let normalizer = self.hf.get_normalizer();
            let split = self.hf.get_added_vocabulary().extract_and_normalize(normalizer, text);
            self.encode_split(split, &mut ids)?;
        } else {
            self.encode_plain(text, &mut ids)?;
        }
        Ok(ids)
    }

    /// Every run between two control tokens is encoded as a whole: cut anywhere
    /// else, it would lose merges.
    pub fn encode_quoted(&self, quoted: &str) -> Result<Vec<i32>, Error> {
        let split = self
            .hf
            .get_added_vocabulary()
            .extract_and_normalize(None::<&NormalizerWrapper>, quoted);
        let pieces = split.get_splits(OffsetReferential::Original, OffsetType::Byte);
        let mut ids = Vec::new();
        let mut run = String::new();
        for (i, (piece, _, tokens)) in pieces.iter().enumerate() {
            let next = pieces.get(i + 1).map_or("", |(next, _, _)| next);
            match tokens {
                Some(tokens) if !quote::breaks_before(next) => {
                    self.encode_plain(&quote::unquote(&run), &mut ids)?;
                    run.clear();
                    ids.extend(tokens.iter().map(|token| token.id as i32));
                }
                _ => run.push_str(piece),
            }
        }
        self.encode_plain(&quote::unquote(&run), &mut ids)?;
        Ok(ids)
    }

    pub fn decode(&self, ids: &[i32], skip_special: bool) -> Result<String, Error> {
        let ids: Vec<u32> = ids.iter().map(|&id| id as u32).collect();
        self.hf.decode(&ids, skip_special).map_err(Error::internal)
    }

    fn encode_plain(&self, text: &str, ids: &mut Vec<i32>) -> Result<(), Error> {
        if text.is_empty() {
            return Ok(());
        }
        check_size(text)?;
        let mut whole = PreTokenizedString::from(text);
        if let Some(normalizer) = self.hf.get_normalizer() {
            whole.normalize(|part| normalizer.normalize(part)).map_err(Error::internal)?;
        }
        self.encode_split(whole, ids)
    }

    fn encode_split(&self, mut text: PreTokenizedString, ids: &mut Vec<i32>) -> Result<(), Error> {
        if let Some(pre_tokenizer) = self.hf.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut text).map_err(Error::internal)?;
        }
        let model = self.hf.get_model();
        text.tokenize(|word| model.tokenize(word.get())).map_err(Error::internal)?;
        for (_, _, tokens) in text.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            ids.extend(tokens.iter().flatten().map(|token| token.id as i32));
        }
        Ok(())
    }
}

fn check_size(text: &str) -> Result<(), Error> {
    if text.len() <= MAX_RUN_BYTES {
        return Ok(());
    }
    Err(Error::invalid(format!("text of {} bytes; at most {MAX_RUN_BYTES} are taken", text.len())))
}

impl Table {
    fn new(hf: &tokenizers::Tokenizer) -> Result<Table, Error> {
        let vocab = hf.get_vocab(true);
        let max_id = vocab.values().copied().max().unwrap_or(0);
        if max_id >= MAX_IDS {
            return Err(Error::invalid(format!("token id {max_id} is out of range")));
        }
        let byte_of = byte_alphabet();
        for (c, byte) in &byte_of {
            if !vocab.contains_key(c.encode_utf8(&mut [0; 4]) as &str) {
                return Err(Error::invalid(format!(
                    "the vocabulary has no token for byte 0x{byte:02x}; text with it would be lost"
                )));
            }
        }
        let added = hf.get_added_vocabulary();
        let mut table = Table { bytes: Vec::new(), offsets: vec![0], special: Vec::new() };
        for id in 0..=max_id {
            // As decode() looks them up, so that both agree on every id.
            let token = added.simple_id_to_token(id).or_else(|| hf.get_model().id_to_token(id));
            if let Some(token) = &token {
                let bytes: Option<Vec<u8>> =
                    token.chars().map(|c| byte_of.get(&c).copied()).collect();
                table.bytes.extend(bytes.as_deref().unwrap_or(token.as_bytes()));
            }
            let end = u32::try_from(table.bytes.len())
                .map_err(|_| Error::invalid("the vocabulary is larger than 4 GiB"))?;
            table.offsets.push(end);
            table.special.push(token.is_some_and(|token| added.is_special_token(&token)).into());
        }
        Ok(table)
    }
}

/// The characters that stand for bytes in a byte-level vocabulary: printable
/// Latin-1 as it is, the other 68 bytes from U+0100 on, in order.
fn byte_alphabet() -> std::collections::BTreeMap<char, u8> {
    let mut next = 0x100;
    let mut alphabet = std::collections::BTreeMap::new();
    for byte in 0..=255u8 {
        let c = match byte {
            b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => byte as char,
            _ => {
                next += 1;
                char::from_u32(next - 1).expect("below the surrogates")
            }
        };
        alphabet.insert(c, byte);
    }
    alphabet
}
