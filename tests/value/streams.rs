//! Streams of questions keep to what every call keeps to: who may ask, how often, and until when.

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use kiki::api::grpc::v1::predict_ltv_stream_response::Outcome;
use kiki::api::grpc::v1::sync_value_service_client::SyncValueServiceClient;
use kiki::api::grpc::v1::{PredictLtvRequest, PredictLtvStreamResponse};
use kiki::models::access::ApiKey;
use tokio::sync::mpsc;
use tonic::metadata::{AsciiMetadataValue, MetadataValue};
use tonic::{Code, Request, Streaming};

use crate::harness::{Api, api};

fn question() -> PredictLtvRequest {
    PredictLtvRequest { customer_id: "c".to_owned(), ..PredictLtvRequest::default() }
}

async fn open(
    api: &Api,
    key: Option<&str>,
    questions: BoxStream<'static, PredictLtvRequest>,
) -> Streaming<PredictLtvStreamResponse> {
    let mut request = Request::new(questions);
    if let Some(key) = key {
        let key: AsciiMetadataValue = MetadataValue::try_from(key).expect("text");
        request.metadata_mut().insert("x-api-key", key);
    }
    let mut client = SyncValueServiceClient::new(api.channel.clone());
    client.predict_ltv_stream(request).await.expect("a stream").into_inner()
}

/// Questions that come as they are sent.
fn asking() -> (mpsc::Sender<PredictLtvRequest>, BoxStream<'static, PredictLtvRequest>) {
    let (ask, asked) = mpsc::channel(8);
    let asked = stream::unfold(asked, |mut asked: mpsc::Receiver<PredictLtvRequest>| async move {
        let question = asked.recv().await?;
        Some((question, asked))
    });
    (ask, asked.boxed())
}

#[tokio::test]
async fn every_question_of_a_stream_counts_against_its_callers_rate() {
    let settings =
        [("auth.mode", "required"), ("limits.key_per_second", "1"), ("limits.key_burst", "4")];
    let api = api(&settings).await;
    let key = api.key("viewer", &["*"]).await;
    let questions = stream::iter(vec![question(); 40]).boxed();
    let answers: Vec<_> = open(&api, Some(&key), questions).await.collect().await;
    assert_eq!(answers.len(), 40, "a question beyond the rate ends nothing");
    let mut beyond = 0;
    for (place, answer) in answers.into_iter().enumerate() {
        let answer = answer.expect("no error");
        assert_eq!(answer.index, place as u64);
        if let Some(Outcome::Problem(problem)) = answer.outcome {
            assert_eq!(problem.code, "rate_limited");
            assert!(problem.retry_after_ms > 0, "{problem:?}");
            beyond += 1;
        }
    }
    assert!((20..40).contains(&beyond), "{beyond}");
}

#[tokio::test]
async fn a_stream_ends_when_the_key_that_opened_it_is_revoked() {
    let api = api(&[("auth.mode", "required")]).await;
    let key = api.key("viewer", &["*"]).await;
    let (ask, asked) = asking();
    let mut answers = open(&api, Some(&key), asked).await;
    ask.send(question()).await.expect("it is open");
    assert!(answers.next().await.expect("an answer").is_ok());
    let id = ApiKey::parse(&key).expect("a key").id();
    let revoked = api.shield.door.keys().revoke(id, "test", kiki::clock::wall_us()).await;
    revoked.expect("revoked");
    ask.send(question()).await.expect("it is open");
    let ended = answers.next().await.expect("an end").expect_err("refused");
    assert_eq!(ended.code(), Code::Unauthenticated);
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn an_open_stream_is_ended_in_order_when_the_server_stops() {
    let api = api(&[]).await;
    let (ask, asked) = asking();
    let mut answers = open(&api, None, asked).await;
    ask.send(question()).await.expect("it is open");
    assert!(answers.next().await.expect("an answer").is_ok());
    let (_again, ended) = tokio::join!(api.again(), answers.next());
    let ended = ended.expect("an end").expect_err("it is over");
    assert_eq!(ended.code(), Code::Unavailable);
    assert_eq!(ended.metadata().get("kiki-code").expect("a code"), "busy", "{ended:?}");
}
