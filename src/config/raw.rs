//! A value as somebody wrote it, before it has a meaning.

/// How a value was written: a file tells strings from numbers, the environment and flags do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Bare text from the environment, a `.env` file or a flag.
    Text,
    /// A quoted TOML string.
    String,
    /// A TOML integer.
    Integer,
    /// A TOML float; its text is kept, so no digit is lost.
    Float,
    /// `true` or `false` in TOML.
    Boolean,
    /// A date, an array or a table, which no key takes.
    Other(&'static str),
}

impl Form {
    /// The form in words, with its article.
    pub fn words(self) -> &'static str {
        match self {
            Form::Text => "text",
            Form::String => "a string",
            Form::Integer => "a whole number",
            Form::Float => "a decimal number",
            Form::Boolean => "a boolean",
            Form::Other(words) => words,
        }
    }
}

/// The text of a value and its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    pub form: Form,
    pub text: String,
}

impl Raw {
    /// A value from the environment or a flag.
    pub fn text(text: impl Into<String>) -> Self {
        Self { form: Form::Text, text: text.into() }
    }

    /// A value from a file.
    pub fn new(form: Form, text: impl Into<String>) -> Self {
        Self { form, text: text.into() }
    }

    /// True where the value may be read as a string.
    pub fn is_string(&self) -> bool {
        matches!(self.form, Form::Text | Form::String)
    }

    /// True where the value may be read as a whole number.
    pub fn is_integer(&self) -> bool {
        matches!(self.form, Form::Text | Form::Integer)
    }

    /// True where the value may be read as a decimal number.
    pub fn is_number(&self) -> bool {
        matches!(self.form, Form::Text | Form::Integer | Form::Float)
    }
}
