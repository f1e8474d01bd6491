//! Affine maps, with the low-rank updates of `LoRA` where the parameters say so.

use std::sync::{Arc, OnceLock};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Storage, Tensor};

use super::adapter::Adapter;
use super::kernel::{has_kernel, slice, with_values};
use super::params::{Init, Params};
use super::pass::Pass;
use super::product::{Int8Matrix, Operands, PackedMatrix, View, matmul};
use crate::error::RestoreError;

/// y = x Wᵀ (+ b) (+ a low-rank update), with the weight `[out, in]` as in the Hugging Face layout.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Weight,
    bias: Option<Tensor>,
    adapter: Option<Adapter>,
}

#[derive(Clone, Debug)]
enum Weight {
    /// As it is.
    Float {
        tensor: Tensor,
        frozen: bool,
        /// A frozen weight as products with few rows read it, once there is one: as much memory again.
        packed: Arc<OnceLock<Option<PackedMatrix>>>,
    },
    /// Frozen, in 8 bits.
    Int8(Arc<Int8Matrix>),
}

/// Rows up to which a frozen weight is packed once and kept: so few are the next tokens of texts that are written.
const FEW_ROWS: usize = 64;

impl Linear {
    /// Reads or makes `weight`.
    ///
    /// # Errors
    /// If the parameter is missing or has another shape.
    pub fn new(
        params: &mut Params,
        input: usize,
        output: usize,
        init: Init,
    ) -> std::result::Result<Self, RestoreError> {
        let tensor = params.get("weight", &[output, input], init)?;
        let adapter = params.adapter(input, output)?;
        if params.rounds() {
            let matrix = with_values(&tensor, |values| Int8Matrix::new((output, input), values))?;
            params.release("weight");
            return Ok(Self { weight: Weight::Int8(Arc::new(matrix)), bias: None, adapter });
        }
        Ok(Self { adapter, ..Self::of_weight(tensor, params.is_frozen()) })
    }

    /// Reads or makes `weight` and `bias` (zero at first).
    ///
    /// # Errors
    /// If a parameter is missing or has another shape.
    pub fn with_bias(
        params: &mut Params,
        input: usize,
        output: usize,
        init: Init,
    ) -> std::result::Result<Self, RestoreError> {
        let bias = Some(params.get("bias", &[output], Init::Constant(0.0))?);
        Ok(Self { bias, ..Self::new(params, input, output, init)? })
    }

    /// With a weight that is there already, as a tied output layer has it.
    pub fn of_weight(tensor: Tensor, frozen: bool) -> Self {
        Self { weight: Weight::Float { tensor, frozen, packed: Arc::default() }, bias: None, adapter: None }
    }

    /// `[n, in]` → `[n, out]`, in the type of `x`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let mut y = self.weight.multiply(x, pass.operands())?;
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(&bias.to_dtype(y.dtype())?)?;
        }
        match &self.adapter {
            Some(adapter) => y + adapter.forward(x, pass)?,
            None => Ok(y),
        }
    }

    /// Several maps of the same `x`, their outputs side by side: `[n, in]` → `[n, Σ out]`. Where `x` has rows enough, their
    /// weights are joined for one large product.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward_together(maps: &[&Self], x: &Tensor, pass: &Pass) -> Result<Tensor> {
        /// Rows from which copying the weights pays.
        const JOIN_FROM_ROWS: usize = 128;
        let plain: Option<Vec<(&Tensor, bool)>> = maps
            .iter()
            .map(|map| match &map.weight {
                Weight::Float { tensor, frozen, .. } if map.bias.is_none() && map.adapter.is_none() => {
                    Some((tensor, *frozen))
                }
                _ => None,
            })
            .collect();
        if let Some(plain) = plain.filter(|_| x.dims().first().is_some_and(|rows| *rows >= JOIN_FROM_ROWS)) {
            let (weights, frozen): (Vec<&Tensor>, Vec<bool>) = plain.into_iter().unzip();
            let frozen = frozen.into_iter().all(|frozen| frozen);
            return product(x, &Tensor::cat(&weights, 0)?, frozen, pass.operands());
        }
        let outputs = maps.iter().map(|map| map.forward(x, pass)).collect::<Result<Vec<_>>>()?;
        Tensor::cat(&outputs, 1)
    }
}

impl Weight {
    /// x Wᵀ, in the type of `x`.
    fn multiply(&self, x: &Tensor, operands: Operands) -> Result<Tensor> {
        match self {
            Self::Int8(matrix) => x.contiguous()?.apply_op1_no_bwd(&Rounded(matrix)),
            Self::Float { tensor, frozen, packed } => {
                let serves = *frozen && x.dim(0)? <= FEW_ROWS && operands == Operands::Float32;
                match if serves { few_rows(x, tensor, packed)? } else { None } {
                    Some(few) => x.contiguous()?.apply_op1_no_bwd(&few),
                    None => product(x, tensor, *frozen, operands),
                }
            }
        }
    }
}

