//! What crosses the C border: borrowed bytes in, owned buffers out, errors as a
//! code and a message, panics as errors.

use crate::{Code, Ids, Slice, Text};
use std::panic::{catch_unwind, AssertUnwindSafe};

#[derive(Debug)]
pub struct Error {
    pub code: Code,
    pub message: String,
}

impl Error {
    pub fn invalid(message: impl Into<String>) -> Error {
        Error { code: Code::InvalidArgument, message: message.into() }
    }

    pub fn internal(message: impl std::fmt::Display) -> Error {
        Error { code: Code::Internal, message: message.to_string() }
    }

    /// "content is not UTF-8" within "messages[3]": "messages[3]: content ...".
    pub fn within(self, place: &str) -> Error {
        Error { message: format!("{place}: {}", self.message), ..self }
    }
}

impl Slice {
    /// # Safety
    /// The slice is readable and stays so for as long as the caller uses it.
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.size == 0 {
            return &[];
        }
        std::slice::from_raw_parts(self.data, self.size)
    }

    /// # Safety
    /// As for bytes().
    pub unsafe fn text<'a>(self, what: &str) -> Result<&'a str, Error> {
        std::str::from_utf8(self.bytes()).map_err(|e| {
            Error::invalid(format!("{what} is not valid UTF-8 at byte {}", e.valid_up_to()))
        })
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        let mut bytes = std::mem::ManuallyDrop::new(text.into_bytes());
        Text { data: bytes.as_mut_ptr(), size: bytes.len(), capacity: bytes.capacity() }
    }
}

impl From<Vec<i32>> for Ids {
    fn from(ids: Vec<i32>) -> Ids {
        let mut ids = std::mem::ManuallyDrop::new(ids);
        Ids { data: ids.as_mut_ptr(), size: ids.len(), capacity: ids.capacity() }
    }
}

/// Runs `call`; an error or a panic becomes the answer's code and `error`, which
/// is written only then.
///
/// # Safety
/// `error` is writable.
pub unsafe fn guard(error: *mut Text, call: impl FnOnce() -> Result<(), Error>) -> Code {
    let failure = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => return Code::Ok,
        Ok(Err(failure)) => failure,
        Err(panic) => {
            let message = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("panic");
            Error::internal(message)
        }
    };
    let code = failure.code;
    error.write(Text::from(failure.message));
    code
}
