//! Ways between two processes that a test can stop, in one direction or both, and whose bytes it sees.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Which way bytes go, as whoever connects sees it.
#[derive(Clone, Copy)]
pub enum Direction {
    There,
    Back,
}

/// A port that leads to another one.
pub struct Wire {
    pub port: u16,
    ends: Arc<Ends>,
}

struct Ends {
    to: watch::Sender<Option<SocketAddr>>,
    passes: [watch::Sender<bool>; 2],
    heard: Mutex<Vec<u8>>,
}

impl Wire {
    /// Leads nowhere yet: whoever connects waits.
    pub async fn open() -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let ends = Arc::new(Ends {
            to: watch::channel(None).0,
            passes: [watch::channel(true).0, watch::channel(true).0],
            heard: Mutex::default(),
        });
        let shared = Arc::clone(&ends);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(join(near, Arc::clone(&shared)));
            }
        });
        Wire { port, ends }
    }

    pub fn lead_to(&self, address: SocketAddr) {
        self.ends.to.send_replace(Some(address));
    }

    /// From here on nothing arrives that goes this way. As between machines, it is not lost: it comes when the way
    /// is healed, late, and after whatever was decided without it.
    pub fn stop(&self, direction: Direction) {
        self.ends.passes[direction as usize].send_replace(false);
    }

    pub fn heal(&self) {
        self.ends.passes.iter().for_each(|passes| _ = passes.send_replace(true));
    }

    /// How many bytes went through, both ways.
    pub fn carried(&self) -> usize {
        self.ends.heard.lock().expect("not poisoned").len()
    }

    /// Whether these bytes went through, either way.
    pub fn heard(&self, what: &str) -> bool {
        let heard = self.ends.heard.lock().expect("not poisoned");
        heard.windows(what.len()).any(|part| part == what.as_bytes())
    }
}

async fn join(near: TcpStream, ends: Arc<Ends>) {
    let mut to = ends.to.subscribe();
    let Ok(Some(to)) = to.wait_for(Option::is_some).await.map(|to| *to) else { return };
    let Ok(far) = TcpStream::connect(to).await else { return };
    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
    // Whichever end breaks, both are gone.
    let _ = tokio::try_join!(
        carry(from_near, to_far, &ends, Direction::There),
        carry(from_far, to_near, &ends, Direction::Back)
    );
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    ends: &Ends,
    direction: Direction,
) -> std::io::Result<()> {
    let mut passes = ends.passes[direction as usize].subscribe();
    let mut bytes = vec![0; 64 << 10];
    loop {
        let size = from.read(&mut bytes).await?;
        ends.heard.lock().expect("not poisoned").extend_from_slice(&bytes[..size]);
        passes.wait_for(|passes| *passes).await.map_err(std::io::Error::other)?;
        if size == 0 {
            return to.shutdown().await;
        }
        to.write_all(&bytes[..size]).await?;
    }
}
