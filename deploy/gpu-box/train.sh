#!/usr/bin/env bash
# From a bare Ubuntu machine with an NVIDIA driver to a running training: train.sh [OPTION...] [-- ARGUMENT...]
#
# Installs what is missing, builds, fetches the pairs and the run as the remote has it, trains, and pushes the run to the
# remote every few minutes. The same command again, here or on another box, goes on. README.md beside it tells more.
#
#   --repo URL             clone this repository and work there (default: the clone that this file lies in)
#   --ref REF              branch, tag or commit of it
#   --dir DIR              where to clone it to (default: ~/revertant)
#   --remote NAME|URL      DVC remote, or its URL, of the pairs and the checkpoints; `none` keeps everything here
#                          (default: the project's default remote)
#   --name NAME            the run's name in the remote (default: the last part of --out)
#   --recipe FILE          (default: recipes/default.toml)
#   --pairs DIR            (default: data/pairs)
#   --out DIR              (default: models/run)
#   --init MODEL           checkpoint to start from
#   --set TABLE.KEY=VALUE  override a key of the recipe; may come several times
#   --device cuda:N|cpu    (default: cuda:0)
#   --max-minutes N        stop training after N minutes, saved, with status 3
#   --push-every MINUTES   (default: 5)
#   --mlflow URI           show the run on an MLflow server
#   --bin-dir DIR          take the programs from this folder and build nothing
#   --shutdown             power the box off when the training has ended and everything is pushed
#   --stop                 end the training of --out on this box: it saves, pushes, and ends with status 3
#
# Paths are relative to the clone. What follows `--` goes to `finetune train` as it is. Options have environment
# variables, REVERTANT_REPO, REVERTANT_PUSH_EVERY and so on (REVERTANT_SHUTDOWN=1), but for --set and --stop.
#
# Exit status: 0 done, 1 failed, 2 used wrongly, 3 stopped by a signal or --max-minutes: saved, pushed, goes on.
set -euo pipefail

min_driver=580
# The status that is meant. What fails before there is one, with whatever status of its own, is a failure.
outcome=
on_exit() {
  local ended=$?
  [ -n "$outcome" ] || [ "$ended" -eq 0 ] || exit 1
}
trap on_exit EXIT

say() { echo "gpu-box: $*"; }
die() {
  echo "gpu-box: error: $*" >&2
  exit 1
}
usage() {
  sed -n '2,/^set /{s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
  outcome=$1
  exit "$1"
}

parse() {
  repo=${REVERTANT_REPO:-} ref=${REVERTANT_REF:-} dir=${REVERTANT_DIR:-$HOME/revertant}
  remote=${REVERTANT_REMOTE:-} name=${REVERTANT_NAME:-}
  recipe=${REVERTANT_RECIPE:-recipes/default.toml} pairs=${REVERTANT_PAIRS:-data/pairs} out=${REVERTANT_OUT:-models/run}
  init=${REVERTANT_INIT:-} device=${REVERTANT_DEVICE:-cuda:0} mlflow=${REVERTANT_MLFLOW:-}
  max_minutes=${REVERTANT_MAX_MINUTES:-} push_every=${REVERTANT_PUSH_EVERY:-5}
  bin_dir=${REVERTANT_BIN_DIR:-} shutdown=${REVERTANT_SHUTDOWN:-} stop=
  overrides=() rest=()
  in_clone=() # what a clone's own copy of this script is called with

  while [ $# -gt 0 ]; do
    case $1 in
      --) rest=("${@:2}") in_clone+=("$@") && break ;;
      --help | -h) usage 0 ;;
      --shutdown | --stop)
        printf -v "${1#--}" 1
        in_clone+=("$1") && shift && continue
        ;;
    esac
    [ $# -ge 2 ] || usage 2 >&2
    case $1 in
      --repo | --ref | --dir) printf -v "${1#--}" %s "$2" && shift 2 && continue ;;
      --set) overrides+=(--set "$2") ;;
      --remote | --name | --recipe | --pairs | --out | --init | --device | --mlflow | --max-minutes | --push-every | --bin-dir)
        option=${1#--}
        printf -v "${option//-/_}" %s "$2"
        ;;
      *) usage 2 >&2 ;;
    esac
    in_clone+=("$1" "$2")
    shift 2
  done
  out=${out%/} pairs=${pairs%/}
  if [ -n "$bin_dir" ]; then
    bin_dir=$(realpath "$bin_dir")
    export REVERTANT_BIN_DIR=$bin_dir # DVC's stages take it, too
  fi
  name=${name:-$(basename "$out")}
  scratch=$(dirname "$out")/.$(basename "$out").box.tmp
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Debian's package for a program that is not there.
packages=()
need() { command -v "$1" >/dev/null || packages+=("$2"); }

