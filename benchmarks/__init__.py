"""What attnscope costs, beside its peers and beside doing without; ``python -m benchmarks`` measures all of it."""
