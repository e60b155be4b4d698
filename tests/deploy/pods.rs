//! Kubernetes' Pod Security Standard "restricted", as far as a manifest can break it.
//!
//! Source: <https://kubernetes.io/docs/concepts/security/pod-security-standards/>.

use serde_json::{Value, json};

const VOLUMES: [&str; 8] = ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"];

/// The pod of a Deployment or a CronJob: its metadata and spec.
pub fn pod_of(workload: &Value) -> &Value {
    let within = if workload["kind"] == "CronJob" { "/spec/jobTemplate/spec/template" } else { "/spec/template" };
    workload.pointer(within).unwrap()
}

/// Ends the test unless the pod is as "restricted" wants it; and, which that does not ask for, with a root that cannot be written, and limited memory.
#[track_caller]
pub fn assert_restricted(place: &str, pod: &Value) {
    let spec = &pod["spec"];
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        assert!(spec[key] != true, "{place}: {key}");
    }
    let security = &spec["securityContext"];
    assert_eq!(security["runAsNonRoot"], true, "{place}");
    assert!(security["runAsUser"].as_u64().unwrap() > 0 && security["runAsGroup"].as_u64().unwrap() > 0, "{place}");
    assert_eq!(security["seccompProfile"]["type"], "RuntimeDefault", "{place}");
    assert!(security["sysctls"].is_null() && security["windowsOptions"].is_null(), "{place}");
    for volume in spec["volumes"].as_array().unwrap() {
        let kinds: Vec<_> = volume.as_object().unwrap().keys().filter(|key| *key != "name").collect();
        assert!(kinds.len() == 1 && VOLUMES.contains(&kinds[0].as_str()), "{place}: {volume}");
    }
    for key in ["initContainers", "ephemeralContainers"] {
        assert!(spec[key].is_null(), "{place}: {key}");
    }
    for container in spec["containers"].as_array().unwrap() {
        let security = &container["securityContext"];
        assert_eq!(
            *security,
            json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}}),
            "{place}"
        );
        let ports = container["ports"].as_array();
        assert!(ports.into_iter().flatten().all(|port| port["hostPort"].is_null()), "{place}");
        assert!(container["resources"]["limits"]["memory"].is_string() && container["resources"]["requests"]["cpu"].is_string(), "{place}");
    }
}
