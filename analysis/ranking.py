"""All methods on one scale: Bradley-Terry with ties, with an effect of the place.

Davidson (1970), with a factor for places (Davidson and Beaver 1977) and extended to three images:
method i in place p has log-worth b_i + g_p, "no clear winner" has d_k + the mean of the log-worths
of the k methods shown, and votes are drawn by the softmax of these. Rao and Kupper (1967), for two
images: P(left) = 1/(1 + exp(h - x)), P(right) = 1/(1 + exp(h + x)), the rest is ties, where x is
the difference of log-worths with the place's effect, and h = log(theta).

b is fitted by Newton's method (Fisher scoring); standard errors come from the sandwich, clustered
by comparison and by worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse, special, stats

from analysis.intervals import Clusters, Floats, Interval, two_way_variance
from analysis.tally import Group, Tally, tallies

Model = Literal["davidson", "rao-kupper"]
STEPS = 200
CLOSE = 1e-9
"""Of the gradient, by vote: where the fit has converged."""


class NotRanked(ValueError):
    """The votes allow no finite strengths, or the fit did not converge; the message says why."""


@dataclass(frozen=True)
class Strength:
    """A method's place on the common scale."""

    method: str
    worth: float
    """All methods' sum to 1."""
    log_worth: float
    """Less the mean of all methods'."""
    interval: Interval | None
    """Of `log_worth`."""


@dataclass(frozen=True)
class Ranking:
    """All methods of one question, the strongest first."""

    question: str
    model: Model
    strengths: tuple[Strength, ...]
    place: float | None
    """Log-worth that the first place (left) adds over the last; None where it can't be told."""
    place_interval: Interval | None
    tie: float | None
    """Davidson's nu or Rao and Kupper's theta, of two images; None without such ties."""
    log_likelihood: float
    votes: int


@dataclass(frozen=True)
class Cell:
    """Votes on methods in one order."""

    order: tuple[int, ...]
    """Methods, from the first place."""
    counts: Floats
    """For each place, then for no clear winner."""


@dataclass(frozen=True)
class Fit:
    """Maximum likelihood estimates."""

    values: Floats
    names: tuple[str, ...]
    """`b:i` of the methods but the first, `place:k:p`, `tie:k`."""
    information: Floats
    log_likelihood: float


def rank(frame: pd.DataFrame, question: str, *, level: float, model: Model = "davidson") -> Ranking:
    """Strengths of all methods that met in a question.

    Args:
        frame: votes that count.
        question: its key.
        level: confidence level.
        model: of ties.

    Raises:
        NotRanked: the comparisons do not connect the methods, every vote was a tie, or the fit
            did not converge.
    """
    asked = frame[frame["question"] == question].reset_index(drop=True)
    groups = list(tallies(asked))
    if model == "rao-kupper":
        groups = [each for each in groups if len(each[0].methods) == 2]
    methods = tuple(dict.fromkeys(name for group, _ in groups for name in group.methods))
    cells, of_vote = _cells(groups, methods)
    fitted = fit(cells, len(methods), model=model, names=methods)
    scores = np.concatenate([_scores(fitted, cell, model) for cell in cells])
    rows = np.concatenate([tally.rows for _, tally in groups])
    votes = asked.iloc[rows]
    names = ("comparison", "prompt_id", "worker")
    of = Clusters.of(*(pd.factorize(votes[name])[0] for name in names))
    terms = scores[of_vote] @ np.linalg.inv(fitted.information)
    return _ranking(question, model, methods, fitted, terms, of, level)


