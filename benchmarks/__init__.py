"""Benchmarks: each prints what it measured and on what, beside its peers. `make bench` installs the peers and runs them."""
