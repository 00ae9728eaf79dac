//! The bidder that is asked: one request, within the time of the auction.

use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Client, StatusCode};

use super::answer::{ANSWER_BYTES_MAX, Answer};
use super::tally::Reply;
use crate::models::flow::openrtb::VERSION;

/// Where requests go.
pub struct Bidder {
    pub client: Client,
    pub url: String,
    /// Sent with requests, and with nothing else.
    pub headers: HeaderMap,
}

/// What a bidder said, and how long it took.
pub struct Said {
    pub reply: Reply,
    pub took: Duration,
    pub answer: Option<Answer>,
}

impl Bidder {
    /// Asks for bids. Whatever comes after `within` is not heard.
    pub async fn ask(&self, id: &str, body: Vec<u8>, within: Duration) -> Said {
        let begun = Instant::now();
        let asked = tokio::time::timeout(within, self.exchange(id, body)).await;
        let (reply, answer) = match asked {
            Ok((reply, answer)) => (reply, answer),
            Err(_) => (Reply::Timeout, None),
        };
        Said { reply, took: begun.elapsed(), answer }
    }

    async fn exchange(&self, id: &str, body: Vec<u8>) -> (Reply, Option<Answer>) {
        let request = self.client.post(&self.url).headers(self.headers.clone());
        let request = request
            .header("content-type", "application/json")
            .header("x-openrtb-version", VERSION)
            .body(body);
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(_) => return (Reply::Unreachable, None),
        };
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NO_CONTENT => return (Reply::NoBid, None),
            other => return (Reply::Status(other.as_u16()), None),
        }
        let mut whole = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if whole.len() + chunk.len() <= ANSWER_BYTES_MAX => {
                    whole.extend_from_slice(&chunk);
                }
                Ok(Some(_)) => return (Reply::Malformed, None),
                Ok(None) => break,
                Err(_) => return (Reply::Unreachable, None),
            }
        }
        match Answer::parse(&whole, id) {
            Ok(answer) if answer.bids.is_empty() && answer.unfit == 0 => (Reply::NoBid, None),
            Ok(answer) => (Reply::Bids, Some(answer)),
            Err(_) => (Reply::Malformed, None),
        }
    }
}
