#!/bin/sh
# The commands that made this report, run from the repository's root. Its speeds were measured on
# two cores that also did other work, so they are no benchmark.
cargo xtask data emoji64 data/emoji64
freeguide classifier --data data/emoji64 --recipe models/recipes/emoji16.toml --out runs/emoji16-classes.safetensors
freeguide eval --model models/emoji16 --data data/emoji64 --recipe models/recipes/emoji16.toml --guidance 1 \
  --steps 4,8,16,32 --sampler ancestral,ddim,dpm++2m,heun --samples 500 \
  --features runs/emoji16-classes.safetensors --out runs/emoji16-samplers
