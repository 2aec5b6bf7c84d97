"""The Django project of the benchmarks: one set of models, served by this library and its peers."""
