#!/bin/sh
# The commands that made this report, run from the repository's root. Its speeds were measured on
# two cores that also did other work, so they are no benchmark. The classifier is that of docs/results/glyphs32/commands.sh.
freeguide eval --model models/glyphs32-fast --data data/glyphs/val --recipe models/recipes/glyphs32.toml \
  --guidance 0,0.5,1,2,4 --steps 4,2,1 --samples 620 --features runs/glyphs32-classes.safetensors \
  --out runs/glyphs32-fast-eval
