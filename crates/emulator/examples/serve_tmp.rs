//! temp
#![allow(clippy::unwrap_used, clippy::print_stdout)]
#[tokio::main]
async fn main() {
    let a: Vec<String> = std::env::args().collect();
    let config = resilver_emulator::world::Config {
        credentials: (a.len() == 1)
            .then(|| ("AKIARESILVERLOCAL000".into(), "resilver-local-secret".into())),
        ..Default::default()
    };
    let e = resilver_emulator::Emulator::new(config);
    let s = e.serve_running("127.0.0.1:0".parse().unwrap(), 60).await.unwrap();
    println!("{}", s.endpoint());
    tokio::time::sleep(std::time::Duration::from_secs(120)).await;
}
