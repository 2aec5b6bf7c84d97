"""A module that can't be imported."""

application = 1 / 0
