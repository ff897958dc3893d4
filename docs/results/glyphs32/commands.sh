#!/bin/sh
# The commands that made this report, run from the repository's root. Its speeds were measured on
# two cores that also did other work, so they are no benchmark.
freeguide classifier --data data/glyphs/train --recipe models/recipes/glyphs32.toml --size 16 --blocks 1 --epochs 8 \
  --out runs/glyphs32-classes.safetensors
# Against typefaces that were not trained on.
freeguide eval --model models/glyphs32 --data data/glyphs/val --recipe models/recipes/glyphs32.toml --guidance 0,0.5,1,2,4 \
  --steps 12 --samples 620 --noise 8,16 --blur 0.5,1 --features runs/glyphs32-classes.safetensors --out runs/glyphs32-eval
# Against those that were: authenticity, and the nearest training images (plots/nearest-training.png).
freeguide eval --model models/glyphs32 --data data/glyphs/train --recipe models/recipes/glyphs32.toml --guidance 2 \
  --steps 12 --samples 620 --features runs/glyphs32-classes.safetensors --out runs/glyphs32-train
