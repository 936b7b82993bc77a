"""What must hold, by the name of the figure."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple


class Bound(NamedTuple):
    """An upper limit of the ratio to plain Celery in the same run, or of firexkit's own value."""

    of: Literal["ratio", "value"]
    most: float

    def holds(self, value: float | None, ratio: float | None) -> bool | None:
        """Whether it does; None if it was not measured."""
        measured = ratio if self.of == "ratio" else value
        return None if measured is None else measured <= self.most


BOUNDS: Final[dict[str, Bound]] = {
    "no-op round trip, p50": Bound("ratio", 1.15),
    "broker commands per no-op": Bound("ratio", 0.8),
    "1,000 sent, then collected, per task": Bound("ratio", 1.0),
    "nested 10 deep, warm, per level": Bound("ratio", 1.0),
    "fan-out 1,000 unlimited, per child": Bound("ratio", 1.0),
    "fan-out 1,000, at most 15, per child": Bound("ratio", 0.7),
    "chain of 50, 100 KB, per link": Bound("ratio", 0.7),
    "wake after a 0 s child, median": Bound("value", 5),
    "wake after a 0 s child, worst": Bound("value", 20),
    "wake after a 0.3 s child, median": Bound("value", 5),
    "wake after a 0.3 s child, worst": Bound("value", 20),
    "wake after a 3 s child, median": Bound("value", 5),
    "wake after a 3 s child, worst": Bound("value", 20),
    "wake after 3 s to that after 0.3 s": Bound("value", 1.5),
    "any of 15, one ready": Bound("value", 10),
    "direct call, 20-key bag": Bound("ratio", 4),
    "direct call: with a 1 MB argument to without": Bound("value", 2),
    "verification, 50 links": Bound("value", 500),
    "verification: 200 links to 50": Bound("value", 4 * 1.25),
    "1,000 tasks forgotten: keys more than before": Bound("value", 0),
    "1,000 tasks forgotten: dataset memory more": Bound("value", 64),
    "forgetting among 100,000 foreign keys, per child": Bound("value", 1),
    "fan-out unlimited, per child: 1,000 to 100": Bound("value", 1.3),
    "fan-out, at most 15, per child: 1,000 to 100": Bound("value", 1.3),
    "50 blocked parents at 1 slot: pool afterwards": Bound("value", 1),
    "import of firexkit.task": Bound("ratio", 1.3),
    # Once a minute a waiting client asks the workers what is revoked: a few connections are opened for good then, and a
    # key with an end says that somebody has asked.
    "10,000 waits: clients more than before": Bound("value", 8),
    "10,000 waits: keys more than before": Bound("value", 1),
    "10,000 waits: channels more than before": Bound("value", 0),
    "10,000 waits: dataset memory more": Bound("value", 64),
}
