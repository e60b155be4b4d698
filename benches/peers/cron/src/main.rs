//! How tokio-cron-scheduler fares with many jobs due at one instant: `cargo run --release --manifest-path benches/peers/cron/Cargo.toml -- JOBS [CHANNEL]`.
//!
//! Tells how long it takes to add them, what it costs to wait, how many came and within what time.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::{sleep, timeout};
use tokio_cron_scheduler::{Job, JobScheduler};

static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<usize> = std::env::args().skip(1).map(|argument| argument.parse()).collect::<Result<_, _>>()?;
    let jobs = arguments.first().copied().unwrap_or(1_000);
    let channel = arguments.get(1).copied().unwrap_or(200);
    LazyLock::force(&BEGUN);
    let scheduler = JobScheduler::new_with_channel_size(channel).await?;
    let (came, first, last) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(u64::MAX)), Arc::new(AtomicU64::new(0)));
    // Far enough ahead to add them all, and to wait.
    let lead = 20 + jobs as u64 / 500;
    let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() + lead;
    let expression = format!("{} {} {} * * *", at % 60, at / 60 % 60, at / 3600 % 24);
    for _ in 0..jobs {
        let (came, first, last) = (Arc::clone(&came), Arc::clone(&first), Arc::clone(&last));
        let job = Job::new(expression.as_str(), move |_, _| {
            let now = BEGUN.elapsed().as_micros() as u64;
            first.fetch_min(now, Ordering::Relaxed);
            last.fetch_max(now, Ordering::Relaxed);
            came.fetch_add(1, Ordering::Relaxed);
        })?;
        scheduler.add(job).await?;
    }
    println!("{jobs} jobs added in {:.2} s, {:.1} MiB", BEGUN.elapsed().as_secs_f64(), resident_mib()?);
    scheduler.start().await?;
    sleep(Duration::from_secs(1)).await;
    let (idle_begun, cpu) = (Instant::now(), cpu_seconds()?);
    sleep(Duration::from_secs(10)).await;
    println!("waiting: {:.2} % of one processor", 100.0 * (cpu_seconds()? - cpu) / idle_begun.elapsed().as_secs_f64());
    let all = async {
        while came.load(Ordering::Relaxed) < jobs {
            sleep(Duration::from_millis(10)).await;
        }
    };
    drop(timeout(Duration::from_secs(2 * lead), all).await);
    let count = came.load(Ordering::Relaxed);
    let spread = last.load(Ordering::Relaxed).saturating_sub(first.load(Ordering::Relaxed));
    println!("{count} of {jobs} came, from the first to the last in {:.1} ms", spread as f64 / 1e3);
    Ok(())
}

/// Processor time so far, user and system.
fn cpu_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit_once(") ").ok_or("a stat file has a name in it")?.1;
    let ticks: Vec<f64> = fields.split(' ').skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

fn resident_mib() -> Result<f64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("a status file tells the memory")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1024.0)
}
