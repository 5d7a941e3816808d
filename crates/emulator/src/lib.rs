//! An AWS that replicates, on a laptop: S3 with live replication that really fails, S3 Batch
//! Operations that really run and report, a queue, an event bus and schedules.
//!
//! Two halves that never mix. [`world`] decides what AWS does: pure, seeded, told the time. [`wire`]
//! speaks the protocols of the services and decides nothing. [`Emulator`] holds the two together: a
//! library first (`Emulator::new`, `.step`, `.http_client()`), a server second (`.serve()`).
//!
//! What it does is what AWS documents, quirks included; what it does not do answers
//! `NotImplemented`, loudly. It knows nothing of Resilver: it has to be able to disagree with it.

mod gzip;
pub mod stack;
pub mod wire;
pub mod world;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use bytes::Bytes;
use http::Request;

use wire::client::InProcess;
use wire::forward::Elsewhere;
use wire::journal::{Entry, Journal, JournalError};
use wire::outbox::{Outbox, Posted, Reply};
use wire::router::{Outcome, Router, Weight};
use wire::server::Server;
use world::{Config, Millis, World};

/// One emulated account, shared by everything that speaks to it. Clones are the same account.
#[derive(Clone)]
pub struct Emulator {
    shared: Arc<Shared>,
}

/// What the wire needs of an emulator.
pub(crate) struct Shared {
    world: Arc<Mutex<World>>,
    pub(crate) router: Router,
    outbox: Mutex<Outbox>,
    /// Where the past of the world is kept. Whoever changes a world that has one holds this meanwhile.
    journal: tokio::sync::Mutex<Option<Journal>>,
    journaled: AtomicBool,
}

impl Shared {
    /// Answers one request, and writes it down where there is a journal.
    pub(crate) async fn handle(&self, request: Request<Bytes>) -> Outcome {
        if !self.journaled.load(Ordering::Relaxed) {
            return self.router.handle(request).await;
        }
        let mut journal = self.journal.lock().await;
        let (caller, weight) = self.router.weigh(&request);
        if weight == Weight::Read {
            drop(journal);
            return self.router.handle(request).await;
        }
        if let Some(Err(why)) = journal.as_mut().map(Journal::catch_up) {
            tracing::error!(%why, "the journal cannot be written");
            return self.router.unwritten(&request, &why);
        }
        let (now, chance) = self.with(|world| (world.now(), world.chance()));
        let outcome = self.router.handle(request.clone()).await;
        let unmoved = chance == self.with(|world| world.chance());
        let traceless = outcome.left_no_trace() || (weight == Weight::Look && unmoved);
        // What is refused can leave traces too: an event of the trail, a fault that is spent. But what was
        // refused for its signature must not be taken when it is done again.
        let counts = outcome.counts() || self.router.is_authentic(&request);
        let Some(journal) = journal.as_mut() else { return outcome };
        if traceless || !counts {
            // Nor may it have used up chance, which will be there when the past is done again.
            self.with(|world| world.set_chance(chance));
        } else {
            let entry = Entry::of(&request, (now, chance), outcome.status(), &caller);
            if let Err(why) = journal.add(&entry, request.body()) {
                tracing::error!(%why, "the journal cannot be written");
                return self.router.unwritten(&request, &why);
            }
        }
        outcome
    }

    /// Writes down the time that it is, if that could not be told from the wall: what has been seen must not
    /// be undone by a restart.
    pub(crate) async fn mark(&self, wall: Millis) {
        let mut journal = self.journal.lock().await;
        let (now, chance) = self.with(|world| (world.now(), world.chance()));
        let Some(journal) = journal.as_mut().filter(|_| now > wall) else {
            return;
        };
        let Ok(clock) = Request::post("/_resilver/clock").body(Bytes::from("{\"advance_ms\":0}"))
        else {
            return;
        };
        let (caller, _) = self.router.weigh(&clock);
        let entry = Entry::of(&clock, (now, chance), 200, &caller);
        if let Err(why) = journal.add(&entry, clock.body()) {
            tracing::error!(%why, "the journal cannot be written");
        }
    }

