#!/bin/sh
# What made this report, from the repository's root. The machine, two cores that others computed on too, stands in it:
# its speeds are no benchmark.
cargo xtask data emoji64 data/emoji64
freeguide classifier --data data/emoji64 --recipe models/recipes/emoji16.toml --out runs/emoji16-classes.safetensors
freeguide eval --model models/emoji16 --data data/emoji64 --recipe models/recipes/emoji16.toml --guidance 1 \
  --steps 4,8,16,32 --sampler ancestral,ddim,dpm++2m,heun --samples 500 \
  --features runs/emoji16-classes.safetensors --out runs/emoji16-samplers