def fit(
    cells: Sequence[Cell], methods: int, *, model: Model = "davidson", names: Sequence[str] = ()
) -> Fit:
    """Fit a tie model to counted votes.

    Args:
        cells: votes by the order of the methods shown; at least two methods.
        methods: how many there are.
        model: of ties.
        names: of the methods, for messages.

    Raises:
        NotRanked: as `rank`.
    """
    _connected(cells, methods, names or [str(number) for number in range(methods)])
    parameters = _parameters(cells, methods)
    if model == "rao-kupper" and "tie:2" not in parameters:
        model = "davidson"  # without ties both are Bradley and Terry's
    values = np.zeros(len(parameters))
    if model == "rao-kupper":
        values[parameters.index("tie:2")] = 0.5
    votes = sum(float(cell.counts.sum()) for cell in cells)
    best, gradient, information = _likelihood(cells, values, parameters, model)
    for _ in range(STEPS):
        if np.abs(gradient).max() < CLOSE * votes:
            return Fit(values, parameters, information, best)
        if np.linalg.cond(information) > 1e12:
            break
        step = np.linalg.solve(information, gradient)
        size = 1.0
        while size > 1e-6:
            found = _likelihood(cells, values + size * step, parameters, model)
            if found[0] >= best - 1e-12 * abs(best):
                break
            size /= 2
        values = values + size * step
        best, gradient, information = found
    raise NotRanked("the fit of the strengths did not converge")


def _cells(
    groups: Sequence[tuple[Group, Tally]], methods: tuple[str, ...]
) -> tuple[list[Cell], NDArray[np.intp]]:
    """Votes by order shown, and for each vote (in the order of the groups) its row of scores."""
    cells: list[Cell] = []
    of_vote, rows = [], 0
    for group, tally in groups:
        size = len(group.methods)
        known = np.array([methods.index(name) for name in group.methods])
        orders, of = np.unique(tally.places, axis=0, return_inverse=True)
        place = tally.chosen_places
        counts = np.zeros((len(orders), size + 1))
        np.add.at(counts, (of, place), 1)
        cells += [
            Cell(tuple(int(m) for m in known[order]), count)
            for order, count in zip(orders, counts, strict=True)
        ]
        of_vote.append(rows + of * (size + 1) + place)
        rows += len(orders) * (size + 1)
    return cells, np.concatenate(of_vote)


def _connected(cells: Sequence[Cell], methods: int, names: Sequence[str]) -> None:
    """Strengths are finite where every method, by a chain, did not always lose to any other."""
    if methods < 2:
        raise NotRanked("there is only one method")
    if not any(cell.counts[:-1].sum() for cell in cells):
        raise NotRanked("every vote saw no clear winner")
    beaten = np.zeros((methods, methods))
    for cell in cells:
        for place, winner in enumerate(cell.order):
            for other in cell.order:
                if other != winner:
                    beaten[winner, other] += cell.counts[place] + cell.counts[-1]
    groups, of = sparse.csgraph.connected_components(
        (beaten > 0).astype(np.float64), directed=True, connection="strong"
    )
    if groups > 1:
        parts = [
            ", ".join(n for n, g in zip(names, of, strict=True) if g == k) for k in range(groups)
        ]
        raise NotRanked(
            f"the votes do not connect all methods ({' / '.join(parts)}): one always won, or they "
            "never met, so there are no finite strengths"
        )


def _parameters(cells: Sequence[Cell], methods: int) -> tuple[str, ...]:
    names = [f"b:{number}" for number in range(1, methods)]
    for size in (2, 3):
        own = [cell for cell in cells if len(cell.order) == size]
        orders = {cell.order for cell in own}
        if any(order[::-1] in orders for order in orders):
            names += [f"place:{size}:{place}" for place in range(size - 1)]
        if any(cell.counts[-1] for cell in own):
            names.append(f"tie:{size}")
    return tuple(names)


def _design(cell: Cell, parameters: tuple[str, ...]) -> Floats:
    """What each parameter adds to the log-worth of each place, and to that of a tie."""
    size = len(cell.order)
    design = np.zeros((size + 1, len(parameters)))
    for place, method in enumerate(cell.order):
        if method:
            design[place, parameters.index(f"b:{method}")] = 1
        if f"place:{size}:{place}" in parameters:
            design[place, parameters.index(f"place:{size}:{place}")] = 1
    design[size] = design[:size].mean(axis=0)
    if f"tie:{size}" in parameters:
        design[size, parameters.index(f"tie:{size}")] = 1
    return design


