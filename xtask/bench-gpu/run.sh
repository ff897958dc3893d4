#!/bin/sh
# Runs the measurements with the Node that lies beside this file, and prints a page of Markdown.
cd "$(dirname "$0")" && exec ./node bench.mjs "$@"
