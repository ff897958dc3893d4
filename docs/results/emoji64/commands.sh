#!/bin/sh
# The commands that made this report, run from the repository's root. Its speeds were measured on
# two cores that also did other work, so they are no benchmark. The classifier is that of docs/results/emoji16/commands.sh.
freeguide eval --model models/emoji64 --data data/emoji64 --recipe models/recipes/emoji64.toml --guidance 0,0.5,1,2,4 \
  --samples 500 --noise 4,8,16 --features runs/emoji16-classes.safetensors --out runs/emoji64-eval
