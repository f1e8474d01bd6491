//! `corruptor fit`, from the outside.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use corruptor::{AlphabetChoice, CorruptSettings, Recipe};
use predicates::prelude::*;
use predicates::str::contains;

fn program() -> Command {
    Command::cargo_bin("corruptor").unwrap()
}

/// Lines of which each third one has `rn` read as `m`, and each third one lost an `e`, as pairs.
fn real_pairs(home: &Path) -> PathBuf {
    let clean: Vec<String> =
        (0..80).map(|i| format!("The turn of line {i}: the modern reader yearns for corners.")).collect();
    let damaged = clean.iter().enumerate().map(|(i, line)| match i % 3 {
        0 => line.replacen("rn", "m", 1),
        1 => line.replacen("the ", "th ", 1),
        _ => line.clone(),
    });
    let (correct, corrupted) = (home.join("clean.txt"), home.join("scan.txt"));
    fs::write(&corrupted, damaged.collect::<Vec<_>>().join("\n")).unwrap();
    fs::write(&correct, clean.join("\n")).unwrap();
    let mut command = program();
    command.arg("import").arg("--correct").arg(correct).arg("--corrupted").arg(corrupted);
    command.args(["--split", "test", "--out"]).arg(home.join("real")).assert().success();
    home.join("real/test")
}

#[test]
fn a_fitted_recipe_scores_and_generates() {
    let home = tempfile::tempdir().unwrap();
    let (pairs, out, start) =
        (real_pairs(home.path()), home.path().join("fitted.toml"), home.path().join("start.toml"));
    let recipe = "[corpus]\nwindow_bytes = 300\n[corrupt]\nlevels = [1.0]\nseed = 5\n";
    fs::write(&start, recipe).unwrap();
    let fit = || {
        let mut command = program();
        command.arg("fit").arg(&pairs).arg("--out").arg(&out).arg("--recipe").arg(&start);
        command.args(["--rows", "even", "--set", "corrupt.reversal.rate=0"]);
        // What depends on a corpus is what fitting finds.
        command.args(["--set", "corrupt.alphabet=corpus", "--set", "corrupt.target_cer=0.02"]);
        command
    };
    fit().assert().success().stdout(contains("40 pairs").and(contains("converged")));
    fit().assert().failure().stderr(contains("fitted.toml exists already").and(contains("--force")));
    fit().arg("--force").assert().success();
    let text = fs::read_to_string(&out).unwrap();
    assert!(text.starts_with("# fitted to ") && text.contains("# deletion "), "{text}");
    let recipe = Recipe::parse(&text, "fitted").unwrap();
    let fitted: CorruptSettings = recipe.table("corrupt").unwrap();
    assert!(text.contains("window_bytes = 300"), "the other tables stay");
    assert_eq!((fitted.seed, fitted.levels.as_slice()), (5, [1.0].as_slice()));
    assert!(fitted.reversal.rate == 0.0 && fitted.escape > 0.0 && fitted.deletion.rate > 0.0);
    let AlphabetChoice::Weighted(alphabet) = &fitted.alphabet else { panic!("fitted") };
    assert!(alphabet.rows["r"].contains_key("m"), "{:?}", alphabet.rows);
    let score = |recipe: &Path| {
        let mut command = program();
        command.arg("score").arg(&pairs).args(["--rows", "odd", "--recipe"]).arg(recipe);
        command.args(["--set", "corrupt.escape=1e-4"]);
        let said = String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap();
        said.split("nats, ").nth(1).unwrap().split(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert!(score(&out) < score(&start), "a fitted recipe explains other pairs better");
    let generate = |set: &[&str]| {
        let mut command = program();
        command
            .arg("generate")
            .arg("--recipe")
            .arg(&out)
            .args(set)
            .arg("--input")
            .arg(home.path().join("clean.txt"));
        command.arg("--out").arg(home.path().join("pairs"));
        command
    };
    generate(&[]).assert().failure().stderr(contains("corrupt.escape"));
    generate(&["--set", "corrupt.escape=0"]).assert().success();
}

#[test]
fn what_cannot_be_fitted_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (pairs, out) = (real_pairs(home.path()), home.path().join("fitted.toml"));
    let fit = |arguments: &[&str]| {
        let mut command = program();
        command.arg("fit").arg(&pairs).arg("--out").arg(&out).args(arguments);
        command.assert().failure()
    };
    fit(&["--set", "corrupt.deletion.rat=0"]).stderr(contains("did you mean `rate`"));
    fit(&["--set", "corrupt.alphabet.custom=''"]).stderr(contains("corrupt.alphabet"));
    fit(&["--smoothing=-1"]).stderr(contains("out of range"));
    fit(&["--recipe", "nowhere.toml"]).stderr(contains("nowhere.toml"));
    assert!(!out.exists());
}
