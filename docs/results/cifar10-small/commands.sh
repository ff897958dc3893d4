#!/bin/sh
# The commands that made this report, run from the repository's root, with CIFAR-10's binary batches in data/. Its speeds were measured on
# two cores that also did other work, so they are no benchmark. The model's default was 16 steps then.
freeguide eval --model models/cifar10-small --data data/cifar-10-batches-bin --recipe models/recipes/cifar10-small.toml \
  --guidance 0,0.5,1,2,3,4 --steps 16 --samples 2000 --noise 4,8,16,32 --features resnet56,resnet20 --out runs/cifar-eval
