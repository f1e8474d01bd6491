# Sets up what a CUDA build needs, without a GPU and without NVIDIA's installer: source scripts/cuda-env.sh
#
# NVIDIA publishes the toolkit as Python wheels. They are laid out here as the one folder that nvcc and cudarc look for.
# Version 13.0 runs with drivers from 580 on. Building only: at run time the programs want libcuda from the driver, and
# libcudart, libcublas and libcurand of CUDA 13.
#
#   CUDA_COMPUTE_CAP       what to generate code for (default: 90, H100 and H200)
#   REVERTANT_CUDA_ROOT    where to lay it out (default: ~/.cache/revertant-cuda), or a toolkit that is installed
#
# Run `cargo fetch` first: the stub of libcuda is made from the names in the source of cudarc.

revertant_cuda_wheels=(
  nvidia-cuda-nvcc==13.0.88
  nvidia-nvvm==13.0.88
  nvidia-cuda-crt==13.0.88
  nvidia-cuda-runtime==13.0.96
  nvidia-cuda-cccl==13.0.85
  nvidia-cuda-nvrtc==13.0.88
  nvidia-cublas==13.0.2.14
  nvidia-curand==10.4.0.35
)

revertant_cuda_layout() {
  local root=$1 part library name
  python3 -m pip install --quiet --upgrade --no-deps --no-compile --root-user-action=ignore --target "$root/wheels" \
    "${revertant_cuda_wheels[@]}" || return 1

  mkdir -p "$root/include" "$root/lib/stubs" || return 1
  for part in bin nvvm; do ln -sfn "$root/wheels/nvidia/cu13/$part" "$root/$part"; done
  ln -sf "$root"/wheels/nvidia/cu13/include/* "$root/include/"
  ln -sfn lib "$root/lib64"
  for library in "$root"/wheels/nvidia/cu13/lib/*; do
    name=$(basename "$library")
    ln -sfn "$library" "$root/lib/$name"
    # The wheels lack the unversioned names that a linker asks for.
    case $name in *.so.*) [ -e "$root/lib/${name%%.so.*}.so" ] || ln -sfn "$library" "$root/lib/${name%%.so.*}.so" ;; esac
  done
  revertant_stub driver 'cu[A-Z]' libcuda.so.1 "$root/lib/stubs/libcuda.so" || return 1
  touch "$root/.complete"
}

# No wheel has libcuda, which comes with the driver, and NCCL's is 300 MB. The linker only needs their names; each stub answers
# CUDA_ERROR_STUB_LIBRARY (34).
revertant_stub() {
  local part=$1 prefix=$2 soname=$3 stub=$4 bindings
  bindings=$(find "${CARGO_HOME:-$HOME/.cargo}"/registry/src -path "*/cudarc-0.19.*/src/$part/sys/mod.rs" | sort | tail -n 1)
  if [ -z "$bindings" ]; then
    echo "scripts/cuda-env.sh: no source of cudarc 0.19 found; run cargo fetch first" >&2
    return 1
  fi
  grep -ohE "\\b$prefix[A-Za-z0-9_]+\\b" "$bindings" | sort -u | sed 's/.*/int &(void) { return 34; }/' |
    cc -x c -shared -fPIC -w -Wl,-soname,"$soname" -o "$stub" -
}

revertant_cuda_root=${REVERTANT_CUDA_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/revertant-cuda}
revertant_cuda_installed() { [ -x "$1/bin/nvcc" ] && ! [ -d "$1/wheels" ]; }
[ -e "$revertant_cuda_root/.complete" ] || revertant_cuda_installed "$revertant_cuda_root" ||
  revertant_cuda_layout "$revertant_cuda_root" || return 1

if [ -d "$revertant_cuda_root/wheels" ] && ! [ -e "$revertant_cuda_root/lib/stubs/libnccl.so" ]; then
  revertant_stub nccl 'nccl[A-Z]' libnccl.so.2 "$revertant_cuda_root/lib/stubs/libnccl.so" || return 1
fi

export CUDA_HOME=$revertant_cuda_root CUDA_PATH=$revertant_cuda_root CUDA_ROOT=$revertant_cuda_root
export CUDA_TOOLKIT_ROOT_DIR=$revertant_cuda_root
export PATH="$revertant_cuda_root/bin:$PATH"
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90}
