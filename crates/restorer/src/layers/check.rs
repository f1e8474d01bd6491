//! For the layers' tests: fused kernels against compositions, gradients against finite differences.

use std::sync::OnceLock;

use candle_core::{Device, Result, Tensor, Var};
use corruptor::RecordStream;

/// Where the layers are tested: `REVERTANT_TEST_DEVICE`, by default the processor.
fn device() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| {
        let name = std::env::var("REVERTANT_TEST_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
        name.parse::<crate::DeviceChoice>().unwrap().open().unwrap()
    })
}

/// Values in (−1, 1).
pub(crate) fn random(shape: &[usize], seed: u64) -> Tensor {
    let mut stream = RecordStream::for_purpose(seed, "layer test");
    let n = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|_| stream.below(2_000_001) as f32 / 1e6 - 1.0).collect();
    Tensor::from_vec(values, shape, device()).unwrap()
}

/// Σ output · fixed random weights, so that every output matters differently.
fn probe(output: &Tensor) -> Tensor {
    (output * random(output.dims(), 77)).unwrap().sum_all().unwrap()
}

fn gradients(f: &impl Fn(&[Tensor]) -> Result<Tensor>, inputs: &[Tensor]) -> Vec<Vec<f32>> {
    let vars: Vec<Var> = inputs.iter().map(|x| Var::from_tensor(x).unwrap()).collect();
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let grads = probe(&f(&tensors).unwrap()).backward().unwrap();
    let flat = |v: &Var| grads.get(v).expect("a gradient").flatten_all().unwrap().to_vec1().unwrap();
    vars.iter().map(flat).collect()
}

fn assert_close(a: &[f32], b: &[f32], tolerance: f32, what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + a.abs().max(b.abs())), "{what} {i}: {a} against {b}");
    }
}

/// Two functions have the same values and the same gradients at `inputs`.
pub(crate) fn assert_same(
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
    g: impl Fn(&[Tensor]) -> Result<Tensor>,
    inputs: &[Tensor],
    tolerance: f32,
) {
    let values = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_close(&values(f(inputs).unwrap()), &values(g(inputs).unwrap()), tolerance, "value");
    for (i, (a, b)) in gradients(&f, inputs).iter().zip(&gradients(&g, inputs)).enumerate() {
        assert_close(a, b, tolerance, &format!("gradient of input {i},"));
    }
}

/// The gradients agree with central differences.
pub(crate) fn assert_gradients(f: impl Fn(&[Tensor]) -> Result<Tensor>, inputs: &[Tensor]) {
    const STEP: f32 = 1e-2;
    for (i, analytic) in gradients(&f, inputs).into_iter().enumerate() {
        let values: Vec<f32> = inputs[i].flatten_all().unwrap().to_vec1().unwrap();
        let stride = (values.len() / 24).max(1);
        for at in (0..values.len()).step_by(stride) {
            let shifted = |by: f32| {
                let mut moved = values.clone();
                moved[at] += by;
                let mut inputs = inputs.to_vec();
                inputs[i] = Tensor::from_vec(moved, inputs[i].shape(), device()).unwrap();
                f64::from(probe(&f(&inputs).unwrap()).to_scalar::<f32>().unwrap())
            };
            let numeric = (shifted(STEP) - shifted(-STEP)) / f64::from(2.0 * STEP);
            let difference = (numeric - f64::from(analytic[at])).abs();
            assert!(
                difference < 5e-3 * (1.0 + numeric.abs()),
                "input {i} at {at}: {} against {numeric}",
                analytic[at]
            );
        }
    }
}
