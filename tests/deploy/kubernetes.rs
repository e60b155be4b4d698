//! The manifests as `kubectl kustomize` renders them: what refers to something else within them finds it, and the program takes their configuration.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::files::{output_of, path, yaml};
use super::pods::{assert_restricted, pod_of};

/// Each overlay, by itself and with each component that fits it.
const VARIANTS: [(&str, &[&str]); 7] = [
    ("daemon", &[]),
    ("daemon", &["podmonitor"]),
    ("daemon", &["servicemonitor", "ephemeral-state"]),
    ("ha", &[]),
    ("ha", &["podmonitor"]),
    ("cronjob", &[]),
    ("cronjob", &["pushgateway"]),
];

/// A rendered variant.
struct Rendered {
    name: String,
    documents: Vec<Value>,
}

impl Rendered {
    fn all(&self, kind: &str) -> Vec<&Value> {
        self.documents.iter().filter(|document| document["kind"] == kind).collect()
    }

    /// The only document of this kind.
    #[track_caller]
    fn one(&self, kind: &str) -> &Value {
        let all = self.all(kind);
        assert_eq!(all.len(), 1, "{}: {kind}", self.name);
        all[0]
    }

    #[track_caller]
    fn has(&self, kind: &str, name: &Value) {
        let found = self.all(kind).iter().any(|document| document["metadata"]["name"] == *name);
        assert!(found, "{}: there is no {kind} {name}", self.name);
    }

    fn workload(&self) -> &Value {
        self.documents.iter().find(|document| document["kind"] == "Deployment" || document["kind"] == "CronJob").unwrap()
    }

    fn pod(&self) -> &Value {
        pod_of(self.workload())
    }

    fn container(&self) -> &Value {
        let containers = self.pod()["spec"]["containers"].as_array().unwrap();
        assert_eq!(containers.len(), 1);
        &containers[0]
    }

    fn config(&self) -> &str {
        self.one("ConfigMap")["data"]["snapwarden.yaml"].as_str().unwrap()
    }
}

/// Every variant, rendered once; none where there is no kubectl.
fn render() -> &'static [Rendered] {
    static RENDERED: OnceLock<Vec<Rendered>> = OnceLock::new();
    RENDERED.get_or_init(render_all)
}

fn render_all() -> Vec<Rendered> {
    let mut all = Vec::new();
    for (overlay, components) in VARIANTS {
        let name = [&[overlay], components].concat().join("+");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kustomize-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let components: Vec<_> = components.iter().map(|component| relative(&folder, &format!("components/{component}"))).collect();
        let kustomization = json!({"resources": [relative(&folder, &format!("overlays/{overlay}"))], "components": components});
        fs::write(folder.join("kustomization.yaml"), kustomization.to_string()).unwrap();
        let rendered = output_of(Command::new("kubectl").arg("kustomize").arg(&folder));
        fs::remove_dir_all(&folder).unwrap();
        let Some(text) = rendered else { return Vec::new() };
        all.push(Rendered { name, documents: yaml(&text) });
    }
    all
}

/// Kustomize takes relative paths only.
fn relative(from: &Path, to: &str) -> PathBuf {
    let real = from.canonicalize().unwrap();
    let up: PathBuf = real.components().skip(1).map(|_| "..").collect();
    up.join(path("deploy/kubernetes").canonicalize().unwrap().strip_prefix("/").unwrap()).join(to)
}

#[track_caller]
fn assert_selects(place: &str, selector: &Value, labels: &Value) {
    let wanted = selector.as_object().unwrap_or_else(|| panic!("{place}: no selector"));
    assert!(!wanted.is_empty(), "{place}: selects everything");
    assert!(wanted.iter().all(|(label, value)| labels[label] == *value), "{place}: {selector} does not select {labels}");
}

