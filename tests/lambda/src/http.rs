//! As much of an HTTP server as the tests need: one request after the other on each connection.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its first line.
    pub line: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Header lines, each with its end.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Listens at a free port; gives the address. `None` from `answer` closes the connection.
pub(crate) async fn listen<F>(
    answer: impl Fn(Request) -> F + Send + Sync + 'static,
) -> (String, JoinHandle<()>)
where
    F: Future<Output = Option<Reply>> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let answer = Arc::new(answer);
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                while let Some(request) = read(&mut stream).await {
                    let Some(reply) = answer(request).await else { return };
                    let length = reply.body.len();
                    let Reply { status, head, body } = reply;
                    let text = format!(
                        "HTTP/1.1 {status} -\r\n{head}Content-Length: {length}\r\n\r\n{body}"
                    );
                    // Whoever asked may be gone.
                    if stream.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (at, server)
}

/// `None` when the connection ends.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let (mut first, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if first.is_empty() {
            first = line;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Request { line: first, body })
}
