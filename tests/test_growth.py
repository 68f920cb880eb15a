"""Growth: an input twice as large takes at most 2.3 times as long."""

import pytest
from growth_rows import ROWS, ratio

MOST = 2.3
"""Twice, and what caches and memory add."""


@pytest.mark.parametrize("name", ROWS)
def test_twice_as_much_takes_twice_as_long(name: str) -> None:
    n, make = ROWS[name]
    for attempt in range(4):  # larger each time: what is quadratic only shows the more
        found = ratio(make, n << attempt, 2, MOST, rounds=8)
        if found <= MOST:
            return
    pytest.fail(f"{found:.2f} times as long")
