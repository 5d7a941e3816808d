//! timing
use std::time::Instant;
use resilver::app::{App, Options};
use resilver_emulator::{Emulator, world::Config};

#[tokio::test]
async fn timing() {
    for _ in 0..5 {
        let t = Instant::now();
        let app = App::deploy(Emulator::new(Config::default()), &Options::default()).await.unwrap();
        let a = t.elapsed();
        app.clients.s3.create_bucket().bucket("photos").send().await.unwrap();
        let t = Instant::now();
        app.enroll("photos").await.ok();
        eprintln!("deploy {a:?}; enroll {:?}", t.elapsed());
        let t = Instant::now();
        for _ in 0..6 { let _ = App::clients(&app.emulator); }
        eprintln!("6 clients {:?}", t.elapsed());
        let template = resilver::app::template().unwrap();
        let t = Instant::now();
        let world = app.emulator.with(|w| resilver_emulator::stack::Stack::deploy(w, "x", template, &Options::default().answers())).unwrap();
        eprintln!("begin {:?}", t.elapsed());
        drop(world);
    }
}
