//! Kubernetes' own leases (`coordination.k8s.io/v1`): read, made and replaced under the version that was read, never patched, so that of two writes
//! on one version the second is refused.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease as Object, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, Error};

use super::keeper::LeaseStore;
use super::lease::{Answer, Call, Lease, Wish};

/// Why there is no connection to the cluster.
#[derive(Debug, thiserror::Error)]
#[error("find the Kubernetes API: {what}")]
pub struct NoCluster {
    what: String,
}

/// One lease of a cluster.
pub struct KubernetesLease {
    api: Api<Object>,
    name: String,
    namespace: String,
    /// As last read or written: what others have put on it stays there.
    last: Mutex<Option<Object>>,
}

impl KubernetesLease {
    /// Connects as the pod that this is, or as the file `kubeconfig` says. `namespace`: where not the pod's own. Sends nothing yet.
    ///
    /// # Errors
    /// If this is no pod and there is no such file, or what they say cannot be used.
    pub async fn connect(
        name: &str,
        namespace: Option<&str>,
        kubeconfig: Option<&Path>,
        call_max: Duration,
    ) -> Result<KubernetesLease, NoCluster> {
        // Fails only where somebody has installed one before, which is then used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let no_cluster = |error: &dyn std::error::Error| NoCluster { what: describe(error) };
        let mut config = match kubeconfig {
            Some(path) => {
                let file = Kubeconfig::read_from(path).map_err(|error| no_cluster(&error))?;
                Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(|error| no_cluster(&error))?
            }
            None => Config::incluster().map_err(|error| no_cluster(&error))?,
        };
        // What is not known is looked into by the election; who repeats on its own makes a second writer.
        config.default_retry = false;
        (config.connect_timeout, config.read_timeout, config.write_timeout) = (Some(call_max), Some(call_max), Some(call_max));
        let namespace = namespace.unwrap_or(&config.default_namespace).to_owned();
        let client = Client::try_from(config).map_err(|error| no_cluster(&error))?;
        Ok(KubernetesLease { api: Api::namespaced(client, &namespace), name: name.to_owned(), namespace, last: Mutex::new(None) })
    }

    /// The namespace of the lease.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    fn answer(&self, result: Result<Object, Error>) -> Answer {
        match result {
            Ok(object) => match read(&object) {
                Some(lease) => {
                    *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(object);
                    Answer::Lease(lease)
                }
                None => Answer::Failed("the lease has no version".to_owned()),
            },
            Err(Error::Api(status)) if status.is_not_found() => Answer::Missing,
            Err(Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Answer::Conflict,
            Err(Error::Api(status)) => Answer::Failed(format!("{} (status {})", status.message, status.code)),
            Err(error) => Answer::Failed(describe(&error)),
        }
    }

    /// The object as it was last, so far as it is of this version.
    fn last(&self, version: &str) -> Object {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        last.filter(|object| object.metadata.resource_version.as_deref() == Some(version)).unwrap_or_default()
    }
}

impl LeaseStore for KubernetesLease {
    async fn call(&self, call: Call) -> Answer {
        let result = match call {
            Call::Read => self.api.get(&self.name).await,
            Call::Create(wish) => self.api.create(&PostParams::default(), &self.object(Object::default(), None, &wish)).await,
            Call::Replace(version, wish) => {
                let object = self.object(self.last(&version), Some(version), &wish);
                self.api.replace(&self.name, &PostParams::default(), &object).await
            }
        };
        self.answer(result)
    }
}

impl KubernetesLease {
    fn object(&self, last: Object, version: Option<String>, wish: &Wish) -> Object {
        let metadata = ObjectMeta {
            name: Some(self.name.clone()),
            namespace: Some(self.namespace.clone()),
            resource_version: version,
            managed_fields: None,
            ..last.metadata
        };
        // Others take it for a number of seconds, and anything below one for nothing.
        let seconds = i32::try_from(wish.duration.as_millis().div_ceil(1000)).unwrap_or(i32::MAX).max(1);
        let spec = LeaseSpec {
            holder_identity: Some(wish.holder.clone().unwrap_or_default()),
            lease_duration_seconds: Some(seconds),
            lease_transitions: i32::try_from(wish.transitions).ok(),
            acquire_time: Some(MicroTime(wish.acquired_at)),
            renew_time: Some(MicroTime(wish.renewed_at)),
            ..last.spec.unwrap_or_default()
        };
        Object { metadata, spec: Some(spec) }
    }
}

fn read(object: &Object) -> Option<Lease> {
    let spec = object.spec.clone().unwrap_or_default();
    Some(Lease {
        version: object.metadata.resource_version.clone()?,
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        duration: Duration::from_secs(spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default()),
        transitions: spec.lease_transitions.and_then(|number| u32::try_from(number).ok()).unwrap_or_default(),
    })
}

/// An error with its causes, each once.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(&format!(": {cause_text}"));
        }
        source = cause.source();
    }
    text
}
