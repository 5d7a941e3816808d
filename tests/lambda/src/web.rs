//! A web server that is not AWS's: a chat, or where CloudFormation waits for an answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::task::JoinHandle;

use crate::http::{Reply, Request, listen};

/// One that takes everything.
pub struct Web {
    /// Its address.
    pub url: String,
    taken: Arc<Mutex<Vec<Request>>>,
    silent: Arc<AtomicBool>,
    server: JoinHandle<()>,
}

impl Web {
    /// One at a free port.
    pub async fn new() -> Self {
        let (taken, silent) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (list, quiet) = (Arc::clone(&taken), Arc::clone(&silent));
        let (at, server) = listen(move |request| {
            list.lock().unwrap().push(request);
            let quiet = quiet.load(Ordering::Relaxed);
            async move {
                if quiet {
                    std::future::pending::<()>().await;
                }
                Some(Reply { status: 200, head: String::new(), body: "ok".to_owned() })
            }
        })
        .await;
        Self { url: format!("http://{at}/here"), taken, silent, server }
    }

    /// Whether it takes requests without ever answering.
    pub fn silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }

    /// What was sent to it: bodies that are JSON.
    pub fn taken(&self) -> Vec<Value> {
        let taken = self.taken.lock().unwrap();
        taken.iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.server.abort();
    }
}