#[test]
fn selectors_ports_and_names_agree() {
    for rendered in render() {
        let labels = &rendered.pod()["metadata"]["labels"];
        for (kind, selector) in [
            ("Deployment", "/spec/selector/matchLabels"),
            ("Service", "/spec/selector"),
            ("NetworkPolicy", "/spec/podSelector/matchLabels"),
        ] {
            for document in rendered.all(kind) {
                assert_selects(&format!("{}: {kind}", rendered.name), document.pointer(selector).unwrap_or(&Value::Null), labels);
            }
        }
        for document in [rendered.all("PodDisruptionBudget"), rendered.all("PodMonitor")].concat() {
            assert_selects(&rendered.name, &document["spec"]["selector"]["matchLabels"], labels);
        }
        for monitor in rendered.all("ServiceMonitor") {
            assert_selects(&rendered.name, &monitor["spec"]["selector"]["matchLabels"], &rendered.one("Service")["metadata"]["labels"]);
        }
        assert_ports_agree(rendered);
        assert_references_are_found(rendered);
    }
}

/// Whoever names a port names one of the container, which is the one that the daemon listens on.
fn assert_ports_agree(rendered: &Rendered) {
    let container = rendered.container();
    let listens =
        rendered.config().lines().find_map(|line| line.strip_prefix("listen: 0.0.0.0:")).map(|rest| rest.split(' ').next().unwrap());
    let Some(port) = listens else {
        assert!(
            container["ports"].is_null()
                && rendered.all("Service").is_empty()
                && rendered.one("NetworkPolicy")["spec"]["ingress"].is_null()
        );
        return;
    };
    let ports = &container["ports"];
    assert_eq!(*ports, json!([{"name": "http", "containerPort": port.parse::<u16>().unwrap(), "protocol": "TCP"}]), "{}", rendered.name);
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], "http", "{}: {probe}", rendered.name);
    }
    let service = &rendered.one("Service")["spec"]["ports"];
    assert_eq!(
        (&service[0]["name"], &service[0]["targetPort"], &service[0]["port"]),
        (&json!("http"), &json!("http"), &ports[0]["containerPort"])
    );
    assert_eq!(rendered.one("NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"], "http");
    for monitor in rendered.all("ServiceMonitor") {
        assert_eq!(
            (&monitor["spec"]["endpoints"][0]["port"], &monitor["spec"]["endpoints"][0]["path"]),
            (&json!("http"), &json!("/metrics"))
        );
    }
    for monitor in rendered.all("PodMonitor") {
        let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
        assert_eq!((&endpoint["port"], &endpoint["path"]), (&json!("http"), &json!("/metrics")));
    }
}

