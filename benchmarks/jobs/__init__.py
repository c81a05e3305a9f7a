"""Benchmark jobs: each runs in a process, and for a peer in an environment, of its own, and prints one JSON object."""
