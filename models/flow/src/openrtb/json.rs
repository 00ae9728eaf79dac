//! Writes JSON straight into a buffer.

use kiki_models::shield::money::Micros;

use super::decimal;

/// Writes one value after the other. Commas are its business, brackets are the caller's.
pub struct Json<'b> {
    out: &'b mut Vec<u8>,
    /// Does the next element need a comma before it?
    comma: bool,
}

impl<'b> Json<'b> {
    /// Appends to what `out` has.
    pub fn new(out: &'b mut Vec<u8>) -> Json<'b> {
        Json { out, comma: false }
    }

    fn value(&mut self) -> &mut Vec<u8> {
        if self.comma {
            self.out.push(b',');
        }
        self.comma = true;
        self.out
    }

    pub fn open(&mut self, bracket: u8) -> &mut Self {
        self.value().push(bracket);
        self.comma = false;
        self
    }

    pub fn close(&mut self, bracket: u8) -> &mut Self {
        self.out.push(bracket);
        self.comma = true;
        self
    }

    /// A member's name; its value comes next.
    pub fn key(&mut self, name: &str) -> &mut Self {
        self.text(name);
        self.out.push(b':');
        self.comma = false;
        self
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        let out = self.value();
        out.push(b'"');
        escaped(text, out);
        out.push(b'"');
        self
    }

    pub fn whole(&mut self, number: u64) -> &mut Self {
        decimal::whole(number, self.value());
        self
    }

    /// The shortest exact decimal.
    pub fn amount(&mut self, amount: Micros) -> &mut Self {
        decimal::write(amount, self.value());
        self
    }

    /// What is JSON already.
    pub fn raw(&mut self, json: &str) -> &mut Self {
        self.value().extend_from_slice(json.as_bytes());
        self
    }

    /// A member that is a text.
    pub fn member(&mut self, name: &str, text: &str) -> &mut Self {
        self.key(name).text(text)
    }

    /// A member that is a text, if there is one.
    pub fn optional(&mut self, name: &str, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.member(name, text),
            None => self,
        }
    }

    /// A member that is a whole number.
    pub fn number(&mut self, name: &str, number: u64) -> &mut Self {
        self.key(name).whole(number)
    }

    /// A member that is a list of texts, unless that is empty.
    pub fn texts<'t>(&mut self, name: &str, texts: impl IntoIterator<Item = &'t str>) -> &mut Self {
        let mut texts = texts.into_iter().peekable();
        if texts.peek().is_some() {
            self.key(name).open(b'[');
            for text in texts {
                self.text(text);
            }
            self.close(b']');
        }
        self
    }

    /// A member that is a list of numbers, unless that is empty.
    pub fn numbers(&mut self, name: &str, numbers: impl IntoIterator<Item = u64>) -> &mut Self {
        let mut numbers = numbers.into_iter().peekable();
        if numbers.peek().is_some() {
            self.key(name).open(b'[');
            for number in numbers {
                self.whole(number);
            }
            self.close(b']');
        }
        self
    }
}

/// RFC 8259, section 7: quotation mark, backslash and control characters are escaped, nothing else.
fn escaped(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|b| matches!(b, 0..0x20 | b'"' | b'\\')) {
        let (plain, after) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, after)) = after.split_first() else { return };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend([byte >> 4, byte & 15].map(|n| HEX[usize::from(n & 15)]));
            }
        }
        rest = after;
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_written_text_reads_back(text in "\\PC*|[\\x00-\\x7f]*") {
            let mut out = Vec::new();
            Json::new(&mut out).text(&text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).ok(), Some(text));
        }
    }

    #[test]
    fn commas_are_where_they_belong() {
        let mut out = Vec::new();
        let mut json = Json::new(&mut out);
        json.open(b'{').member("a", "x").texts("none", []).optional("no", None);
        json.texts("b", ["1", "2"]).numbers("c", [3, 4]).key("d").open(b'[');
        for _ in 0..2 {
            json.open(b'{').close(b'}');
        }
        json.close(b']').key("e").amount(Micros(1_500_000)).key("f").raw("null").close(b'}');
        assert_eq!(
            String::from_utf8(out).expect("text"),
            r#"{"a":"x","b":["1","2"],"c":[3,4],"d":[{},{}],"e":1.5,"f":null}"#
        );
    }
}
