//! Redis that stops, stands still, or forgets.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::error::{FaultError, FaultResult};
use super::family::{At, Doing, Family, Order, Prepared};
use super::left::Left;
use super::process;
use crate::experiment::fault::Fault;

const NAME: &str = "redis";
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Redis;

impl Family for Redis {
    fn kinds(&self) -> &'static [&'static str] {
        &["redis_stop", "redis_restart", "redis_pause", "redis_flush"]
    }

    fn prepare<'a>(&'a self, order: &'a Order) -> Doing<'a, Prepared> {
        Box::pin(async move {
            order.ground.process(order.fault.kind(), NAME)?;
            let names = vec![NAME.to_owned()];
            let (way, left) = match &order.fault {
                Fault::RedisPause {} => {
                    ("signal", vec![Left::Stopped { ids: process::ids(order, &names)? }])
                }
                // What is forgotten is not remembered again.
                Fault::RedisFlush {} => ("FLUSHALL", Vec::new()),
                _ => ("signal", vec![Left::Dead { name: NAME.to_owned() }]),
            };
            Ok(Prepared { target: NAME.to_owned(), way: way.to_owned(), struck: names, left })
        })
    }

    fn act<'a>(&'a self, at: &'a At) -> Doing<'a, ()> {
        Box::pin(async move {
            let order = &at.site.order;
            let lab = order.ground.lab(order.fault.kind())?;
            match &order.fault {
                Fault::RedisPause {} => {
                    process::stop(&process::recorded(at)).await?;
                }
                Fault::RedisFlush {} => {
                    let (address, password) = lab.redis()?;
                    let flushed = tokio::time::timeout(PATIENCE, flush(&address, &password)).await;
                    flushed.map_err(|_| FaultError::Bad("Redis does not answer".to_owned()))??;
                }
                Fault::RedisRestart {} => lab.restart(NAME).await?,
                _ => lab.stop(NAME).await?,
            }
            at.site.struck(1);
            Ok(())
        })
    }
}

async fn flush(address: &str, password: &str) -> FaultResult<()> {
    let failed = |error| FaultError::io("Redis", error);
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    for words in [&["AUTH", password][..], &["FLUSHALL"]] {
        stream.write_all(command(words).as_bytes()).await.map_err(failed)?;
        let mut answer = Vec::new();
        // One line, and a short one.
        while !answer.ends_with(b"\r\n") && answer.len() < 512 {
            answer.push(stream.read_u8().await.map_err(failed)?);
        }
        if answer != b"+OK\r\n" {
            let said = String::from_utf8_lossy(&answer);
            let what = words.first().unwrap_or(&"");
            return Err(FaultError::Bad(format!("Redis answers {what}: {}", said.trim())));
        }
    }
    Ok(())
}

fn command(words: &[&str]) -> String {
    let said = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    format!("*{}\r\n{}", words.len(), said.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn a_command_is_written_as_redis_reads_it() {
        assert_eq!(command(&["AUTH", "ab"]), "*2\r\n$4\r\nAUTH\r\n$2\r\nab\r\n");
    }
}
