//! What the hardware could do, beside what the run makes of it.

use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor};

use crate::workers::Workers;

/// Floating-point operations that a model's training spends on one token, forward and backward.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlopsPerToken(pub f64);

/// Dense peaks in bfloat16 of GPUs, by a part of their names; what is more special stands first.
const GPU_PEAKS: [(&str, f64); 22] = [
    ("GB200", 2500e12),
    ("B200", 2250e12),
    ("H200", 989e12),
    ("GH200", 989e12),
    ("H100 PCIE", 756e12),
    ("H100 NVL", 835e12),
    ("H100", 989e12),
    ("H800", 989e12),
    ("A100", 312e12),
    ("A800", 312e12),
    ("A40", 150e12),
    ("A30", 165e12),
    ("A10G", 70e12),
    ("A10", 125e12),
    ("L40S", 362e12),
    ("L40", 181e12),
    ("L4", 121e12),
    ("RTX 6000 ADA", 364e12),
    ("RTX 5090", 210e12),
    ("RTX 4090", 165e12),
    ("RTX 4080", 97e12),
    ("RTX 3090", 71e12),
];

/// Rows of the square matrices that measure a CPU.
const SIDE: usize = 384;
/// How long they are multiplied, after a warm-up.
const MEASURED: Duration = Duration::from_millis(120);

/// The device that a run is on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Machine {
    /// Its peak, in floating-point operations a second; none: not known.
    pub peak_flops: Option<f64>,
}

impl Machine {
    /// The machine behind `device`: `given`, else measured on the threads of `workers` (CPU, in float32), else known by its name (GPU,
    /// dense, in bfloat16).
    pub fn of(device: &Device, workers: &Workers, given: Option<f64>) -> Self {
        let found = || if device.is_cpu() { cpu_peak(workers) } else { gpu_peak(&gpu_name(device)?) };
        Self { peak_flops: given.or_else(found) }
    }

    /// Achieved FLOP/s over the peak.
    pub fn utilization(&self, flops: FlopsPerToken, tokens_per_second: f64) -> Option<f64> {
        self.peak_flops.map(|peak| flops.0 * tokens_per_second / peak)
    }
}

/// FLOP/s of float32 matrix products, all workers at once.
fn cpu_peak(workers: &Workers) -> Option<f64> {
    let measure = |until: Duration| -> candle_core::Result<f64> {
        let a = Tensor::ones((SIDE, SIDE), DType::F32, &Device::Cpu)?;
        let started = Instant::now();
        let mut products = 0_u32;
        while products == 0 || started.elapsed() < until {
            a.matmul(&a)?;
            products += 1;
        }
        Ok(f64::from(products) * 2.0 * (SIDE as f64).powi(3) / started.elapsed().as_secs_f64())
    };
    let tries = vec![(); workers.threads()];
    let measured = workers.map(&tries, |_, ()| {
        measure(MEASURED / 4)?;
        measure(MEASURED)
    });
    measured.into_iter().sum::<candle_core::Result<f64>>().ok()
}

fn gpu_peak(name: &str) -> Option<f64> {
    let name = name.to_uppercase();
    GPU_PEAKS.iter().find(|(part, _)| name.contains(part)).map(|(_, peak)| *peak)
}

#[cfg(feature = "cuda")]
fn gpu_name(device: &Device) -> Option<String> {
    device.as_cuda_device().ok()?.cuda_stream().context().name().ok()
}

#[cfg(not(feature = "cuda"))]
fn gpu_name(_: &Device) -> Option<String> {
    None
}

/// The most memory that this process has held, in bytes; none where the system does not tell.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_is_measured_and_a_number_given_goes_first() {
        let workers = Workers::new(2).unwrap();
        let measured = Machine::of(&Device::Cpu, &workers, None).peak_flops.unwrap();
        assert!((1e8..1e15).contains(&measured), "{measured}");
        let given = Machine::of(&Device::Cpu, &workers, Some(2e12));
        let share = given.utilization(FlopsPerToken(6e6), 100_000.0).unwrap();
        assert!((share - 0.3).abs() < 1e-12);
    }

    #[test]
    fn gpus_are_known_by_name() {
        assert_eq!(gpu_peak("NVIDIA H100 80GB HBM3"), Some(989e12));
        assert_eq!(gpu_peak("NVIDIA H100 PCIe"), Some(756e12));
        assert_eq!(gpu_peak("NVIDIA A100-SXM4-40GB"), Some(312e12));
        assert_eq!(gpu_peak("NVIDIA L40S"), Some(362e12));
        assert_eq!(gpu_peak("NVIDIA L4"), Some(121e12));
        assert_eq!(gpu_peak("NVIDIA GeForce RTX 4090"), Some(165e12));
        assert_eq!(gpu_peak("Voodoo 2"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn peak_memory_is_that_of_a_process() {
        let peak = peak_memory_bytes().unwrap();
        assert!(peak > 1 << 20 && peak < 1 << 40, "{peak}");
    }
}
