//! `corruptor score`, from the outside.

use std::fs;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Float64Type;
use assert_cmd::Command;
use corruptor::likelihood::{Likelihood, RowChoice, ScoreOptions, score_pairs};
use corruptor::progress::unobserved;
use corruptor::{CorruptSettings, Event, replay};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::helpers::{some, text, write_parquet};

fn program() -> Command {
    Command::cargo_bin("corruptor").unwrap()
}

/// Pairs of the default channel, one part of a split, with their recipe.
fn generated(home: &std::path::Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let (recipe, input, out) = (home.join("r.toml"), home.join("in.parquet"), home.join("pairs"));
    fs::write(&recipe, "[corpus]\nvalid_share = 0.0\ntest_share = 0.0\n[corrupt]\nlevels = [0.5, 2.0]\n")
        .unwrap();
    write_parquet(&input, &[("text", some(&[text(1), text(2)]))]);
    let mut command = program();
    command.arg("generate").arg("--recipe").arg(&recipe).arg("--input").arg(&input).arg("--out").arg(&out);
    command.assert().success();
    (recipe, out.join("train"))
}

#[test]
fn scores_and_logs_are_written_in_both_forms() {
    let home = tempfile::tempdir().unwrap();
    let (recipe, pairs) = generated(home.path());
    let run = |out: &str, rows: &str| {
        let mut command = program();
        command.arg("score").arg(&pairs).arg("--recipe").arg(&recipe).args([
            "--rows",
            rows,
            "--explain",
            "--out",
        ]);
        let output = command.arg(home.path().join(out)).assert().success().get_output().stdout.clone();
        String::from_utf8(output).unwrap()
    };
    let summary = run("scores.jsonl", "all");
    assert!(summary.contains("0 of them impossible") && summary.contains("level 2: 0."), "{summary}");
    let lines = fs::read_to_string(home.path().join("scores.jsonl")).unwrap();
    let originals: Vec<_> =
        corruptor::pairs::read_pairs(&pairs).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(lines.lines().count(), originals.len());
    for (line, pair) in lines.lines().zip(&originals) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["id"], pair.id);
        let events: Vec<Event> = serde_json::from_value(line["events"].clone()).unwrap();
        assert_eq!(replay(&pair.original, &events).unwrap(), pair.corrupted);
        assert!(
            line["explained_ln_probability"].as_f64().unwrap()
                <= line["ln_probability"].as_f64().unwrap() + 1e-9
        );
    }
    run("scores.parquet", "odd");
    let file = fs::File::open(home.path().join("scores.parquet")).unwrap();
    let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut rows = 0;
    for batch in batches.map(Result::unwrap) {
        let scores = batch.column_by_name("ln_probability").unwrap().as_primitive::<Float64Type>();
        assert!(scores.iter().all(|ln| ln.unwrap() < 0.0));
        assert!(batch.column_by_name("first_impossible").unwrap().null_count() == batch.num_rows());
        rows += batch.num_rows();
    }
    assert_eq!(rows, originals.len() / 2);
}

#[test]
fn an_impossible_pair_is_named_with_its_byte() {
    let home = tempfile::tempdir().unwrap();
    let (correct, out) = (home.path().join("real.parquet"), home.path().join("pairs"));
    let texts = |list: &[&str]| some(&list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
    write_parquet(
        &correct,
        &[("correct", texts(&["hello world", "same"])), ("corrupted", texts(&["hellö world", "same"]))],
    );
    let mut import = program();
    import.arg("import").arg("--correct").arg(&correct).arg("--out").arg(&out).args(["--split", "test"]);
    import.assert().success();
    let recipe = home.path().join("r.toml");
    fs::write(&recipe, "").unwrap();
    let mut command = program();
    command.arg("score").arg(out.join("test")).arg("--recipe").arg(&recipe);
    let output = command.assert().success().get_output().clone();
    let (stdout, stderr) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(stdout.contains("2 pairs, 1 of them impossible"), "{stdout}");
    assert!(stderr.contains("row 0") && stderr.contains("from byte 4 on"), "{stderr}");
    let escaped = CorruptSettings { escape: 1e-4, ..CorruptSettings::default() };
    let likelihood = Likelihood::new(&escaped).unwrap();
    let options = ScoreOptions { rows: RowChoice::Even, ..ScoreOptions::default() };
    let summary =
        score_pairs(&out.join("test"), &likelihood, &options, &mut unobserved, &mut |_| Ok(())).unwrap();
    assert_eq!((summary.pairs, summary.impossible), (1, 0));
}
