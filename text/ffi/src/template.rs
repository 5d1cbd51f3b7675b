//! Chat templates as transformers runs them: Jinja with trimmed blocks, Python's
//! string methods, raise_exception, strftime_now and a tojson that leaves HTML
//! alone.

use crate::border::Error;
use crate::quote::{self, Quoter};
use crate::tokenizer::Tokenizer;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{AutoEscape, Environment, ErrorKind, State, Value};
use serde_json::Value as Json;
use std::sync::Arc;

/// A template's budget for one rendering: instructions, and bytes copied (64 to
/// the unit). A conversation of thousands of turns and megabytes uses a tenth;
/// a template that runs away is stopped within about a second.
const FUEL: u64 = 10_000_000;

/// In an assistant's message these stay what they are: templates cut past
/// reasoning off at them, and a message to be continued may hold them open.
const REASONING_TAGS: [&str; 2] = ["<think>", "</think>"];

/// What a template is tried with, to see what it writes.
const PROBE_CALL: &str =
    r#"[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"weft\": 1}"}}]"#;

/// What every prompt has of its own: no client sets these.
const OUR_VARIABLES: [&str; 11] = [
    "messages",
    "tools",
    "documents",
    "add_generation_prompt",
    "continue_final_message",
    "bos_token",
    "eos_token",
    "pad_token",
    "unk_token",
    "raise_exception",
    "strftime_now",
];

#[derive(Default)]
pub struct Message<'a> {
    pub role: &'a str,
    pub content: &'a str,
    pub reasoning_content: &'a str,
    pub tool_calls: &'a str,
    pub tool_call_id: &'a str,
}

#[derive(Default)]
pub struct Options<'a> {
    pub add_generation_prompt: bool,
    pub continue_final_message: bool,
    pub tools: &'a str,
    pub variables: &'a str,
}

/// How a template wants a call's arguments: Qwen's writes them with tojson, R1's
/// behind a string.
#[derive(Clone, Copy, PartialEq)]
enum Arguments {
    AsObject,
    AsText,
}

/// Which parts of tools come to stand in a template's prompts.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct ToolSupport {
    pub definitions: bool,
    pub calls: bool,
    pub calls_beside_content: bool,
    pub results: bool,
}

pub struct Template {
    environment: Environment<'static>,
    name: String,
    variables: Vec<(String, Value)>,
    taken: Vec<String>,
    quoter: Quoter,
    assistant_quoter: Quoter,
    arguments: Arguments,
    /// A turn of calls alone has no content: R1's template asks whether it is none, others
    /// add it to a string.
    empties_content: bool,
    tool_support: ToolSupport,
}

