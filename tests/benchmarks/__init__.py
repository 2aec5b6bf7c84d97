"""Benchmarks, run by hand: `python -m tests.benchmarks.tasks`. pytest collects none of them."""
