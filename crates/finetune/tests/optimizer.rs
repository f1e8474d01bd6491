//! The optimizer against references.

use candle_core::{Device, Tensor, Var};
use finetune::optimizer::{
    AdamW, AdamWSettings, Gradients, MicroBatchGradients, Optimizer, RowGradients, reduce,
};
use finetune::settings::TrainSettings;
use finetune::workers::Workers;
use restorer::RowTable;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

fn close(a: &[f32], b: &[f32]) {
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= 2e-6 * b.abs().max(1.0), "{a} is not {b}");
    }
}

fn values(var: &Var) -> Vec<f32> {
    var.flatten_all().unwrap().to_vec1().unwrap()
}

/// `tests/fixtures/adamw_reference.py` follows the definition in the documentation of `torch.optim.AdamW`.
#[test]
fn adamw_matches_the_reference() {
    let reference: Value = serde_json::from_str(include_str!("fixtures/adamw_reference.json")).unwrap();
    let number = |key: &str| reference[key].as_f64().unwrap();
    let settings = AdamWSettings {
        beta1: number("beta1"),
        beta2: number("beta2"),
        epsilon: number("epsilon"),
        weight_decay: number("weight_decay"),
    };
    let var = |name: &str, shape: &[usize]| {
        Var::from_vec(numbers(&reference[name]["start"]), shape, &Device::Cpu).unwrap()
    };
    let (matrix, vector) = (var("matrix", &[2, 3]), var("vector", &[3]));
    let parameters = vec![("matrix".to_owned(), matrix.clone()), ("vector".to_owned(), vector.clone())];
    let mut adamw = AdamW::new(parameters, settings).unwrap();
    for step in 0..reference["matrix"]["steps"].as_array().unwrap().len() {
        let at = |name: &str| &reference[name]["steps"][step];
        // Doubled gradients at half the scale are the same gradients.
        let gradient = |name: &str, shape: &[usize]| {
            let doubled: Vec<f32> = numbers(&at(name)["gradients"]).iter().map(|g| 2.0 * g).collect();
            Tensor::from_vec(doubled, shape, &Device::Cpu).unwrap()
        };
        let gradients = [gradient("matrix", &[2, 3]), gradient("vector", &[3])];
        adamw.step(&gradients, 0.5, at("matrix")["rate"].as_f64().unwrap()).unwrap();
        close(&values(&matrix), &numbers(&at("matrix")["weights"]));
        close(&values(&vector), &numbers(&at("vector")["weights"]));
    }
}

fn part(loss: f64, dense: Option<[f32; 2]>, rows: Vec<(usize, RowGradients)>) -> MicroBatchGradients {
    let dense = dense.map(|values| Tensor::new(&values, &Device::Cpu).unwrap());
    MicroBatchGradients { loss, labels: 2, tokens: 10, dense: vec![dense], rows }
}

fn parameter() -> (String, Var) {
    ("w".to_owned(), Var::new(&[1.0f32, 1.0], &Device::Cpu).unwrap())
}

#[test]
fn micro_batches_are_summed_on_any_number_of_workers() {
    let tables = [RowTable::new("a", 2, vec![0.0; 8]), RowTable::new("b", 1, vec![0.0; 3])];
    let rows =
        |indices: &[u32], values: &[f32]| RowGradients { indices: indices.into(), values: values.into() };
    let parts = [
        part(1.0, Some([1.0, 2.0]), vec![(0, rows(&[3, 3], &[1.0, 2.0, 3.0, 4.0])), (1, rows(&[2], &[5.0]))]),
        part(2.0, None, vec![]),
        part(3.0, Some([10.0, 20.0]), vec![(0, rows(&[0, 3], &[7.0, 8.0, 10.0, 20.0]))]),
    ];
    for threads in [1, 3] {
        let workers = Workers::new(threads).unwrap();
        let sum: Gradients = reduce(&parts, &[parameter()], &tables, &workers, 1).unwrap();
        assert_eq!((sum.labels, sum.tokens), (6, 30));
        assert!((sum.loss - 6.0).abs() < 1e-12);
        assert_eq!(sum.dense[0].to_vec1::<f32>().unwrap(), [11.0, 22.0]);
        assert_eq!(sum.tables[0], rows(&[3, 0], &[14.0, 26.0, 7.0, 8.0]));
        assert_eq!(sum.tables[1], rows(&[2], &[5.0]));
        let squares =
            11.0f64.powi(2) + 22.0f64.powi(2) + 14.0f64.powi(2) + 26.0f64.powi(2) + 49.0 + 64.0 + 25.0;
        assert!((sum.norm().unwrap() - squares.sqrt()).abs() < 1e-4);
    }
}