/// The product with a packed weight, where one serves `x`, and no gradient is asked for.
fn few_rows<'w>(
    x: &Tensor,
    weight: &'w Tensor,
    packed: &'w OnceLock<Option<PackedMatrix>>,
) -> Result<Option<FewRows<'w>>> {
    let (output, input) = weight.dims2()?;
    if x.track_op() || !has_kernel(x) || !has_kernel(weight) || x.dim(1)? != input {
        return Ok(None);
    }
    if packed.get().is_none() {
        let new = with_values(weight, |values| {
            let view = View { values, row: 1, col: input };
            PackedMatrix::new(Operands::Float32, (input, output), view)
        })?;
        // Whoever was faster has packed the same.
        let _ = packed.set(new);
    }
    Ok(packed.get().and_then(Option::as_ref).map(|packed| FewRows { weight, packed }))
}

/// x Wᵀ. A frozen weight gets no gradient, and none is computed.
pub(super) fn product(x: &Tensor, weight: &Tensor, frozen: bool, operands: Operands) -> Result<Tensor> {
    let (x, weight) = (x.contiguous()?, weight.to_dtype(x.dtype())?);
    if frozen {
        x.apply_op1(FrozenProduct { weight: weight.contiguous()?, operands })
    } else {
        x.apply_op2(&weight.contiguous()?, Product { operands })
    }
}

/// x Wᵀ with the gradient of W in W's own layout.
struct Product {
    operands: Operands,
}

/// x Wᵀ for a W that needs no gradient.
struct FrozenProduct {
    weight: Tensor,
    operands: Operands,
}

/// x Wᵀ for a packed W.
struct FewRows<'w> {
    weight: &'w Tensor,
    packed: &'w PackedMatrix,
}

/// x Wᵀ for a W of 8 bits.
struct Rounded<'w>(&'w Int8Matrix);

/// x Wᵀ on any device, by the library.
fn multiply<S: BackendStorage>(x: &S, xl: &Layout, w: &S, wl: &Layout) -> Result<(S, Shape)> {
    let (n, input, output) = sizes(xl, wl)?;
    let product = x.matmul(w, (1, n, output, input), xl, &wl.transpose(0, 1)?)?;
    Ok((product, (n, output).into()))
}

/// x Wᵀ on the CPU, by our kernel where the values are float32.
fn multiply_cpu(
    operands: Operands,
    (x, xl): (&CpuStorage, &Layout),
    (w, wl): (&CpuStorage, &Layout),
) -> Result<(CpuStorage, Shape)> {
    if !matches!((x, w), (CpuStorage::F32(_), CpuStorage::F32(_))) {
        return multiply(x, xl, w, wl);
    }
    let (n, input, output) = sizes(xl, wl)?;
    let x = View { values: slice(x, xl)?, row: input, col: 1 };
    let w = View { values: slice(w, wl)?, row: 1, col: input };
    let mut out = vec![0.0; n * output];
    matmul(operands, (n, input, output), x, w, 1.0, (&mut out, output), false);
    Ok((CpuStorage::F32(out), (n, output).into()))
}

fn sizes(xl: &Layout, wl: &Layout) -> Result<(usize, usize, usize)> {
    let (n, input) = xl.shape().dims2()?;
    let (output, width) = wl.shape().dims2()?;
    if input != width {
        candle_core::bail!("a map of {width} values was given {input}");
    }
    Ok((n, input, output))
}

/// The gradient of x: g W.
fn gradient_of_input(operands: Operands, grad: &Tensor, w: &Tensor) -> Result<Tensor> {
    if !has_kernel(grad) {
        return grad.matmul(w);
    }
    let ((n, output), input) = (grad.dims2()?, w.dim(1)?);
    let mut dx = vec![0.0; n * input];
    with_values(grad, |g| {
        with_values(w, |w| {
            let (g, w) = (View { values: g, row: output, col: 1 }, View { values: w, row: input, col: 1 });
            matmul(operands, (n, output, input), g, w, 1.0, (&mut dx, input), false);
        })
    })??;
    Tensor::from_vec(dx, (n, input), grad.device())
}

