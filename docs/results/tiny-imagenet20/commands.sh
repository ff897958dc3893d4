#!/bin/sh
# What made this report, from the repository's root. The machine, two cores that others computed on too, stands in it:
# its speeds are no benchmark.
freeguide classifier --data data/tiny-imagenet20/train --recipe models/recipes/tiny-imagenet20.toml --size 32 --epochs 40 --flip \
  --out runs/tiny20-classes.safetensors
freeguide eval --model models/tiny-imagenet20 --data data/tiny-imagenet20/train --recipe models/recipes/tiny-imagenet20.toml \
  --guidance 0,0.5,1,2,3,4 --samples 500 --noise 4,8,16,32 --features runs/tiny20-classes.safetensors,resnet56 --out runs/tiny-eval
