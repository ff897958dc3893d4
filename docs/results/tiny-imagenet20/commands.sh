#!/bin/sh
# The commands that made this report, run from the repository's root. Its speeds were measured on
# two cores that also did other work, so they are no benchmark.
freeguide classifier --data data/tiny-imagenet20/train --recipe models/recipes/tiny-imagenet20.toml --size 32 --epochs 40 --flip \
  --out runs/tiny20-classes.safetensors
freeguide eval --model models/tiny-imagenet20 --data data/tiny-imagenet20/train --recipe models/recipes/tiny-imagenet20.toml \
  --guidance 0,0.5,1,2,3,4 --samples 500 --noise 4,8,16,32 --features runs/tiny20-classes.safetensors,resnet56 --out runs/tiny-eval
