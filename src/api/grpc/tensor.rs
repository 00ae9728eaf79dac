//! Tensors of the Open Inference Protocol, in and out: one value per customer.

use super::oip::model_infer_request::InferInputTensor;
use super::oip::model_infer_response::InferOutputTensor;
use super::oip::{InferTensorContents, ModelInferRequest};
use crate::api::problem::Problem;

/// Customers of one request.
pub const ROWS_MAX: usize = 1_024;

/// The inputs of a request, by name.
pub struct Inputs<'a> {
    request: &'a ModelInferRequest,
}

impl<'a> Inputs<'a> {
    pub fn new(request: &'a ModelInferRequest) -> Result<Inputs<'a>, Problem> {
        let raw = request.raw_input_contents.len();
        if raw > 0 && raw != request.inputs.len() {
            let why = "are not as many as inputs";
            return Err(Problem::field("raw_input_contents", why));
        }
        Ok(Inputs { request })
    }

    fn find(&self, name: &str) -> Option<(&'a InferInputTensor, Option<&'a [u8]>)> {
        let place = self.request.inputs.iter().position(|input| input.name == name)?;
        let raw = self.request.raw_input_contents.get(place).map(Vec::as_slice);
        Some((self.request.inputs.get(place)?, raw))
    }

    /// Texts, one per row. The input has to be there.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, Problem> {
        let (input, raw) = self.find(name).ok_or_else(|| Problem::missing(name))?;
        if input.datatype != "BYTES" {
            return Err(Problem::field(name, "is not of datatype BYTES"));
        }
        let rows = rows(name, &input.shape)?;
        let bytes: Vec<Vec<u8>> = match (raw, &input.contents) {
            (Some(raw), _) => lengths(name, raw)?,
            (None, Some(contents)) => contents.bytes_contents.clone(),
            (None, None) => Vec::new(),
        };
        check_rows(name, bytes.len(), rows)?;
        let text =
            |bytes| String::from_utf8(bytes).map_err(|_| Problem::field(name, "is not UTF-8"));
        bytes.into_iter().map(text).collect()
    }

    /// Numbers, one per row; `None` where there is no such input.
    pub fn numbers(&self, name: &str, rows_wanted: usize) -> Result<Option<Vec<f64>>, Problem> {
        let Some((input, raw)) = self.find(name) else { return Ok(None) };
        let rows = rows(name, &input.shape)?;
        let numbers: Vec<f64> = match (input.datatype.as_str(), raw, &input.contents) {
            ("FP64", Some(raw), _) => eights(raw).map(f64::from_le_bytes).collect(),
            ("FP32", Some(raw), _) => {
                fours(raw).map(|b| f64::from(f32::from_le_bytes(b))).collect()
            }
            ("FP64", None, Some(contents)) => contents.fp64_contents.clone(),
            ("FP32", None, Some(contents)) => {
                contents.fp32_contents.iter().copied().map(f64::from).collect()
            }
            ("FP64" | "FP32", None, None) => Vec::new(),
            _ => return Err(Problem::field(name, "is not of datatype FP64 or FP32")),
        };
        check_rows(name, numbers.len(), rows)?;
        check_rows(name, rows, rows_wanted)?;
        Ok(Some(numbers))
    }
}

/// Rows of `[n]` or `[n, 1]`.
fn rows(name: &str, shape: &[i64]) -> Result<usize, Problem> {
    let rows = match shape {
        [n] | [n, 1] => usize::try_from(*n).ok(),
        _ => None,
    };
    let rows = rows.filter(|rows| (1..=ROWS_MAX).contains(rows));
    rows.ok_or_else(|| {
        Problem::field(name, format!("is not of shape [n] or [n, 1], n from 1 to {ROWS_MAX}"))
    })
}

fn check_rows(name: &str, have: usize, want: usize) -> Result<(), Problem> {
    if have == want {
        return Ok(());
    }
    Err(Problem::field(name, format!("has {have} values and not {want}")))
}

fn eights(raw: &[u8]) -> impl Iterator<Item = [u8; 8]> {
    raw.chunks(8).filter_map(|chunk| chunk.try_into().ok())
}

fn fours(raw: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    raw.chunks(4).filter_map(|chunk| chunk.try_into().ok())
}