install_packages() {
  [ "${#packages[@]}" -gt 0 ] || return 0
  say "installing ${packages[*]}"
  # A new machine may be busy with its own updates for a while.
  as_root apt-get update --quiet=2 -o DPkg::Lock::Timeout=600
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install --quiet=2 --yes --no-install-recommends -o DPkg::Lock::Timeout=600 "${packages[@]}" >/dev/null
  packages=()
}

clone() {
  need git git
  [ -e /etc/ssl/certs/ca-certificates.crt ] || packages+=(ca-certificates)
  install_packages
  if [ -d "$dir/.git" ]; then
    git -C "$dir" fetch --quiet --tags origin
  else
    git clone --quiet "$repo" "$dir"
  fi
  [ -z "$ref" ] || git -C "$dir" checkout --quiet --detach "origin/$ref" 2>/dev/null ||
    git -C "$dir" checkout --quiet --detach "$ref"
  say "$dir is at $(git -C "$dir" log -1 --format='%h %s')"
}

check_driver() {
  local driver libraries gpu=${device#cuda:}
  local hint="Ubuntu: apt-get install nvidia-driver-$min_driver-server, then reboot; or train with --device cpu"
  command -v nvidia-smi >/dev/null || die "no nvidia-smi on the PATH, so no NVIDIA driver; $hint"
  driver=$(nvidia-smi --id="$gpu" --query-gpu=driver_version --format=csv,noheader) ||
    die "nvidia-smi does not know GPU $gpu: $driver"
  [ "${driver%%.*}" -ge "$min_driver" ] || die "NVIDIA's driver is $driver; CUDA 13.0 needs $min_driver or newer; $hint"
  libraries=$(ldconfig -p)
  [[ $libraries == *libcuda.so.1* ]] || die "ldconfig knows no libcuda.so.1, which comes with the driver; $hint"
  CUDA_COMPUTE_CAP=$(nvidia-smi --id="$gpu" --query-gpu=compute_cap --format=csv,noheader | tr -d '. ')
  export CUDA_COMPUTE_CAP
  say "GPU $gpu, compute capability $CUDA_COMPUTE_CAP, driver $driver"
}

install_tools() {
  need git git
  need curl curl
  need python3 python3
  [ -e /etc/ssl/certs/ca-certificates.crt ] || packages+=(ca-certificates)
  python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
  if [ -z "$bin_dir" ]; then
    need cc gcc
    need c++ g++
    need make make
    need cmake cmake
    need pkg-config pkg-config
  fi
  install_packages
  local venv
  venv=$(scripts/venv)
  PATH=$(cd "$venv/bin" && pwd):$PATH
  if [ -z "$bin_dir" ] && ! command -v cargo >/dev/null; then
    local rust
    rust=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    say "installing Rust $rust"
    curl --proto '=https' --tlsv1.2 --silent --show-error --fail https://sh.rustup.rs |
      sh -s -- -y --quiet --no-modify-path --profile minimal --default-toolchain "$rust" ||
      die "rustup could not install Rust $rust; install it and run again, or bring programs: --bin-dir"
  fi
}

# Sets `remote` to the name of a DVC remote, or to nothing.
choose_remote() {
  case $remote in
    none) remote= ;;
    "")
      remote=$(dvc config core.remote 2>/dev/null) ||
        die "no --remote, and the project has no default one: name a DVC remote or a URL, or say --remote none"
      ;;
    *://* | /*)
      dvc remote add --quiet --local --force gpu-box "$remote"
      remote='gpu-box'
      ;;
  esac
}

build() {
  if [ -z "$bin_dir" ]; then
    say "building finetune"
    bin_dir=$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-target}")
    if [ "$device" = cpu ]; then
      cargo build --locked --release --package finetune
    else
      scripts/cuda-build finetune
      bin_dir+=/cuda
      # shellcheck disable=SC1091
      source scripts/cuda-env.sh
      # Not its stubs: libcuda is the driver's.
      export LD_LIBRARY_PATH=$CUDA_HOME/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    fi
    bin_dir+=/release
  fi
  finetune=$bin_dir/finetune
  "$finetune" --version >/dev/null || die "$finetune does not start"
}

