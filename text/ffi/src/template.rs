//! Chat templates as transformers runs them: Jinja with trimmed blocks, Python's
//! string methods, raise_exception, strftime_now and a tojson that leaves HTML
//! alone.

use crate::border::Error;
use crate::quote::{self, Quoter};
use crate::tokenizer::Tokenizer;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{AutoEscape, Environment, ErrorKind, State, Value};
use std::sync::Arc;

/// A template's budget for one rendering: instructions, and bytes copied (64 to
/// the unit). A conversation of thousands of turns and megabytes uses a tenth;
/// a template that runs away is stopped within about a second.
const FUEL: u64 = 10_000_000;

/// In an assistant's message these stay what they are: templates cut past
/// reasoning off at them, and a message to be continued may hold them open.
const REASONING_TAGS: [&str; 2] = ["<think>", "</think>"];

pub struct Message<'a> {
    pub role: &'a str,
    pub content: &'a str,
    pub reasoning_content: &'a str,
}

pub struct Template {
    environment: Environment<'static>,
    name: String,
    variables: Vec<(String, Value)>,
    quoter: Quoter,
    assistant_quoter: Quoter,
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
        Ok(Template {
            environment,
            name: name.to_owned(),
            variables: variables
                .iter()
                .map(|&(name, value)| (name.to_owned(), Value::from(value)))
                .collect(),
            quoter: Quoter::new(literals()),
            assistant_quoter: Quoter::new(literals().filter(|l| !REASONING_TAGS.contains(l))),
        })
    }

    /// The prompt with its messages' literals quoted.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        continue_final_message: bool,
    ) -> Result<String, Error> {
        let list: Vec<Value> = messages
            .iter()
            .enumerate()
            .map(|(i, message)| {
                let open = continue_final_message && i + 1 == messages.len();
                self.message(message, open)
            })
            .collect();
        let mut context: Vec<(String, Value)> = self.variables.clone();
        context.push(("messages".into(), Value::from(list)));
        context.push(("tools".into(), Value::from(())));
        context.push(("documents".into(), Value::from(())));
        context.push(("add_generation_prompt".into(), Value::from(add_generation_prompt)));
        let rendered = self
            .environment
            .get_template(&self.name)
            .and_then(|template| template.render(Value::from_pairs(context)))
            .map_err(|e| Error::invalid(describe(&e)))?;
        if !continue_final_message {
            return Ok(rendered);
        }
        quote::cut_at_end(rendered).ok_or_else(|| {
            Error::invalid("the chat template drops the message that is to be continued")
        })
    }

    fn message(&self, message: &Message, open: bool) -> Value {
        let quoter =
            if message.role == "assistant" { &self.assistant_quoter } else { &self.quoter };
        let mut content = quoter.quote(message.content);
        if open {
            quote::mark_end(&mut content);
        }
        let mut fields = vec![
            ("role", Value::from(self.quoter.quote(message.role))),
            ("content", Value::from(content)),
        ];
        if !message.reasoning_content.is_empty() {
            let reasoning = self.quoter.quote(message.reasoning_content);
            fields.push(("reasoning_content", Value::from(reasoning)));
        }
        Value::from_pairs(fields)
    }
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
