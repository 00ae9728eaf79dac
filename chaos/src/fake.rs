//! A node of tests: it answers each path as it is told to, until it is dropped.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Status and body of a path, with its query.
type Answer = dyn Fn(&str) -> (u16, String) + Send + Sync;

pub struct Fake {
    pub url: String,
    task: JoinHandle<()>,
}

impl Fake {
    pub async fn start(answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer: Arc<Answer> = Arc::new(answer);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(one(stream, answer.clone()));
            }
        });
        Fake { url, task }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn one(mut stream: TcpStream, answer: Arc<Answer>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let head = String::from_utf8_lossy(&head);
    let (status, body) = answer(head.split(' ').nth(1).unwrap_or_default());
    let length = body.len();
    let told = format!(
        "HTTP/1.1 {status} told\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    // Whoever does not wait for it needs it no more.
    _ = stream.write_all(told.as_bytes()).await;
}
