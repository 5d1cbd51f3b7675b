//! The C face. Every function may be called from any thread; a handle is freed
//! once, after its last use. Nothing panics across this border: a panic inside
//! comes out as Code::Internal with its message.

mod border;
mod dates;
mod gbnf;
mod grammar;
mod quote;
mod template;
mod tokenizer;

use border::guard;

/// Bytes of the caller's, read during the call only. `data` may be null when
/// `size` is 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slice {
    pub data: *const u8,
    pub size: usize,
}

/// Bytes of ours: an answer, or an error's message. Give it back to
/// weft_text_free.
#[repr(C)]
pub struct Text {
    pub data: *mut u8,
    pub size: usize,
    pub capacity: usize,
}

/// Token ids of ours. Give them back to weft_text_free_ids.
#[repr(C)]
pub struct Ids {
    pub data: *mut i32,
    pub size: usize,
    pub capacity: usize,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Ok,
    InvalidArgument,
    Internal,
}

/// What each id stands for, as long as its tokenizer lives. Id i's bytes are
/// bytes[offsets[i]] up to bytes[offsets[i + 1]]; special[i] is 0 or 1.
#[repr(C)]
pub struct TokenTable {
    pub bytes: *const u8,
    pub offsets: *const u32,
    pub special: *const u8,
    pub num_ids: u32,
}

#[repr(C)]
pub struct Message {
    pub role: Slice,
    pub content: Slice,
    /// Left out of the template's message when empty.
    pub reasoning_content: Slice,
    /// Likewise: a JSON array of OpenAI's tool calls, their arguments as strings.
    pub tool_calls: Slice,
    /// Likewise.
    pub tool_call_id: Slice,
}

/// What a prompt may have besides messages.
#[repr(C)]
pub struct RenderOptions {
    pub add_generation_prompt: bool,
    pub continue_final_message: bool,
    /// A JSON array of definitions, or empty.
    pub tools: Slice,
    /// A JSON object of variables, or empty. Only those that the template refers to.
    pub variables: Slice,
}

/// A name that the template can use ("bos_token") and its value.
#[repr(C)]
pub struct Variable {
    pub name: Slice,
    pub value: Slice,
}

pub struct Tokenizer(std::sync::Arc<tokenizer::Tokenizer>);

pub struct Template(template::Template);

pub struct GrammarCompiler(grammar::Compiler);

pub struct GrammarPosition(grammar::Position);

/// What a grammar is written in.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrammarKind {
    JsonObject,
    JsonSchema,
    Regex,
    Choice,
    Grammar,
}

/// Reads the text of a tokenizer.json.
///
/// # Safety
/// Slices are readable, the other pointers writable.
#[no_mangle]
pub unsafe extern "C" fn weft_text_tokenizer_new(
    json: Slice,
    out: *mut *mut Tokenizer,
    error: *mut Text,
) -> Code {
    guard(error, || {
        let tokenizer = tokenizer::Tokenizer::new(json.bytes())?;
        *out = Box::into_raw(Box::new(Tokenizer(std::sync::Arc::new(tokenizer))));
        Ok(())
    })
}

/// # Safety
/// `tokenizer` came from weft_text_tokenizer_new, or is null.
#[no_mangle]
pub unsafe extern "C" fn weft_text_tokenizer_free(tokenizer: *mut Tokenizer) {
    if !tokenizer.is_null() {
        drop(Box::from_raw(tokenizer));
    }
}

/// # Safety
/// `tokenizer` is alive.
#[no_mangle]
pub unsafe extern "C" fn weft_text_token_table(tokenizer: *const Tokenizer) -> TokenTable {
    let table = (*tokenizer).0.table();
    TokenTable {
        bytes: table.bytes.as_ptr(),
        offsets: table.offsets.as_ptr(),
        special: table.special.as_ptr(),
        num_ids: table.special.len() as u32,
    }
}

/// -1 if the vocabulary holds no such token.
///
/// # Safety
/// `tokenizer` is alive, the slice readable.
#[no_mangle]
pub unsafe extern "C" fn weft_text_token_to_id(tokenizer: *const Tokenizer, token: Slice) -> i32 {
    match token.text("token") {
        Ok(token) => (*tokenizer).0.token_to_id(token).map_or(-1, |id| id as i32),
        Err(_) => -1,
    }
}