#[test]
fn only_used_rows_change_and_every_row_has_its_own_rate() {
    let tables = [RowTable::new("a", 2, vec![1.0; 6])];
    let settings = TrainSettings { clip_norm: 1e9, ..TrainSettings::default() };
    let mut optimizer = Optimizer::new(vec![], &tables, &settings).unwrap();
    let gradients = Gradients {
        loss: 1.0,
        labels: 2,
        tokens: 1,
        dense: vec![],
        tables: vec![RowGradients { indices: vec![2, 0], values: vec![6.0, 8.0, 0.06, 0.08] }],
    };
    let norm = optimizer.step(&gradients, &tables, 0.1, 0.1).unwrap().unwrap();
    assert!((norm - 5.0).abs() < 1e-3, "{norm}");
    let weights = tables[0].to_vec();
    // Per label the gradient of row 2 is (3, 4): its mean square is 12.5, and row 0 has the same direction.
    let step = |g: f32| 1.0 - 0.1 * g / 12.5f32.sqrt();
    close(&weights, &[step(3.0), step(4.0), 1.0, 1.0, step(3.0), step(4.0)]);
    assert!((optimizer.tables.accumulators()[0][2] - 12.5).abs() < 1e-5);
    assert!(optimizer.tables.accumulators()[0][1].abs() < f32::EPSILON);
}

#[test]
fn long_gradients_are_clipped_as_a_whole() {
    let run = |factor: f32| {
        let (name, var) = parameter();
        let tables = [RowTable::new("a", 1, vec![0.0])];
        let settings = TrainSettings { clip_norm: 1.0, ..TrainSettings::default() };
        let mut optimizer = Optimizer::new(vec![(name, var)], &tables, &settings).unwrap();
        let gradients = Gradients {
            loss: 1.0,
            labels: 1,
            tokens: 1,
            dense: vec![Tensor::new(&[2.0 * factor, 4.0 * factor], &Device::Cpu).unwrap()],
            tables: vec![RowGradients { indices: vec![0], values: vec![4.0 * factor] }],
        };
        let norm = optimizer.step(&gradients, &tables, 0.1, 0.1).unwrap().unwrap();
        let first = optimizer.dense.moments().unwrap().remove(0).first;
        (norm, first, optimizer.tables.accumulators()[0][0])
    };
    let (norm, first, accumulator) = run(1.0);
    assert!((norm - 6.0).abs() < 1e-5);
    close(&first, &[0.1 * 2.0 / 6.0, 0.1 * 4.0 / 6.0]);
    assert!((accumulator - (4.0f32 / 6.0).powi(2)).abs() < 1e-5);
    let (norm, longer, _) = run(100.0);
    assert!((norm - 600.0).abs() < 1e-2);
    close(&longer, &first);
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    let (name, var) = parameter();
    let mut optimizer = Optimizer::new(vec![(name, var.clone())], &[], &TrainSettings::default()).unwrap();
    for (loss, gradient) in [(1.0, f32::NAN), (f64::INFINITY, 1.0)] {
        let dense = vec![Tensor::new(&[gradient, 1.0], &Device::Cpu).unwrap()];
        let gradients = Gradients { loss, labels: 1, tokens: 1, dense, tables: vec![] };
        assert_eq!(optimizer.step(&gradients, &[], 0.1, 0.1).unwrap(), None);
    }
    assert_eq!(values(&var), [1.0, 1.0]);
    assert_eq!(optimizer.dense.updates(), 0);
}
