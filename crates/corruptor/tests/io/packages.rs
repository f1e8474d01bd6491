//! Packages by the ordinary clients: apt and pip, offline, from a repository that the test makes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Tool;

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::helpers::sha256_hex;

const PAGE: &str = "<html><body><div class='nav'><p>Home, and a menu with many words that goes on for more than eighty characters, to its end.</p></div>\
    <p>The first paragraph of the manual says in one sentence of some length what the program is good for.</p>\
    <pre>code();</pre><p>Short.</p></body></html>";
const PARAGRAPH: &str =
    "The first paragraph of the manual says in one sentence of some length what the program is good for.";

fn sha256(path: &Path) -> String {
    sha256_hex(&fs::read(path).unwrap())
}

fn run(tool: &mut Tool) {
    let output = tool.output().unwrap();
    assert!(output.status.success(), "{tool:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn corpus(home: &Path, sources: &str, arguments: &[&str]) -> Command {
    fs::write(home.join("recipe.toml"), sources).unwrap();
    let mut command = Command::cargo_bin("corruptor").unwrap();
    command.current_dir(home).args([
        "corpus",
        "--recipe",
        "recipe.toml",
        "--out",
        "out",
        "--report",
        "report.json",
    ]);
    command.args(arguments).env_remove("REVERTANT_RECIPE");
    command
}

fn source(home: &TempDir) -> Value {
    let report: Value =
        serde_json::from_str(&fs::read_to_string(home.path().join("report.json")).unwrap()).unwrap();
    report["sources"][0].clone()
}

/// An apt repository with one package, and a configuration that knows nothing else.
struct Apt {
    home: TempDir,
    deb: PathBuf,
}

impl Apt {
    fn new(version: &str) -> Self {
        let home = tempdir().unwrap();
        let root = home.path().join("package");
        fs::create_dir_all(root.join("DEBIAN")).unwrap();
        fs::create_dir_all(root.join("usr/share/doc/manual/html")).unwrap();
        fs::write(root.join("usr/share/doc/manual/html/index.html"), PAGE).unwrap();
        fs::write(root.join("usr/share/doc/manual/copyright"), "CC0").unwrap();
        let control = format!(
            "Package: revertant-manual\nVersion: {version}\nArchitecture: all\nMaintainer: Nobody <nobody@example.com>\nDescription: a manual\n"
        );
        fs::write(root.join("DEBIAN/control"), &control).unwrap();
        let repository = home.path().join("repository");
        fs::create_dir(&repository).unwrap();
        let deb = repository.join("manual.deb");
        run(Tool::new("dpkg-deb").args(["--root-owner-group", "-b"]).arg(&root).arg(&deb));
        let size = fs::metadata(&deb).unwrap().len();
        let packages = format!("{control}Filename: ./manual.deb\nSize: {size}\nSHA256: {}\n", sha256(&deb));
        fs::write(repository.join("Packages"), packages).unwrap();
        let state = home.path().join("state");
        for directory in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(state.join(directory)).unwrap();
        }
        fs::write(
            state.join("sources.list"),
            format!("deb [trusted=yes] file:{} ./\n", repository.display()),
        )
        .unwrap();
        fs::write(state.join("status"), "").unwrap();
        let state = state.display();
        let configuration = format!(
            "Dir::Etc::sourcelist \"{state}/sources.list\";\nDir::Etc::sourceparts \"-\";\nDir::State::Lists \"{state}/lists\";\n\
             Dir::State::status \"{state}/status\";\nDir::Cache \"{state}/cache\";\nAPT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\n"
        );
        fs::write(home.path().join("apt.conf"), configuration).unwrap();
        let apt = Self { home, deb };
        run(Tool::new("apt-get").arg("update").env("APT_CONFIG", apt.configuration()));
        apt
    }

    fn configuration(&self) -> PathBuf {
        self.home.path().join("apt.conf")
    }

    fn corpus(&self, home: &TempDir, version: &str, sha256: &str, arguments: &[&str]) -> Command {
        let sources = format!(
            "[[corpus.sources]]\nkind = 'deb'\nname = 'manual'\npackage = 'revertant-manual'\nversion = '{version}'\nsha256 = '{sha256}'\n\
             include = '**/*.html'\nextract = 'html'\nlicence = 'CC0-1.0'\n"
        );
        let mut command = corpus(home.path(), &sources, arguments);
        command.env("APT_CONFIG", self.configuration());
        command
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_debian_package_is_fetched_unpacked_and_extracted() {
    let (apt, home) = (Apt::new("1:1.2-3"), tempdir().unwrap());
    let digest = sha256(&apt.deb);
    apt.corpus(&home, "1:1.2-3", &digest, &[]).assert().success();
    let source = source(&home);
    assert_eq!((&source["kind"], &source["package"]), (&"deb".into(), &"revertant-manual".into()));
    assert_eq!((&source["version"], &source["sha256"]), (&"1:1.2-3".into(), &digest.into()));
    assert_eq!(
        (&source["files"], &source["documents"], &source["paragraphs"]),
        (&1.into(), &1.into(), &1.into())
    );
    assert_eq!(source["text_bytes"], PARAGRAPH.len());
    let options = corruptor::documents::DocumentOptions::default();
    let (documents, _) = crate::helpers::read(&[home.path().join("out/manual.parquet")], &options).unwrap();
    assert_eq!(documents[0].text, PARAGRAPH);
}

#[cfg(target_os = "linux")]
#[test]
fn a_superseded_version_is_taken_only_when_asked_and_recorded() {
    let (apt, home) = (Apt::new("1.3-1"), tempdir().unwrap());
    let old = "0".repeat(64);
    let assert = apt.corpus(&home, "1.2-3", &old, &[]).assert().code(1);
    assert.stderr(
        predicate::str::contains("revertant-manual=1.2-3").and(predicate::str::contains("--allow-changed")),
    );
    let assert = apt.corpus(&home, "1.2-3", &old, &["--allow-changed"]).assert().success();
    assert.stdout(predicate::str::contains("CHANGED").and(predicate::str::contains("1.3-1")));
    let source = source(&home);
    assert_eq!((&source["changed"], &source["version"]), (&true.into(), &"1.3-1".into()));
    assert_eq!(source["sha256"], sha256(&apt.deb));
    // The same version as another file.
    let assert = apt.corpus(&home, "1.3-1", &old, &["--force"]).assert().code(1);
    assert.stderr(predicate::str::contains("revertant-manual=1.3-1 has SHA-256"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_package_that_debian_does_not_have_is_named() {
    let (apt, home) = (Apt::new("1"), tempdir().unwrap());
    let sources = |name: &str| {
        format!(
            "[[corpus.sources]]\nkind = 'deb'\nname = 'x'\npackage = '{name}'\nversion = '1'\nsha256 = '{}'\nlicence = 'MIT'\n",
            "0".repeat(64)
        )
    };
    for arguments in [&[][..], &["--allow-changed"]] {
        let mut command = corpus(home.path(), &sources("revertant-nonesuch"), arguments);
        command
            .env("APT_CONFIG", apt.configuration())
            .assert()
            .code(1)
            .stderr(predicate::str::contains("revertant-nonesuch"));
    }
}

#[test]
fn a_missing_client_is_an_error_that_says_what_to_install() {
    let home = tempdir().unwrap();
    let empty = home.path().join("empty");
    fs::create_dir_all(home.path().join("mods.d")).unwrap();
    fs::create_dir_all(home.path().join("modules/x")).unwrap();
    fs::create_dir(&empty).unwrap();
    fs::write(home.path().join("mods.d/x.conf"), "[X]\nDataPath=./modules/x/\nModDrv=zText\n").unwrap();
    fs::write(home.path().join("x.rda"), "").unwrap();
    let package = format!("package = 'x'\nversion = '1'\nsha256 = '{}'", "0".repeat(64));
    for (keys, parts) in [
        (format!("kind = 'npm'\n{package}"), ["x@1", "Node.js"]),
        (format!("kind = 'pypi'\n{package}"), ["x==1", "python3-pip"]),
        (format!("kind = 'deb'\n{package}"), ["x=1", "apt"]),
        (
            "kind = 'path'\npath = 'mods.d/x.conf'\nextract = 'sword'".to_owned(),
            ["mods.d/x.conf", "libsword-utils"],
        ),
        ("kind = 'path'\npath = 'x.rda'\nextract = 'rdata'".to_owned(), ["x.rda", "rdata"]),
    ] {
        let sources = format!("[[corpus.sources]]\n{keys}\nname = 'x'\nlicence = 'MIT'\n");
        let assert = corpus(home.path(), &sources, &[]).env("PATH", &empty).assert().code(1);
        let said = predicate::str::contains(parts[0]).and(predicate::str::contains(parts[1]));
        assert.stderr(said.and(predicate::str::contains("does not start")));
    }
}

/// A wheel in a folder, where pip finds it without an index.
fn wheel(home: &TempDir) -> PathBuf {
    let folder = home.path().join("wheels");
    let content = home.path().join("content");
    fs::create_dir_all(content.join("revertant_letters-1.0.dist-info")).unwrap();
    fs::create_dir_all(content.join("letters")).unwrap();
    fs::create_dir_all(&folder).unwrap();
    fs::write(content.join("letters/a.txt"), "A letter in a wheel.").unwrap();
    fs::write(content.join("letters/b.py"), "print()").unwrap();
    let information = content.join("revertant_letters-1.0.dist-info");
    fs::write(information.join("METADATA"), "Metadata-Version: 2.1\nName: revertant-letters\nVersion: 1.0\n")
        .unwrap();
    fs::write(information.join("WHEEL"), "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        .unwrap();
    fs::write(information.join("RECORD"), "").unwrap();
    let wheel = folder.join("revertant_letters-1.0-py3-none-any.whl");
    run(Tool::new("python3")
        .args(["-m", "zipfile", "-c"])
        .arg(&wheel)
        .args(["letters", "revertant_letters-1.0.dist-info"])
        .current_dir(&content));
    wheel
}

#[test]
fn a_wheel_is_fetched_by_pip_and_held_to_its_digest() {
    let home = tempdir().unwrap();
    let wheel = wheel(&home);
    let collect = |package: &str, digest: &str| {
        let sources = format!(
            "[[corpus.sources]]\nkind = 'pypi'\nname = 'letters'\npackage = '{package}'\nversion = '1.0'\nsha256 = '{digest}'\n\
             include = 'letters/**'\nlicence = 'CC0-1.0'\n"
        );
        let mut command = corpus(home.path(), &sources, &["--force"]);
        command
            .env("PIP_NO_INDEX", "1")
            .env("PIP_FIND_LINKS", wheel.parent().unwrap())
            .env_remove("PIP_INDEX_URL");
        command
    };
    let digest = sha256(&wheel);
    collect("revertant-letters", &digest)
        .assert()
        .success()
        .stdout(predicate::str::contains("letters: 1 documents"));
    let source = source(&home);
    assert_eq!(
        (&source["kind"], &source["version"], &source["sha256"]),
        (&"pypi".into(), &"1.0".into(), &digest.clone().into())
    );
    let assert = collect("revertant-letters", &"0".repeat(64)).assert().code(1);
    assert.stderr(predicate::str::contains(format!("has SHA-256 {digest}, but the recipe pins 000")));
    let assert = collect("revertant-nonesuch", &digest).assert().code(1);
    assert.stderr(predicate::str::contains("cannot fetch revertant-nonesuch==1.0"));
}