fetch_pairs() {
  local stage=no
  grep -q "^ *- $pairs\$" dvc.yaml && stage=yes
  if [ "$stage" = no ] && ! [ -e "$pairs.dvc" ]; then
    [ -d "$pairs/train" ] || die "$pairs is not here, and DVC does not track it; dvc add and dvc push it, or corruptor generate it"
    return
  fi
  if [ -n "$remote" ] && dvc pull --remote "$remote" "$pairs"; then return; fi
  [ "$stage" = yes ] || die "$pairs cannot be had from the remote ${remote:-(none)}; dvc push it from where it was made"
  say "the remote has no $pairs: making them"
  need npm npm
  install_packages
  dvc repro data
}

# Waits for a process, and goes on waiting where a signal came to this script meanwhile.
wait_for() {
  while kill -0 "$1" 2>/dev/null; do wait "$1" || true; done
  wait "$1"
}

train() {
  local command=("$finetune" train --recipe "$recipe" --pairs "$pairs" --out "$out" --device "$device" --resume)
  [ -z "$init" ] || command+=(--init "$init")
  [ -z "$max_minutes" ] || command+=(--max-minutes "$max_minutes")
  [ -z "$mlflow" ] || command+=(--mlflow "$mlflow")
  command+=("${overrides[@]}" "${rest[@]}")

  local trainer='' pusher='' told='' pushed=yes status=0
  trap 'told=yes; [ -z "$trainer" ] || kill -TERM "$trainer" 2>/dev/null || true' TERM INT
  say "training"
  # In a session of its own, so that Ctrl-C reaches it once, through the trap: a second signal would end it unsaved.
  # It is told to stop, too, where this script is killed.
  setsid setpriv --pdeathsig TERM "${command[@]}" </dev/null &
  trainer=$!
  [ -z "$told" ] || kill -TERM "$trainer"
  if [ -n "$remote" ]; then
    "${runs[@]}" follow --every "$push_every" --trainer "$trainer" &
    pusher=$!
  fi
  wait_for "$trainer" || status=$?
  if [ -n "$remote" ]; then
    kill "$pusher" 2>/dev/null || true
    wait "$pusher" || true
    "${runs[@]}" push || pushed=no
  fi
  case $status in
    0) say "done: $out" ;;
    3) say "stopped and saved; the same command goes on" ;;
    *)
      say "finetune ended with status $status"
      status=1
      ;;
  esac
  if [ "$pushed" = no ]; then
    say "the last state could not be pushed; it is in $out"
    status=1
  elif [ "$shutdown" = 1 ] && [ -z "$told" ]; then
    say "powering off"
    as_root shutdown -h now
  fi
  outcome=$status
  return "$status"
}

stop_training() {
  local process
  if ! [ -e "$scratch/lock" ] || flock --nonblock "$scratch/lock" true; then die "nothing trains in $out here"; fi
  process=$(cat "$scratch/pid")
  kill -TERM "$process" || die "its script has been killed; what it left in $out ends by itself"
  say "told $process to stop; it saves and pushes"
  flock "$scratch/lock" true
}

main() {
  # Start-up scripts of clouds run without it.
  export HOME=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}
  export PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH:/usr/sbin:/sbin
  parse "$@"
  if [ -n "$repo" ]; then
    clone
    unset REVERTANT_REPO
    exec "$dir/deploy/gpu-box/train.sh" "${in_clone[@]}"
  fi
  cd "$(dirname "${BASH_SOURCE[0]}")/../.."
  [ -f dvc.yaml ] || die "this file does not lie in a clone; name one with --repo URL"
  [ -z "$stop" ] || { stop_training && return; }

  mkdir -p "$scratch"
  exec 9>"$scratch/lock"
  flock --nonblock 9 || die "another train.sh, or a trainer that it left, works in $out"
  echo $$ >"$scratch/pid"

  [ "$device" = cpu ] || check_driver
  install_tools
  choose_remote
  build
  fetch_pairs
  runs=(python3 deploy/gpu-box/runs.py --remote "$remote" --name "$name" --out "$out" --scratch "$scratch")
  runs+=(--box "$(uname -n)-$$-$(date +%s)")
  [ -z "$remote" ] || "${runs[@]}" pull
  train
}

main "$@"