/// With `parse_added`, added tokens in the text become their ids; without, their
/// characters are text like any other.
///
/// # Safety
/// `tokenizer` is alive, the slice readable, the other pointers writable.
#[no_mangle]
pub unsafe extern "C" fn weft_text_encode(
    tokenizer: *const Tokenizer,
    text: Slice,
    parse_added: bool,
    out: *mut Ids,
    error: *mut Text,
) -> Code {
    guard(error, || {
        out.write(Ids::from((*tokenizer).0.encode(text.text("text")?, parse_added)?));
        Ok(())
    })
}

/// Encodes what weft_text_template_render returned: unquoted added tokens become
/// their ids, quoted ones text.
///
/// # Safety
/// As for weft_text_encode.
#[no_mangle]
pub unsafe extern "C" fn weft_text_encode_quoted(
    tokenizer: *const Tokenizer,
    quoted: Slice,
    out: *mut Ids,
    error: *mut Text,
) -> Code {
    guard(error, || {
        out.write(Ids::from((*tokenizer).0.encode_quoted(quoted.text("prompt")?)?));
        Ok(())
    })
}

/// Ids must be in the table's range.
///
/// # Safety
/// `tokenizer` is alive, `ids` holds `num_ids`, the other pointers are writable.
#[no_mangle]
pub unsafe extern "C" fn weft_text_decode(
    tokenizer: *const Tokenizer,
    ids: *const i32,
    num_ids: usize,
    skip_special: bool,
    out: *mut Text,
    error: *mut Text,
) -> Code {
    guard(error, || {
        let ids = if num_ids == 0 { &[] } else { std::slice::from_raw_parts(ids, num_ids) };
        out.write(Text::from((*tokenizer).0.decode(ids, skip_special)?));
        Ok(())
    })
}

/// Compiles a chat template. `name` is for error messages; `variables` are what
/// it may use beside the messages.
///
/// # Safety
/// Slices are readable, `variables` holds `num_variables`, `tokenizer` is alive
/// (and may be freed before the template), the other pointers are writable.
#[no_mangle]
pub unsafe extern "C" fn weft_text_template_new(
    tokenizer: *const Tokenizer,
    name: Slice,
    source: Slice,
    variables: *const Variable,
    num_variables: usize,
    out: *mut *mut Template,
    error: *mut Text,
) -> Code {
    guard(error, || {
        let mut pairs = Vec::new();
        for i in 0..num_variables {
            let variable = &*variables.add(i);
            pairs.push((variable.name.text("name")?, variable.value.text("value")?));
        }
        let template = template::Template::new(
            (*tokenizer).0.clone(),
            name.text("template's name")?,
            source.text("chat template")?,
            &pairs,
        )?;
        *out = Box::into_raw(Box::new(Template(template)));
        Ok(())
    })
}

/// # Safety
/// `template` came from weft_text_template_new, or is null.
#[no_mangle]
pub unsafe extern "C" fn weft_text_template_free(template: *mut Template) {
    if !template.is_null() {
        drop(Box::from_raw(template));
    }
}

/// The prompt, with added tokens that came out of messages quoted: for
/// weft_text_encode_quoted, or for weft_text_unquote.
///
/// # Safety
/// `template` is alive, `messages` holds `num_messages`, slices are readable,
/// the other pointers are writable.
#[no_mangle]
pub unsafe extern "C" fn weft_text_template_render(
    template: *const Template,
    messages: *const Message,
    num_messages: usize,
    options: RenderOptions,
    out: *mut Text,
    error: *mut Text,
) -> Code {
    guard(error, || {
        let mut list = Vec::with_capacity(num_messages);
        for i in 0..num_messages {
            let message = &*messages.add(i);
            let text = |slice: Slice, field: &str| {
                slice.text(field).map_err(|e| e.within(&format!("messages[{i}]")))
            };
            list.push(template::Message {
                role: text(message.role, "role")?,
                content: text(message.content, "content")?,
                reasoning_content: text(message.reasoning_content, "reasoning_content")?,
                tool_calls: text(message.tool_calls, "tool_calls")?,
                tool_call_id: text(message.tool_call_id, "tool_call_id")?,
            });
        }
        let options = template::Options {
            add_generation_prompt: options.add_generation_prompt,
            continue_final_message: options.continue_final_message,
            tools: options.tools.text("tools")?,
            variables: options.variables.text("variables")?,
        };
        let prompt = (*template).0.render(&list, &options)?;
        out.write(Text::from(prompt));
        Ok(())
    })
}

/// What of tools comes to stand in its prompts.
///
/// # Safety
/// `template` is alive.
#[no_mangle]
pub unsafe extern "C" fn weft_text_template_tool_support(
    template: *const Template,
) -> template::ToolSupport {
    (*template).0.tool_support()
}

