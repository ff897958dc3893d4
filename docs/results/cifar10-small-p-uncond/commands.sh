#!/bin/sh
# What made this report, from the repository's root, with CIFAR-10's binary batches in data/. The machine, two cores that others
# computed on too, stands in it: its speeds are no benchmark.
freeguide eval --model models/cifar10-small --model models/cifar10-small-p02 --model models/cifar10-small-p05 \
  --data data/cifar-10-batches-bin --recipe models/recipes/cifar10-small.toml --guidance 0,1,2,3,4 --samples 1000 --noise 4,8 \
  --features resnet56 --out runs/cifar-p