def _outcomes(
    cell: Cell, values: Floats, parameters: tuple[str, ...], model: Model
) -> tuple[Floats, Floats]:
    """Log-probability of each outcome, and its gradient `(outcomes, parameters)`."""
    design = _design(cell, parameters)
    size = len(cell.order)
    if model == "rao-kupper":
        return _rao_kupper(design, values, parameters.index("tie:2"))
    worth = design @ values
    if f"tie:{size}" not in parameters:
        worth[size] = -np.inf
    logs = worth - special.logsumexp(worth)
    return logs, design - np.exp(logs) @ design


def _rao_kupper(design: Floats, values: Floats, tie: int) -> tuple[Floats, Floats]:
    ahead = design[0] - design[1]
    x, h = float(ahead @ values), float(values[tie])
    if h <= 0:
        return np.full(3, -np.inf), np.zeros((3, len(values)))
    left, right = special.expit(x - h), special.expit(-x - h)
    logs = np.array([np.log(left), np.log(right), np.log(left * right * np.expm1(2 * h))])
    gradient = np.stack([(1 - left) * ahead, -(1 - right) * ahead, (right - left) * ahead])
    grow = 2 * np.exp(2 * h) / np.expm1(2 * h)
    gradient[:, tie] = [-(1 - left), -(1 - right), -(1 - left) - (1 - right) + grow]
    return logs, gradient


def _likelihood(
    cells: Sequence[Cell], values: Floats, parameters: tuple[str, ...], model: Model
) -> tuple[float, Floats, Floats]:
    """Log-likelihood, gradient and expected information."""
    total, gradient = 0.0, np.zeros(len(values))
    information = np.zeros((len(values), len(values)))
    for cell in cells:
        logs, slopes = _outcomes(cell, values, parameters, model)
        seen = cell.counts > 0
        total += float(cell.counts[seen] @ logs[seen])
        gradient += cell.counts @ slopes
        chances = cell.counts.sum() * np.exp(logs)
        information += (slopes * chances[:, None]).T @ slopes
    return total, gradient, information


def _scores(fitted: Fit, cell: Cell, model: Model) -> Floats:
    return _outcomes(cell, fitted.values, fitted.names, model)[1]


def _ranking(
    question: str,
    model: Model,
    methods: tuple[str, ...],
    fitted: Fit,
    terms: Floats,
    of: Clusters,
    level: float,
) -> Ranking:
    """Estimates with intervals; `terms` is what each vote adds to each parameter."""
    count = len(methods)
    logs = np.concatenate([[0.0], fitted.values[: count - 1]])
    centred = np.eye(count) - 1 / count
    by_method = np.column_stack([np.zeros(len(terms)), terms[:, : count - 1]]) @ centred
    worth = np.exp(logs - special.logsumexp(logs))
    strengths = [
        Strength(
            name,
            float(worth[number]),
            float((logs - logs.mean())[number]),
            _interval(float((logs - logs.mean())[number]), by_method[:, number], of, level),
        )
        for number, name in enumerate(methods)
    ]
    found = dict(zip(fitted.names, fitted.values, strict=True))
    place = next((name for name in found if name.startswith("place:") and name.endswith(":0")), "")
    tie = found.get("tie:2")
    return Ranking(
        question=question,
        model=model,
        strengths=tuple(sorted(strengths, key=lambda each: -each.worth)),
        place=float(found[place]) if place else None,
        place_interval=_interval(
            float(found[place]), terms[:, fitted.names.index(place)], of, level
        )
        if place
        else None,
        tie=None if tie is None else float(np.exp(tie)),
        log_likelihood=fitted.log_likelihood,
        votes=len(terms),
    )


def _interval(value: float, terms: Floats, of: Clusters, level: float) -> Interval | None:
    if of.why_none:
        return None
    spread = float(np.sqrt(two_way_variance(terms, of).value))
    reach = float(stats.t.ppf(0.5 + level / 2, of.smallest - 1)) * spread
    return Interval(value - reach, value + reach, "two-way clustered sandwich, t")