/// Whether it refers to a variable of that name.
///
/// # Safety
/// `template` is alive, the slice readable.
#[no_mangle]
pub unsafe extern "C" fn weft_text_template_takes(template: *const Template, name: Slice) -> bool {
    name.text("name").is_ok_and(|name| (*template).0.takes(name))
}

/// A rendered prompt as people read it.
///
/// # Safety
/// The slice is readable, the pointers are writable.
#[no_mangle]
pub unsafe extern "C" fn weft_text_unquote(
    quoted: Slice,
    out: *mut Text,
    error: *mut Text,
) -> Code {
    guard(error, || {
        out.write(Text::from(quote::unquote(quoted.text("prompt")?)));
        Ok(())
    })
}

/// `eos` is the id that stands for the end of an answer.
///
/// # Safety
/// `tokenizer` is alive (and may be freed before the compiler), the other pointers are
/// writable.
#[no_mangle]
pub unsafe extern "C" fn weft_text_grammar_compiler_new(
    tokenizer: *const Tokenizer,
    eos: u32,
    out: *mut *mut GrammarCompiler,
    error: *mut Text,
) -> Code {
    guard(error, || {
        let compiler = grammar::Compiler::new(&(*tokenizer).0, eos)?;
        *out = Box::into_raw(Box::new(GrammarCompiler(compiler)));
        Ok(())
    })
}

/// # Safety
/// `compiler` came from weft_text_grammar_compiler_new, or is null.
#[no_mangle]
pub unsafe extern "C" fn weft_text_grammar_compiler_free(compiler: *mut GrammarCompiler) {
    if !compiler.is_null() {
        drop(Box::from_raw(compiler));
    }
}

/// The start of an answer under a grammar; with `behind_reasoning`, one or two line
/// breaks may come before.
///
/// # Safety
/// `compiler` is alive, the slice readable, the other pointers writable.
#[no_mangle]
pub unsafe extern "C" fn weft_text_grammar_compile(
    compiler: *const GrammarCompiler,
    kind: GrammarKind,
    text: Slice,
    behind_reasoning: bool,
    out: *mut *mut GrammarPosition,
    error: *mut Text,
) -> Code {
    guard(error, || {
        let position = (*compiler).0.compile(kind, text.text("grammar")?, behind_reasoning)?;
        *out = Box::into_raw(Box::new(GrammarPosition(position)));
        Ok(())
    })
}

/// An independent copy; null if it cannot be made.
///
/// # Safety
/// `position` is alive and not used meanwhile.
#[no_mangle]
pub unsafe extern "C" fn weft_text_grammar_fork(
    position: *const GrammarPosition,
) -> *mut GrammarPosition {
    let fork = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (*position).0.fork()));
    fork.map_or(std::ptr::null_mut(), |fork| Box::into_raw(Box::new(GrammarPosition(fork))))
}

/// # Safety
/// `position` came from this library, or is null.
#[no_mangle]
pub unsafe extern "C" fn weft_text_grammar_position_free(position: *mut GrammarPosition) {
    if !position.is_null() {
        drop(Box::from_raw(position));
    }
}

/// # Safety
/// `position` is alive and not used meanwhile, `error` writable.
#[no_mangle]
pub unsafe extern "C" fn weft_text_grammar_consume(
    position: *mut GrammarPosition,
    token: u32,
    error: *mut Text,
) -> Code {
    guard(error, || (*position).0.consume(token))
}

/// Bit i % 32 of words[i / 32]: token i may come next; `may_end`: the answer may be
/// complete here.
///
/// # Safety
/// `position` is alive and not used meanwhile, `words` holds `num_words`, the other
/// pointers are writable.
#[no_mangle]
pub unsafe extern "C" fn weft_text_grammar_mask(
    position: *mut GrammarPosition,
    words: *mut u32,
    num_words: usize,
    may_end: *mut bool,
    error: *mut Text,
) -> Code {
    guard(error, || {
        let words = std::slice::from_raw_parts_mut(words, num_words);
        may_end.write((*position).0.mask(words)?);
        Ok(())
    })
}

/// # Safety
/// `text` came from this library and was not freed yet.
#[no_mangle]
pub unsafe extern "C" fn weft_text_free(text: Text) {
    drop(Vec::from_raw_parts(text.data, text.size, text.capacity));
}

/// # Safety
/// `ids` came from this library and were not freed yet.
#[no_mangle]
pub unsafe extern "C" fn weft_text_free_ids(ids: Ids) {
    drop(Vec::from_raw_parts(ids.data, ids.size, ids.capacity));
}