    /// Moves the clock by what has passed when its turn has come: not in the middle of a request that is written
    /// down.
    pub(crate) async fn follow(&self, passed: impl FnOnce() -> Millis) {
        let _turn = match self.journaled.load(Ordering::Relaxed) {
            true => Some(self.journal.lock().await),
            false => None,
        };
        let ms = passed();
        if ms > 0 {
            self.with(|world| world.advance_to(world.now().saturating_add(ms)));
        }
    }

    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        act(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn outbox<R>(&self, act: impl FnOnce(&mut Outbox) -> R) -> R {
        act(&mut self.outbox.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Emulator {
    /// The endpoint that SDKs in the same process are configured with, beside [`Self::http_client`].
    pub const ENDPOINT: &str = "http://aws.resilver.test";

    /// An account with nothing in it.
    pub fn new(config: Config) -> Self {
        let world = Arc::new(Mutex::new(World::new(config)));
        let router = Router::new(Arc::clone(&world));
        Self {
            shared: Arc::new(Shared {
                world,
                router,
                outbox: Mutex::default(),
                journal: tokio::sync::Mutex::new(None),
                journaled: AtomicBool::new(false),
            }),
        }
    }

    /// The account whose past is in `dir`, or a new one that will be kept there: every request that
    /// changes it is written down, and done again when it is opened again.
    ///
    /// # Errors
    /// When the directory holds another world, is in use, or cannot be read and written.
    pub async fn open(dir: &Path, config: Config) -> Result<Self, JournalError> {
        let mut journal = Journal::open(dir, &config)?;
        let now = config.start;
        let emulator = Self::new(Config { start: journal.start(), ..config });
        let shared = &emulator.shared;
        journal
            .replay(async |entry, request| {
                shared.with(|world| {
                    // What was due at that very moment came after the request, or before it: at its time.
                    if entry.now > world.now() {
                        world.advance_to(entry.now);
                    }
                    world.set_chance(entry.chance);
                });
                let status = shared.router.again(request).await.status();
                if status != entry.status {
                    tracing::warn!(
                        status,
                        expected = entry.status,
                        "the past came out differently"
                    );
                }
            })
            .await?;
        // What was sent was sent in another life; what falls due while nobody is there is sent now.
        shared.with(|world| {
            world.parcels.clear();
            world.advance_to(now);
        });
        *shared.journal.lock().await = Some(journal);
        shared.journaled.store(true, Ordering::Relaxed);
        Ok(emulator)
    }

    /// Looks at the world, or changes it behind the services' backs. Must not call back into the
    /// emulator: the world is locked.
    pub fn with<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        self.shared.with(act)
    }

    /// The world's time.
    pub fn now(&self) -> Millis {
        self.with(|world| world.now())
    }

    /// When the next thing happens by itself, if anything does.
    pub fn next_due(&self) -> Option<Millis> {
        self.with(|world| world.next_due())
    }

    /// Jumps to the next thing that happens by itself and lets it happen. False when nothing is to
    /// happen any more.
    pub fn step(&self) -> bool {
        self.with(|world| {
            let due = world.next_due();
            if let Some(due) = due {
                world.advance_to(due);
            }
            due.is_some()
        })
    }

    /// Moves the clock on by `ms` milliseconds, everything that is due happening at its own time.
    pub fn advance(&self, ms: Millis) {
        self.with(|world| world.advance_to(world.now().saturating_add(ms)));
    }

    /// The HTTP client for an SDK in this process. Requests to [`Self::ENDPOINT`], to AWS's own hosts
    /// and to loopback addresses are answered by the emulator, all others go to the outbox.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(InProcess::new(Arc::clone(&self.shared)))
    }

    /// Listens for clients at `addr`; the world's clock stands still until it is moved.
    ///
    /// # Errors
    /// Those of binding the address.
    pub async fn serve(&self, addr: SocketAddr) -> io::Result<Server> {
        Server::bind(Arc::clone(&self.shared), addr, None).await
    }

    /// Listens for clients at `addr`, the world's clock running `speed` times as fast as the wall's.
    ///
    /// # Errors
    /// Those of binding the address.
    pub async fn serve_running(&self, addr: SocketAddr, speed: u32) -> io::Result<Server> {
        Server::bind(Arc::clone(&self.shared), addr, Some(speed)).await
    }

    /// As [`Self::serve_running`], with queues or a bus that are another server's, as the configuration of
    /// the world says.
    ///
    /// # Errors
    /// Those of binding the address.
    pub async fn serve_beside(
        &self,
        addr: SocketAddr,
        speed: u32,
        elsewhere: Elsewhere,
    ) -> io::Result<Server> {
        let mut server = self.serve_running(addr, speed).await?;
        server.forward(Arc::clone(&self.shared), elsewhere);
        Ok(server)
    }

    /// Writes down the time that it is, where there is a journal: the last thing that a server does.
    pub async fn close(&self) {
        if let Ok(now) = Request::post("/_resilver/clock").body(Bytes::from("{\"advance_ms\":0}")) {
            self.shared.handle(now).await;
        }
    }

    /// Everything that was posted to hosts that are not AWS, in order.
    pub fn outbox(&self) -> Vec<Posted> {
        self.shared.outbox(|outbox| outbox.posted.clone())
    }

    /// Takes what was sent to this address first out of the outbox: its body.
    pub fn take_posted(&self, url: &str) -> Option<Bytes> {
        self.shared.outbox(|outbox| {
            let at = outbox.posted.iter().position(|posted| posted.url == url)?;
            Some(outbox.posted.remove(at).body)
        })
    }

    /// Answers the next `times` posts to addresses that begin with `prefix` with `status`.
    pub fn answer_webhooks(&self, prefix: &str, status: u16, times: u32) {
        let prefix = prefix.to_owned();
        self.script(Reply { prefix, status, body: String::new(), retry_after: None, times });
    }

    /// Adds an answer to the script of the outbox. Earlier ones come first.
    pub fn script(&self, reply: Reply) {
        self.shared.outbox(|outbox| outbox.script.push(reply));
    }
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator").finish_non_exhaustive()
    }
}
