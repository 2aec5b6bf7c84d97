"""Benchmarks, run by hand: `make bench`. pytest collects none of them.

`python -m tests.benchmarks` compares with peers, `.growth` shows how cost grows and `.knobs` what
settings bring; `.tasks` and `.imports` print more of their parts.

Bottom to top: `project` holds the servers; `frames` what they speak; `peers` and `sites` start
them; `connections`, `loads`, `fanout` and `holding` are what the process of `generator` does;
`measuring` and `whole` have it done, and what they find goes into `figures`, is compared with
`targets` and is shown by `report`.
"""
