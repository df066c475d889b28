"""What a crowd costs: pure arithmetic on Decimal dollars.

Amazon's price list (requester.mturk.com/pricing), which the marketplace keeps:

| fee | on |
| --- | --- |
| 20 % | every reward and bonus |
| another 20 % | rewards of HITs with 10 or more assignments |
| another 5 % | rewards of HITs that ask for Masters |
| at least $0.01 | each assignment or bonus |

Whether cents are rounded for each assignment or for the sum is not published. Here each
assignment's fee is rounded up, so the figure is an upper bound: "at most".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

CENT = Decimal("0.01")
BASE_RATE = Decimal("0.20")
MANY_RATE = Decimal("0.20")
MASTERS_RATE = Decimal("0.05")
MANY = 10


@dataclass(frozen=True)
class Cost:
    """Dollars for a number of assignments."""

    reward: Decimal
    fees: Decimal

    @property
    def total(self) -> Decimal:
        """Reward and fees."""
        return self.reward + self.fees


def fee_rate(assignments: int, *, masters: bool) -> Decimal:
    """The share of the reward that is added as a fee, for a HIT with so many assignments."""
    rate = BASE_RATE
    if assignments >= MANY:
        rate += MANY_RATE
    if masters:
        rate += MASTERS_RATE
    return rate


def assignment_fee(reward: Decimal, assignments: int, *, masters: bool) -> Decimal:
    """The fee for one assignment: its rate rounded up to a cent, one cent at least."""
    fee = reward * fee_rate(assignments, masters=masters)
    return max(fee.quantize(CENT, rounding=ROUND_CEILING), CENT)


def bonus_fee(amount: Decimal) -> Decimal:
    """The fee for one bonus."""
    return max((amount * BASE_RATE).quantize(CENT, rounding=ROUND_CEILING), CENT)


def cost_of(sizes: Iterable[int], reward: Decimal, *, masters: bool) -> Cost:
    """What HITs of the given numbers of assignments cost when every assignment is approved."""
    total = Cost(Decimal("0.00"), Decimal("0.00"))
    for size, number in Counter(sizes).items():
        part = cost(number, size, reward, masters=masters)
        total = Cost(total.reward + part.reward, total.fees + part.fees)
    return total


def cost(hits: int, assignments: int, reward: Decimal, *, masters: bool) -> Cost:
    """What a number of equal HITs costs when every assignment is approved."""
    count = hits * assignments
    fee = assignment_fee(reward, assignments, masters=masters)
    return Cost((count * reward).quantize(CENT), (count * fee).quantize(CENT))