impl Template {
    pub fn new(
        tokenizer: Arc<Tokenizer>,
        name: &str,
        source: &str,
        variables: &[(&str, &str)],
    ) -> Result<Template, Error> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(Error::internal)?);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_filter("tojson", tojson);
        environment
            .add_template_owned(name.to_owned(), source.to_owned())
            .map_err(|e| Error::invalid(describe(&e)))?;
        let literals = || tokenizer.added_tokens();
        let mut taken: Vec<String> = environment
            .get_template(name)
            .map_err(Error::internal)?
            .undeclared_variables(false)
            .into_iter()
            .filter(|name| {
                !OUR_VARIABLES.contains(&name.as_str())
                    && environment.globals().all(|(global, _)| global != name)
            })
            .collect();
        taken.sort();
        let mut template = Template {
            environment,
            name: name.to_owned(),
            variables: variables
                .iter()
                .map(|&(name, value)| (name.to_owned(), Value::from(value)))
                .collect(),
            taken,
            quoter: Quoter::new(literals()),
            assistant_quoter: Quoter::new(literals().filter(|l| !REASONING_TAGS.contains(l))),
            arguments: Arguments::AsObject,
            empties_content: true,
            tool_support: ToolSupport::default(),
        };
        // The first that writes a call; the last if none does.
        for (empties_content, arguments) in [
            (true, Arguments::AsObject),
            (true, Arguments::AsText),
            (false, Arguments::AsText),
            (false, Arguments::AsObject),
        ] {
            (template.empties_content, template.arguments) = (empties_content, arguments);
            template.tool_support.calls = template.writes_call("", "\"weft\"");
            if template.tool_support.calls {
                break;
            }
        }
        template.tool_support.calls_beside_content = template.writes_call("weft_words", "\"weft\"")
            && template.writes_call("weft_words", "weft_words");
        template.tool_support.results = template.writes_results();
        template.tool_support.definitions = template.writes_definitions();
        Ok(template)
    }

    pub fn tool_support(&self) -> ToolSupport {
        self.tool_support
    }

    pub fn takes(&self, variable: &str) -> bool {
        self.taken.iter().any(|taken| taken == variable)
    }

    /// Whether `part` comes out of a turn with that content and a call, whose arguments are
    /// given as now.
    fn writes_call(&self, content: &str, part: &str) -> bool {
        let messages = [
            Message { role: "user", content: "?", ..Default::default() },
            Message { role: "assistant", content, tool_calls: PROBE_CALL, ..Default::default() },
        ];
        let prompt = self.render(&messages, &Options::default());
        prompt.is_ok_and(|prompt| prompt.contains(part))
    }

    fn writes_results(&self) -> bool {
        let messages = [
            Message { role: "user", content: "?", ..Default::default() },
            Message { role: "assistant", tool_calls: PROBE_CALL, ..Default::default() },
            Message { role: "tool", content: "weft_result", tool_call_id: "c", ..Default::default() },
        ];
        let prompt = self.render(&messages, &Options::default());
        prompt.is_ok_and(|prompt| prompt.contains("weft_result"))
    }

    fn writes_definitions(&self) -> bool {
        let tools = r#"[{"type":"function","function":{"name":"weft_probe","description":"",
                         "parameters":{"type":"object","properties":{}}}}]"#;
        let messages = [Message { role: "user", content: "?", ..Default::default() }];
        let prompt = self.render(&messages, &Options { tools, ..Default::default() });
        prompt.is_ok_and(|prompt| prompt.contains("weft_probe"))
    }

    /// The prompt with its messages' literals quoted.
    pub fn render(&self, messages: &[Message], options: &Options) -> Result<String, Error> {
        let mut list = Vec::with_capacity(messages.len());
        for (i, message) in messages.iter().enumerate() {
            let open = options.continue_final_message && i + 1 == messages.len();
            let value = self.message(message, open);
            list.push(value.map_err(|e| e.within(&format!("messages[{i}]")))?);
        }
        let mut context: Vec<(String, Value)> = self.variables.clone();
        context.extend(self.given_variables(options.variables)?);
        context.push(("messages".into(), Value::from(list)));
        context.push(("tools".into(), self.tools(options.tools)?));
        context.push(("documents".into(), Value::from(())));
        context.push(("add_generation_prompt".into(), options.add_generation_prompt.into()));
        let rendered = self
            .environment
            .get_template(&self.name)
            .and_then(|template| template.render(Value::from_pairs(context)))
            .map_err(|e| Error::invalid(describe(&e)))?;
        if !options.continue_final_message {
            return Ok(rendered);
        }
        quote::cut_at_end(rendered).ok_or_else(|| {
            Error::invalid("the chat template drops the message that is to be continued")
        })
    }

    fn message(&self, message: &Message, open: bool) -> Result<Value, Error> {
        let quoter =
            if message.role == "assistant" { &self.assistant_quoter } else { &self.quoter };
        let mut content = quoter.quote(message.content);
        if open {
            quote::mark_end(&mut content);
        }
        let is_none =
            self.empties_content && content.is_empty() && !message.tool_calls.is_empty();
        let mut fields = vec![
            ("role", Value::from(self.quoter.quote(message.role))),
            ("content", if is_none { Value::from(()) } else { Value::from(content) }),
        ];
        if !message.reasoning_content.is_empty() {
            let reasoning = self.quoter.quote(message.reasoning_content);
            fields.push(("reasoning_content", Value::from(reasoning)));
        }
        if !message.tool_calls.is_empty() {
            fields.push(("tool_calls", self.tool_calls(message.tool_calls)?));
        }
        if !message.tool_call_id.is_empty() {
            fields.push(("tool_call_id", Value::from(self.quoter.quote(message.tool_call_id))));
        }
        Ok(Value::from_pairs(fields))
    }

    fn tool_calls(&self, json: &str) -> Result<Value, Error> {
        let mut calls = parse(json, "tool_calls")?;
        if self.arguments == Arguments::AsObject {
            for call in calls.as_array_mut().into_iter().flatten() {
                let arguments = &mut call["function"]["arguments"];
                if let Some(text) = arguments.as_str() {
                    *arguments = parse(text, "a tool call's arguments")?;
                }
            }
        }
        Ok(self.quoted(&calls))
    }

    fn tools(&self, json: &str) -> Result<Value, Error> {
        if json.is_empty() {
            return Ok(Value::from(()));
        }
        Ok(self.quoted(&parse(json, "tools")?))
    }

    fn given_variables(&self, json: &str) -> Result<Vec<(String, Value)>, Error> {
        if json.is_empty() {
            return Ok(Vec::new());
        }
        let Json::Object(given) = parse(json, "chat_template_kwargs")? else {
            return Err(Error::invalid("chat_template_kwargs must be an object"));
        };
        let mut pairs = Vec::with_capacity(given.len());
        for (name, value) in &given {
            if !self.takes(name) {
                let taken = match self.taken.as_slice() {
                    [] => "none".into(),
                    names => names.join(", "),
                };
                return Err(Error::invalid(format!(
                    "chat_template_kwargs.{name}: this model's template takes {taken}"
                )));
            }
            pairs.push((name.clone(), self.quoted(value)));
        }
        Ok(pairs)
    }

    /// JSON as the template sees it, every text in it quoted.
    fn quoted(&self, json: &Json) -> Value {
        match json {
            Json::String(text) => Value::from(self.quoter.quote(text)),
            Json::Array(items) => items.iter().map(|item| self.quoted(item)).collect(),
            Json::Object(fields) => Value::from_pairs(
                fields.iter().map(|(name, value)| (self.quoter.quote(name), self.quoted(value))),
            ),
            Json::Null => Value::from(()),
            Json::Bool(value) => Value::from(*value),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(value), _) => Value::from(value),
                (None, Some(value)) => Value::from(value),
                _ => Value::from(number.as_f64()),
            },
        }
    }
}

