#!/bin/sh
# What made this report, from the repository's root, with CIFAR-10's binary batches in data/. The machine, two cores that others
# computed on too, stands in it: its speeds are no benchmark.
freeguide eval --model models/cifar10-small --data data/cifar-10-batches-bin --recipe models/recipes/cifar10-small.toml \
  --guidance 3,4 --steps 12,16 --samples 2000 --noise 4,8,16 --features resnet56 --out runs/cifar10-small-steps
