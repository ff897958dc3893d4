#!/bin/sh
# What made this report, from the repository's root. The machine, two cores that others computed on too, stands in it:
# its speeds are no benchmark. The classifier is that of docs/results/emoji16/commands.sh.
freeguide eval --model models/emoji64 --data data/emoji64 --recipe models/recipes/emoji64.toml --guidance 0,0.5,1,2,4 \
  --samples 500 --noise 4,8,16 --features runs/emoji16-classes.safetensors --out runs/emoji64-eval
