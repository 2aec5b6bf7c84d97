"""Curves as a picture."""

from collections.abc import Mapping
from pathlib import Path

Curves = Mapping[str, Mapping[int, float]]


def draw(pictures: Mapping[str, Curves], path: Path) -> None:
    """One plot for each name, both axes logarithmic, into one SVG."""
    # It is not there in the suite's environment.
    import matplotlib  # noqa: PLC0415

    matplotlib.use("svg")
    # Text stays text.
    matplotlib.rcParams["svg.fonttype"] = "none"
    # The same figures make the same file.
    matplotlib.rcParams["svg.hashsalt"] = "benchmarks"
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(2, 2, figsize=(11, 10), layout="constrained")
    for plot, (name, curves) in zip(axes.flat, pictures.items(), strict=True):
        for label, points in curves.items():
            plot.plot([*points], [*points.values()], marker="o", label=label)
        plot.set(xlabel=name, xscale="log", yscale="log")
        plot.grid(visible=True, alpha=0.3)
        # Above, where no curve is.
        plot.legend(fontsize="small", loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    figure.savefig(path, metadata={"Date": None})