/// Texts, each behind its length in four bytes, little-endian.
fn lengths(name: &str, mut raw: &[u8]) -> Result<Vec<Vec<u8>>, Problem> {
    let cut = || Problem::field(name, "ends within a value");
    let mut all = Vec::new();
    while !raw.is_empty() {
        let (length, rest) = raw.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| cut())?;
        let (one, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        if all.len() == ROWS_MAX {
            return Err(Problem::field(name, format!("has more than {ROWS_MAX} values")));
        }
        all.push(one.to_vec());
        raw = rest;
    }
    Ok(all)
}

fn output(name: &str, datatype: &str, rows: usize) -> InferOutputTensor {
    InferOutputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: vec![i64::try_from(rows).unwrap_or(0)],
        ..InferOutputTensor::default()
    }
}

/// A column of numbers.
pub fn of_numbers(name: &str, numbers: Vec<f64>) -> InferOutputTensor {
    let output = output(name, "FP64", numbers.len());
    let contents = InferTensorContents { fp64_contents: numbers, ..Default::default() };
    InferOutputTensor { contents: Some(contents), ..output }
}

/// A column of texts.
pub fn of_texts(name: &str, texts: Vec<String>) -> InferOutputTensor {
    let output = output(name, "BYTES", texts.len());
    let bytes_contents = texts.into_iter().map(String::into_bytes).collect();
    let contents = InferTensorContents { bytes_contents, ..Default::default() };
    InferOutputTensor { contents: Some(contents), ..output }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, datatype: &str, shape: &[i64]) -> InferInputTensor {
        InferInputTensor {
            name: name.to_owned(),
            datatype: datatype.to_owned(),
            shape: shape.to_vec(),
            ..Default::default()
        }
    }

    fn with(inputs: Vec<InferInputTensor>, raw: Vec<Vec<u8>>) -> ModelInferRequest {
        ModelInferRequest { inputs, raw_input_contents: raw, ..Default::default() }
    }

    #[test]
    fn values_are_read_from_contents_and_from_raw_bytes_alike() {
        let mut texts = input("id", "BYTES", &[2, 1]);
        let bytes_contents = vec![b"a".to_vec(), b"bc".to_vec()];
        texts.contents = Some(InferTensorContents { bytes_contents, ..Default::default() });
        let mut numbers = input("x", "FP32", &[2]);
        let fp32_contents = vec![0.5, 2.0];
        numbers.contents = Some(InferTensorContents { fp32_contents, ..Default::default() });
        let plain = with(vec![texts, numbers], Vec::new());
        let raw_texts = [&1_u32.to_le_bytes()[..], b"a", &2_u32.to_le_bytes(), b"bc"].concat();
        let raw_numbers = [0.5_f64, 2.0].map(f64::to_le_bytes).concat();
        let raw = with(
            vec![input("id", "BYTES", &[2]), input("x", "FP64", &[2])],
            vec![raw_texts, raw_numbers],
        );
        for request in [plain, raw] {
            let inputs = Inputs::new(&request).expect("inputs");
            assert_eq!(inputs.texts("id").expect("texts"), ["a", "bc"]);
            assert_eq!(inputs.numbers("x", 2).expect("numbers"), Some(vec![0.5, 2.0]));
            assert_eq!(inputs.numbers("y", 2).expect("none"), None);
        }
    }

    #[test]
    fn tensors_that_do_not_fit_together_are_refused() {
        let refused = |request: &ModelInferRequest| {
            let inputs = Inputs::new(request);
            inputs.is_err() || inputs.is_ok_and(|inputs| inputs.texts("id").is_err())
        };
        assert!(refused(&with(vec![], vec![])), "it is missing");
        assert!(refused(&with(vec![input("id", "FP64", &[1])], vec![])));
        for shape in [&[][..], &[0], &[-1], &[1, 2], &[100_000], &[1, 1, 1]] {
            assert!(refused(&with(vec![input("id", "BYTES", shape)], vec![])), "{shape:?}");
        }
        assert!(refused(&with(vec![input("id", "BYTES", &[1])], vec![])), "no values");
        assert!(refused(&with(vec![input("id", "BYTES", &[1])], vec![vec![], vec![]])));
        for raw in [&b"\x05\0\0\0ab"[..], b"\x01\0", b"\xff\xff\xff\xffx", b"\x01\0\0\0\xff"] {
            assert!(refused(&with(vec![input("id", "BYTES", &[1])], vec![raw.to_vec()])));
        }
    }
}
