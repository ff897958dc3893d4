#!/bin/sh
# The commands that made this report, run from the repository's root. Its speeds were measured on
# two cores that also did other work, so they are no benchmark.
cargo xtask data emoji64 data/emoji64
freeguide classifier --data data/emoji64 --recipe models/recipes/emoji16.toml --out runs/emoji16-classes.safetensors
freeguide eval --model models/emoji16 --model models/emoji16-p02 --model models/emoji16-p05 --data data/emoji64 \
  --recipe models/recipes/emoji16.toml --guidance 0,0.25,0.5,1,2,4 --steps 16 --samples 500 \
  --features runs/emoji16-classes.safetensors --out runs/emoji16-eval
