"""The project's channel layer, as a bell between processes that may fail at any time."""