fn parse(json: &str, what: &str) -> Result<Json, Error> {
    serde_json::from_str(json).map_err(|e| Error::invalid(format!("{what} is not JSON: {e}")))
}

/// The template's own words if it refused, else what went wrong and where.
fn describe(error: &minijinja::Error) -> String {
    if error.kind() == ErrorKind::OutOfFuel {
        return "the chat template runs too long".into();
    }
    let mut cause: &dyn std::error::Error = error;
    loop {
        if let Some(refusal) = cause.downcast_ref::<Refusal>() {
            return refusal.0.clone();
        }
        match cause.source() {
            Some(source) => cause = source,
            None => return format!("chat template: {error}"),
        }
    }
}

#[derive(Debug)]
struct Refusal(String);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

fn raise_exception(message: String) -> Result<Value, minijinja::Error> {
    let refusal = Refusal(quote::unquote(&message));
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, "refused").with_source(refusal))
}

/// The local time through C's strftime, as Python does.
fn strftime_now(format: String) -> Result<String, minijinja::Error> {
    let bad = || minijinja::Error::new(ErrorKind::InvalidOperation, "strftime_now: bad format");
    // strftime answers 0 both for "no room" and for "nothing to say"; a last
    // character of our own tells them apart.
    let format = std::ffi::CString::new(format + "|").map_err(|_| bad())?;
    let mut text = vec![0u8; 1024];
    // SAFETY: the buffers outlive the calls; localtime_r fills `now` or returns null.
    let size = unsafe {
        let seconds = libc::time(std::ptr::null_mut());
        let mut now = std::mem::zeroed::<libc::tm>();
        if libc::localtime_r(&seconds, &mut now).is_null() {
            return Err(bad());
        }
        libc::strftime(text.as_mut_ptr().cast(), text.len(), format.as_ptr(), &now)
    };
    text.truncate(size.checked_sub(1).ok_or_else(bad)?);
    String::from_utf8(text).map_err(|_| bad())
}

/// json.dumps(value, ensure_ascii=False): minijinja's filter without its
/// escapes for HTML.
fn tojson(
    state: &State,
    value: &Value,
    indent: Option<Value>,
    kwargs: Kwargs,
) -> Result<String, minijinja::Error> {
    let indent = match indent {
        Some(indent) => Some(indent),
        None => kwargs.get("indent")?,
    };
    if kwargs.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false) {
        let message = "tojson: ensure_ascii=true is not supported";
        return Err(minijinja::Error::new(ErrorKind::InvalidOperation, message));
    }
    kwargs.assert_all_used()?;
    let indent = indent.filter(|indent| !indent.is_none());
    let none: [(&str, Value); 0] = [];
    let json = minijinja::filters::tojson(value, indent, none.into_iter().collect())?;
    let json = json.as_str().unwrap_or_default();
    state.consume_fuel(json.len() as u64 / 4)?;
    Ok(unescape_html(json))
}

/// JSON with \u003c, \u003e, \u0026 and \u0027 as their characters.
fn unescape_html(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escaped = &rest[at..];
        let (text, size) = match escaped.get(..6) {
            Some("\\u003c") => ("<", 6),
            Some("\\u003e") => (">", 6),
            Some("\\u0026") => ("&", 6),
            Some("\\u0027") => ("'", 6),
            // A backslash and what it escapes, so that "\\\\u003c" stays.
            _ => (&escaped[..2], 2),
        };
        out.push_str(text);
        rest = &escaped[size..];
    }
    out.push_str(rest);
    out
}
