"""A trained map: its arrays, what they say in short, and its pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nnspec.analysis.figures.draw import png
from nnspec.analysis.figures.maps import (
    DPI,
    MapAxis,
    boundary_dimension,
    convergence_info,
    names_info,
    numbers_info,
    plot_convergence,
    plot_names,
    plot_numbers,
)
from nnspec.diagnostics import VERDICTS
from nnspec.errors import Fault, NnspecError
from nnspec.intervals import wilson_interval
from nnspec.maps.axes import Axis, stated
from nnspec.maps.reducing import UNTRAINED, Arrays
from nnspec.results.arrays import quantity, unit_of
from nnspec.specs import RunSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = ("convergence", "final_loss", "verdict", "solved_at")  # of replicates also solve_rate
SHARES = ("solved", "converged")  # what counts are of


@dataclass(frozen=True)
class Map:
    """A map over ``x_axis`` and ``y_axis`` of ``spec``, whose seeds each pixel has. Arrays are [y, x], the first row
    that of the lowest y; where a pixel has not trained they have NaN, -1 or an empty name.

    ``run_id`` is its MLflow run, empty without tracking. It prints as the command line does; a notebook shows its first
    picture.
    """

    spec: RunSpec
    x_axis: Axis
    y_axis: Axis
    arrays: Arrays
    run_id: str = ""

    @property
    def x(self) -> np.ndarray:
        """[x] the values of the x axis."""
        return self.x_axis.values

    @property
    def y(self) -> np.ndarray:
        """[y] the values of the y axis."""
        return self.y_axis.values

    @property
    def final_loss(self) -> np.ndarray:
        """[y, x] final losses; of replicates their median."""
        return self._plane("final_loss")

    @property
    def convergence(self) -> np.ndarray:
        """[y, x] below 0 where training converged, above where it diverged, and near 0 where it did so fast: see
        ``maps.reducing.convergence``."""
        return self._plane("convergence")

    @property
    def solved_at(self) -> np.ndarray:
        """[y, x] updates to solve, of replicates their median over those that are solved; -1 where none is."""
        return self._plane("solved_at")

    @property
    def verdict(self) -> np.ndarray:
        """[y, x] names, of replicates the most common."""
        return np.array([*VERDICTS, *[""] * (UNTRAINED + 1 - len(VERDICTS))])[self._plane("verdict")]

    @property
    def trained(self) -> np.ndarray:
        """[y, x] bool: false where training was broken off before."""
        return self._plane("verdict") != UNTRAINED

    def rate(self, of: str = "solved", confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """[y, x] each: the share of a pixel's networks that are 'solved' or 'converged', and the limits of Wilson's
        interval; NaN where nothing has trained.

        Raises:
            NnspecError: it is of something else.
        """
        if of not in SHARES:
            raise NnspecError(Fault("of", f"must be one of {', '.join(SHARES)}", f"'{of}'", "choose one"))
        networks, found = self.spec.replicates, self._plane(of)
        shares = np.arange(networks + 1) / networks
        share, low, high = (np.where(self.trained, some[found], np.nan) for some in (shares, *self.limits(confidence)))
        return share, low, high

    def limits(self, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """[replicates + 1] each: Wilson's limits of a share, by how many of a pixel's networks it counts."""
        networks = self.spec.replicates
        return wilson_interval(np.arange(networks + 1), networks, confidence)

    @property
    def converged(self) -> np.ndarray:
        """[y, x] bool: where training converged; of replicates, of most."""
        return self._plane("converged") > self.spec.replicates / 2

    @cached_property
    def boundary_dimension(self) -> float:
        """The box-counting dimension of the boundary between pixels whose networks converged (of replicates: most of
        them) and others; NaN where there is none, or pixels have not trained."""
        return boundary_dimension(self.converged) if self.trained.all() else math.nan

    def figure(self, of: str = "convergence") -> Figure:
        """A picture of the map: of its 'convergence', 'final_loss', 'verdict', 'solved_at' or 'solve_rate'.

        Raises:
            NnspecError: it is of something else.
        """
        x, y = (MapAxis(axis.key, axis.values, axis.log) for axis in (self.x_axis, self.y_axis))
        title = f"{self._title()}\n{self._name()}"
        if of == "convergence":
            return plot_convergence(convergence_info(x, y, self.convergence), f"Converged or diverged{title}")
        if of == "verdict":
            return plot_names(names_info(x, y, self._plane("verdict"), VERDICTS), f"Verdicts{title}")
        if of == "solve_rate":
            return plot_numbers(numbers_info(x, y, self.rate()[0], 0.0, 1.0), f"Solve rates{title}", "solve rate")
        if of not in PICTURES:
            rule = f"must be one of {', '.join((*PICTURES, 'solve_rate'))}"
            raise NnspecError(Fault("of", rule, f"'{of}'", "choose one"))
        values = np.asarray(self._plane(of), float)
        with np.errstate(divide="ignore", invalid="ignore"):
            powers = np.log10(np.where(values > 0, values, np.nan) if of == "solved_at" else values)
        said = {"final_loss": "Final losses", "solved_at": f"{unit_of(self.spec).title()}s to solve"}[of]
        return plot_numbers(numbers_info(x, y, powers), f"{said}{title}", said.lower(), log=True)

    @property
    def pictures(self) -> tuple[str, ...]:
        """What the map is filed with pictures of."""
        return (*PICTURES, "solve_rate") if self.spec.replicates > 1 else PICTURES

    def picture(self, of: str) -> bytes:
        """A picture as a PNG file."""
        return png(self.figure(of), DPI)

    @property
    def shares(self) -> dict[str, float]:
        """Of all networks that trained, the share that is solved and the share that converged."""
        networks = max(1, int(self.trained.sum()) * self.spec.replicates)
        return {name: int(self.arrays[name].sum(dtype=np.int64)) / networks for name in SHARES}

    @property
    def figures(self) -> dict[str, float]:
        """What a claim of a study can measure of it, as its run has it among the metrics."""
        shares = {f"{name}_share": share for name, share in self.shares.items()}
        return {"boundary_dimension": self.boundary_dimension, **shares}

    @property
    def verdicts(self) -> dict[str, int]:
        """Verdict -> pixels, the most common first."""
        counts = np.bincount(self.arrays["verdict"], minlength=UNTRAINED + 1)
        found = {name: int(count) for name, count in zip(VERDICTS, counts, strict=False) if count}
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def info(self) -> dict[str, Any]:
        """What it says in short, in plain values."""
        return {
            "axes": stated((self.x_axis, self.y_axis)),
            "pixels": len(self.arrays["verdict"]),
            "pixels_trained": int(self.trained.sum()),
            "replicates": self.spec.replicates,
            "spec": self.spec.to_mapping(),
            **self.figures,
            "verdicts": self.verdicts,
        }

    def __repr__(self) -> str:
        done, all_ = int(self.trained.sum()), len(self.arrays["verdict"])
        missing = f" ({all_ - done:,} not trained)" if done < all_ else ""
        each = f" of {self.spec.replicates} networks each" if self.spec.replicates > 1 else ""
        lines = [f"map         {self._name()}: {all_:,} pixels{each}{missing}"]
        if not done:
            return lines[0]
        dimension = self.boundary_dimension
        told = "" if np.isnan(dimension) else f"; its boundary's box-counting dimension is {dimension:.2f}"
        lines += [
            f"converged   {_percent(self.shares['converged'])}{told}",
            f"final loss  {quantity(self.arrays['final_loss'][self.trained.ravel()])}",
            f"solved      {_percent(self.shares['solved'])}",
            f"verdict     {', '.join(f'{name} {_percent(n / done)}' for name, n in self.verdicts.items())}",
        ]
        return "\n".join(lines)

    def _repr_png_(self) -> bytes:
        return self.picture("convergence")

    def _plane(self, name: str) -> np.ndarray:
        return self.arrays[name].reshape(self.y_axis.count, self.x_axis.count)

    def _name(self) -> str:
        return f"{self.x_axis} by {self.y_axis}"

    def _title(self) -> str:
        return f" (of {self.spec.replicates} networks a pixel)" if self.spec.replicates > 1 else ""


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"
