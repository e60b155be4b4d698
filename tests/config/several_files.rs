//! The main file and `conf.d`.

use std::path::Path;

use super::{folder, load};

const MAIN: &str =
    "owner: prod\npolicies:\n  web: {snapshots: {schedule: '@daily', keep: {last: 2}}}\nservers:\n  - {id: 1, policy: web}\n";

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn each_file_of_conf_d_adds_policies_and_servers_by_name() {
    let folder = folder();
    write(folder.path(), "main.yaml", MAIN);
    write(folder.path(), "conf.d/b.yaml", "servers: [{id: 3, policy: db}]\n");
    write(
        folder.path(),
        "conf.d/a.yaml",
        "policies:\n  db: {backups: {schedule: '@daily', keep: {last: 2}}}\nservers: [{id: 2, policy: [web, db]}]\n",
    );
    write(folder.path(), "conf.d/empty.yaml", "# nothing yet\n");
    write(folder.path(), "conf.d/.hidden.yaml", "nonsense: [");
    write(folder.path(), "conf.d/notes.txt", "nonsense: [");
    let config = load(&folder.path().join("main.yaml")).unwrap_or_else(|told| panic!("{told}"));
    let places: Vec<&str> = config.wanted.entries.iter().map(|entry| entry.place.rsplit('/').next().unwrap()).collect();
    assert_eq!(places, ["main.yaml:5", "a.yaml:3", "b.yaml:1"]);
    assert_eq!(config.sources.len(), 4);
}

#[test]
fn what_is_there_twice_is_told_with_both_places() {
    let folder = folder();
    write(folder.path(), "main.yaml", MAIN);
    write(
        folder.path(),
        "conf.d/a.yaml",
        "policies:\n  web: {backups: {schedule: '@daily', keep: {last: 2}}}\nservers:\n  - {id: 1, policy: web}\n",
    );
    let told = load(&folder.path().join("main.yaml")).unwrap_err().to_string();
    assert!(told.contains("a.yaml:2:3: policy `web` is there twice: first at ") && told.contains("main.yaml:3\n"), "{told}");
    assert!(told.contains("a.yaml:4:10: server 1 is there twice: first at ") && told.contains("main.yaml:5\n"), "{told}");
    assert!(told.ends_with("2 errors"), "{told}");
}

#[test]
fn other_keys_belong_to_the_main_file() {
    let folder = folder();
    write(folder.path(), "main.yaml", MAIN);
    write(folder.path(), "conf.d/a.yaml", "owner: other\n");
    let told = load(&folder.path().join("main.yaml")).unwrap_err().to_string();
    assert!(told.contains("a.yaml:1:1: unknown key `owner`") && told.contains("only policies and servers"), "{told}");
}

#[test]
fn a_broken_file_hides_neither_the_others_errors_nor_causes_new_ones() {
    let folder = folder();
    write(folder.path(), "main.yaml", "owner: prod\npolicies:\n  web: [\n");
    write(folder.path(), "conf.d/a.yaml", "servers:\n  - {id: 1, policy: web}\n  - {id: 0, policy: web}\n");
    let told = load(&folder.path().join("main.yaml")).unwrap_err();
    assert_eq!(told.list().len(), 2, "{told}");
    assert!(told.to_string().contains("a.yaml:3:10: `id` must be at least 1"), "{told}");
}

#[test]
fn a_missing_or_unreadable_file_is_told() {
    let folder = folder();
    let missing = folder.path().join("none.yaml");
    let told = load(&missing).unwrap_err().to_string();
    assert!(told.starts_with(&missing.display().to_string()) && told.contains("cannot read") && told.contains("--config"), "{told}");
    assert!(load(folder.path()).unwrap_err().to_string().contains("cannot read"));
    std::fs::write(&missing, b"owner: prod\nname: \xff\n").unwrap();
    assert!(load(&missing).unwrap_err().to_string().contains("line 2 is not UTF-8"));
    std::fs::write(&missing, " ".repeat(9 << 20)).unwrap();
    assert!(load(&missing).unwrap_err().to_string().contains("larger than 8 MiB"));
}

#[test]
fn the_digest_follows_the_text_of_all_files() {
    let folder = folder();
    let main = folder.path().join("main.yaml");
    write(folder.path(), "main.yaml", MAIN);
    let first = load(&main).unwrap().digest;
    assert_eq!(first, load(&main).unwrap().digest);
    assert_eq!(first.len(), 32);
    write(folder.path(), "conf.d/a.yaml", "# a remark\n");
    assert_ne!(first, load(&main).unwrap().digest);
}