/// The gradient of W: gᵀ x.
fn gradient_of_weight(operands: Operands, grad: &Tensor, x: &Tensor) -> Result<Tensor> {
    if !has_kernel(grad) {
        return grad.t()?.matmul(x);
    }
    let ((n, output), input) = (grad.dims2()?, x.dim(1)?);
    let mut dw = vec![0.0; output * input];
    with_values(grad, |g| {
        with_values(x, |x| {
            let (g, x) = (View { values: g, row: 1, col: output }, View { values: x, row: input, col: 1 });
            matmul(operands, (output, n, input), g, x, 1.0, (&mut dw, input), false);
        })
    })??;
    Tensor::from_vec(dw, (output, input), grad.device())
}

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        multiply_cpu(self.operands, (x, xl), (w, wl))
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        w: &CudaStorage,
        wl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        multiply(x, xl, w, wl)
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let dx = gradient_of_input(self.operands, &grad, w)?;
        Ok((Some(dx), Some(gradient_of_weight(self.operands, &grad, x)?)))
    }
}

impl CustomOp1 for FrozenProduct {
    fn name(&self) -> &'static str {
        "linear-frozen"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (weight, wl) = self.weight.storage_and_layout();
        match &*weight {
            Storage::Cpu(weight) => multiply_cpu(self.operands, (x, xl), (weight, wl)),
            _ => candle_core::bail!("a linear map and its input live on different devices"),
        }
    }

    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout) -> Result<(CudaStorage, Shape)> {
        let (weight, wl) = self.weight.storage_and_layout();
        match &*weight {
            Storage::Cuda(weight) => multiply(x, xl, weight, wl),
            _ => candle_core::bail!("a linear map and its input live on different devices"),
        }
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        gradient_of_input(self.operands, &grad.contiguous()?, &self.weight).map(Some)
    }
}

impl CustomOp1 for FewRows<'_> {
    fn name(&self) -> &'static str {
        "linear-few-rows"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, input) = xl.shape().dims2()?;
        let output = self.weight.dim(0)?;
        let mut out = vec![0.0; n * output];
        self.packed.multiply(n, View { values: slice(x, xl)?, row: input, col: 1 }, &mut out);
        Ok((CpuStorage::F32(out), (n, output).into()))
    }
}

impl CustomOp1 for Rounded<'_> {
    fn name(&self) -> &'static str {
        "linear-int8"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout) -> Result<(CpuStorage, Shape)> {
        let ((rows, width), (input, output)) = (xl.shape().dims2()?, self.0.sizes());
        if width != input {
            candle_core::bail!("a map of {input} values was given {width}");
        }
        Ok((CpuStorage::F32(self.0.multiply(slice(x, xl)?)), (rows, output).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, assert_same, random};
    use super::*;

    #[test]
    fn products_and_their_gradients_are_those_of_matmul() {
        let inputs = [random(&[7, 12], 3), random(&[5, 12], 4)];
        let composed = |v: &[Tensor]| v[0].matmul(&v[1].t()?);
        assert_same(|v| product(&v[0], &v[1], false, Operands::Float32), composed, &inputs, 1e-5);
        assert_gradients(|v| product(&v[0], &v[1], false, Operands::Float32), &inputs);
        let weight = inputs[1].clone();
        let frozen = |v: &[Tensor]| product(&v[0], &weight, true, Operands::Float32);
        assert_same(frozen, |v| v[0].matmul(&weight.t()?), &inputs[..1], 1e-5);
    }

    #[test]
    fn few_rows_of_a_frozen_map_have_the_bits_of_many() {
        let map = Linear::of_weight(random(&[40, 70], 1), true);
        let x = random(&[FEW_ROWS + 1, 70], 2);
        let all: Vec<Vec<f32>> = map.forward(&x, &Pass::plain()).unwrap().to_vec2().unwrap();
        for rows in [1, 5, FEW_ROWS] {
            let few = map.forward(&x.narrow(0, 0, rows).unwrap(), &Pass::plain()).unwrap();
            assert_eq!(few.to_vec2::<f32>().unwrap(), all[..rows]);
        }
        assert!(map.forward(&random(&[2, 69], 3), &Pass::plain()).is_err());
    }

    #[test]
    fn joined_maps_give_what_each_gives() {
        let maps = [random(&[4, 6], 1), random(&[3, 6], 2)].map(|w| Linear::of_weight(w, true));
        let maps: Vec<&Linear> = maps.iter().collect();
        for rows in [5, 300] {
            let x = random(&[rows, 6], 9);
            let joined = Linear::forward_together(&maps, &x, &Pass::plain()).unwrap();
            let alone = |map: &&Linear| map.forward(&x, &Pass::plain()).unwrap();
            let alone = Tensor::cat(&maps.iter().map(alone).collect::<Vec<_>>(), 1).unwrap();
            let difference = (joined - alone).unwrap().abs().unwrap().max_all().unwrap();
            assert!(difference.to_scalar::<f32>().unwrap() < 1e-5);
        }
    }
}
