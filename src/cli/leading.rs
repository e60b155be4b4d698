//! Which of several replicas acts, for `serve`: the election as it is configured.

use std::sync::Arc;

use tokio::sync::watch;

use crate::config::LeaderSettings;
use crate::domain::report::Leader;
use crate::provider::Leave;

use super::app::App;
use super::exit::Failure;
use super::serve::Task;

/// This process's part in the election.
pub(super) struct Leading {
    /// What is asked before each create and delete.
    pub leave: Arc<dyn Leave>,
    /// Which replica acts.
    pub told: watch::Receiver<Leader>,
    /// Holds the lease while it goes on, and gives it back at its end.
    pub task: Task,
}

#[cfg(not(feature = "kubernetes"))]
pub(super) async fn begin(_app: &App, _settings: &LeaderSettings) -> Result<Leading, Failure> {
    let hint = "the image has it; else build with `cargo install --locked --path . --features kubernetes`";
    let text = "snapwarden: `leader` is configured, and this build knows no Kubernetes";
    Err(Failure::new(super::exit::Exit::Usage, text).hint(Some(hint.to_owned())))
}

/// Takes part in the election from now on.
#[cfg(feature = "kubernetes")]
pub(super) async fn begin(app: &App, settings: &LeaderSettings) -> Result<Leading, Failure> {
    use crate::clock::Clock;
    use crate::leader::kubernetes::KubernetesLease;
    use crate::leader::{Leadership, Terms, keep};

    let identity = identity();
    let terms = Terms::new(identity.clone(), settings.duration, app.config.provider.request_timeout);
    let kubeconfig = std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty()).map(std::path::PathBuf::from);
    let lease = KubernetesLease::connect(&settings.lease, settings.namespace.as_deref(), kubeconfig.as_deref(), terms.call_max()).await;
    let lease = lease.map_err(|error| {
        let hint = "outside of a cluster, KUBECONFIG names a file that says how to reach one";
        Failure::of(super::exit::Exit::Usage, &error).hint(Some(hint.to_owned()))
    })?;
    tracing::info!(
        identity,
        lease = settings.lease,
        namespace = lease.namespace(),
        duration_ms = settings.duration.as_millis() as u64,
        write_max_ms = terms.exchange_max.as_millis() as u64,
        "a lease says which replica acts"
    );
    let clock: Arc<dyn Clock> = Arc::clone(&app.clock) as Arc<dyn Clock>;
    let leadership = Arc::new(Leadership::new(&terms, clock));
    let (tell, told) = watch::channel(Leader { identity, leads: false, holder: None });
    let leave: Arc<dyn Leave> = Arc::clone(&leadership) as Arc<dyn Leave>;
    let task = Task::start(|stop| keep(Arc::new(lease), terms, leadership, tell, stop));
    Ok(Leading { leave, told, task })
}

/// The name of this process in the lease: the pod's, and something that no earlier process of that name had.
#[cfg(feature = "kubernetes")]
fn identity() -> String {
    use std::hash::{BuildHasher as _, RandomState};

    let system = rustix::system::uname();
    format!("{}_{:08x}", system.nodename().to_string_lossy(), RandomState::new().hash_one(std::process::id()) as u32)
}