fn assert_references_are_found(rendered: &Rendered) {
    let spec = &rendered.pod()["spec"];
    rendered.has("ServiceAccount", &spec["serviceAccountName"]);
    let volumes = spec["volumes"].as_array().unwrap();
    for volume in volumes {
        if let Some(name) = volume.pointer("/configMap/name") {
            rendered.has("ConfigMap", name);
            // So that a change rolls out.
            assert!(name.as_str().unwrap().starts_with("snapwarden-config-"), "{}: {name} has no hash", rendered.name);
        }
        if let Some(name) = volume.pointer("/persistentVolumeClaim/claimName") {
            rendered.has("PersistentVolumeClaim", name);
        }
    }
    let names = |list: &[Value]| list.iter().map(|entry| entry["name"].to_string()).collect::<BTreeSet<_>>();
    assert_eq!(names(rendered.container()["volumeMounts"].as_array().unwrap()), names(volumes), "{}", rendered.name);
    let image = format!("snapwarden:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(rendered.container()["image"], json!(image), "{}", rendered.name);
}

#[test]
fn the_lease_is_the_only_thing_that_anybody_may_touch() {
    for rendered in render() {
        let asks = rendered.config().contains("\nleader:");
        assert_eq!(rendered.pod()["spec"]["automountServiceAccountToken"] == json!(false), !asks, "{}", rendered.name);
        assert!(rendered.all("ClusterRole").is_empty() && rendered.all("ClusterRoleBinding").is_empty());
        if !asks {
            assert!(rendered.all("Role").is_empty() && rendered.all("RoleBinding").is_empty());
            assert_eq!(rendered.one("ServiceAccount")["automountServiceAccountToken"], false);
            continue;
        }
        let rules = &rendered.one("Role")["rules"];
        let lease = yaml(rendered.config()).remove(0)["leader"]["kubernetes"]["lease"].clone();
        assert_eq!(
            *rules,
            json!([
                {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
                {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": [lease.clone()], "verbs": ["get", "update"]}
            ])
        );
        rendered.has("Lease", &lease);
        let binding = rendered.one("RoleBinding");
        rendered.has("Role", &binding["roleRef"]["name"]);
        assert_eq!(binding["subjects"][0]["name"], rendered.pod()["spec"]["serviceAccountName"]);
    }
}

#[test]
fn the_dns_of_the_cluster_is_reached() {
    for rendered in render() {
        let dns = &rendered.one("NetworkPolicy")["spec"]["egress"][0];
        assert_eq!(dns["to"][0]["podSelector"]["matchLabels"], json!({"k8s-app": "kube-dns"}), "{}", rendered.name);
        assert!(dns["ports"].as_array().unwrap().iter().all(|port| port["port"] == 53));
    }
}

#[test]
fn replicas_take_over_as_the_state_allows() {
    for rendered in render() {
        let workload = rendered.workload();
        if workload["kind"] == "CronJob" {
            let spec = &workload["spec"];
            assert_eq!((&spec["concurrencyPolicy"], &spec["timeZone"]), (&json!("Forbid"), &json!("Etc/UTC")));
            assert_eq!(rendered.container()["args"][0], "run");
            continue;
        }
        assert_eq!(rendered.container()["args"], json!(["serve"]));
        let replicas = workload["spec"]["replicas"].as_u64().unwrap();
        assert_eq!(workload["spec"]["strategy"]["type"] == "Recreate", replicas == 1, "{}", rendered.name);
        // Two replicas cannot share a volume, and a budget for one replica forbids every drain.
        assert!(replicas == 1 || rendered.all("PersistentVolumeClaim").is_empty());
        assert_eq!(rendered.all("PodDisruptionBudget").is_empty(), replicas == 1);
        assert_eq!(rendered.config().contains("\nleader:"), replicas > 1);
    }
}

#[test]
fn pods_are_as_the_restricted_standard_wants_them() {
    for rendered in render() {
        assert_restricted(&rendered.name, rendered.pod());
    }
}

#[test]
fn the_program_takes_the_configuration_and_the_secret_as_they_are_mounted() {
    for rendered in render() {
        let folder = tempfile::tempdir().unwrap();
        let (config, token) = (folder.path().join("snapwarden.yaml"), folder.path().join("token"));
        let secret = rendered.pod()["spec"]["volumes"].as_array().unwrap().iter().find_map(|volume| volume.get("secret")).unwrap();
        let mode = u32::try_from(secret["defaultMode"].as_u64().unwrap()).unwrap();
        fs::write(&token, "vps_0123456789").unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(mode)).unwrap();
        let mounted = rendered.container()["volumeMounts"].as_array().unwrap().iter().find(|mount| mount["name"] == "token").unwrap();
        let named = format!("token_file: {}/token", mounted["mountPath"].as_str().unwrap());
        assert!(rendered.config().contains(&named), "{}: {named}", rendered.name);
        fs::write(&config, rendered.config().replace(&named, "token_file: token")).unwrap();
        let mut check = Command::new(env!("CARGO_BIN_EXE_snapwarden"));
        let printed = output_of(check.env_clear().arg("--config").arg(&config).arg("check")).unwrap();
        assert!(printed.starts_with("the configuration is right"), "{}: {printed}", rendered.name);
    }
}
