"""Tasks in numbers: whatever the way their facts came, and nothing of their values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from firexkit.journal.counters import BUCKETS, Counters
from firexkit.journal.model import Began, Blocked, Entry, Failed, Lost, Queued, Retried, Returned, Revoked, Value
from firexkit.journal.tree import Tree

NAME = "shop.buy"


def told(*facts):
    """The lines about tasks, with their numbers."""
    counters = Counters()
    for task in Tree(facts):
        counters.tell(task)
    lines = [line for line in counters.text().splitlines() if not line.startswith("#")]
    return dict(line.rsplit(" ", 1) for line in lines)


def one(*kinds, task="t", name=NAME):
    """A task whose attempts end so, each 2 seconds after it began."""
    facts = [Queued(at=0.0, task=task, name=name)]
    for number, kind in enumerate(kinds, 1):
        more = {"error": "E"} if kind is Failed else {}
        began = Began(at=10.0 * number, task=task, attempt=number, name=name)
        facts += [began, kind(at=10.0 * number + 2, task=task, attempt=number, **more)]
    return facts


def test_tasks_are_counted_by_name_and_state():
    numbers = told(*one(Returned), *one(Returned, task="u"), *one(Failed, task="v"), *one(task="w", name="other"))

    assert numbers['firexkit_tasks_ended_total{name="shop.buy",state="succeeded"}'] == "2"
    assert numbers['firexkit_tasks_ended_total{name="shop.buy",state="failed"}'] == "1"
    assert numbers['firexkit_tasks{name="other",state="queued"}'] == "1"


def test_retries_losses_and_revocations():
    numbers = told(*one(Retried, Retried, Lost, Returned), Revoked(at=9.0, task="t"))

    assert numbers['firexkit_task_retries_total{name="shop.buy"}'] == "2"
    assert numbers['firexkit_task_losses_total{name="shop.buy"}'] == "1"
    assert numbers['firexkit_tasks_revoked_total{name="shop.buy"}'] == "1"


def test_times_are_histograms():
    """In the queue until the first attempt, and of each attempt."""
    numbers = told(*one(Retried, Returned))

    assert numbers['firexkit_task_queue_seconds_sum{name="shop.buy"}'] == "10"
    assert numbers['firexkit_task_run_seconds_sum{name="shop.buy"}'] == "4"
    buckets = {bound: numbers[f'firexkit_task_run_seconds_bucket{{name="shop.buy",le="{bound}"}}'] for bound in (1, 5)}
    assert buckets == {1: "0", 5: "2"}
    assert numbers['firexkit_task_run_seconds_bucket{name="shop.buy",le="+Inf"}'] == "2"


def test_a_machine_whose_clock_is_behind_has_waited_no_time():
    numbers = told(Queued(at=9.0, task="t", name=NAME), Began(at=1.0, task="t", attempt=1, name=NAME))

    assert numbers['firexkit_task_queue_seconds_sum{name="shop.buy"}'] == "0"


def test_a_task_that_goes_on_is_counted_as_it_is_now():
    counters, facts = Counters(), one(Returned)
    texts = []
    for known in (facts[:1], facts[:2], facts):
        counters.tell(Tree(known).get("t"))
        texts.append([line for line in counters.text().splitlines() if "state=" in line])

    assert texts == [
        ['firexkit_tasks{name="shop.buy",state="queued"} 1'],
        ['firexkit_tasks{name="shop.buy",state="running"} 1'],
        ['firexkit_tasks_ended_total{name="shop.buy",state="succeeded"} 1'],
    ]


def test_what_a_run_came_to_stays_when_it_is_over():
    """What it left unfinished is no longer there."""
    counters, tree = Counters(), Tree([*one(Returned), *one(task="u")])
    for task in tree:
        counters.tell(task)
    counters.settle(task.id for task in tree)

    assert [line for line in counters.text().splitlines() if "state=" in line] == [
        'firexkit_tasks_ended_total{name="shop.buy",state="succeeded"} 1'
    ]


def test_a_name_of_any_letters_is_one_line():
    (line,) = told(Queued(at=0.0, task="t", name='a"b\\c\nd'))

    assert line == r'firexkit_tasks{name="a\"b\\c\nd",state="queued"}'


def test_values_and_messages_stay_inside():
    secret = Entry(name="password", value=Value(digest="d", preview="hunter2"))
    facts = [
        Began(at=1.0, task="t", attempt=1, name=NAME, arguments=(secret,)),
        Failed(at=2.0, task="t", attempt=1, error="E", message="hunter2", traceback="hunter2"),
    ]
    counters = Counters()
    counters.tell(Tree(facts).get("t"))

    assert "hunter2" not in counters.text()


TIMES = st.floats(0, 20_000)


@st.composite
def facts(draw):
    of = {"at": draw(TIMES), "task": draw(st.sampled_from("abc"))}
    body = {**of, "attempt": draw(st.integers(1, 3))}
    name = draw(st.sampled_from([NAME, "other"]))
    kinds = [
        *(Queued(**of, name=name), Began(**body, name=name), Blocked(**body), Returned(**body), Retried(**body)),
        *(Failed(**body, error="E"), Lost(**body), Revoked(**of)),
    ]
    return draw(st.sampled_from(kinds))


@given(st.lists(facts()), st.randoms(use_true_random=False))
def test_the_order_of_facts_does_not_matter(known, chance):
    """Nor that some come twice, nor when somebody counts."""
    again = [*known, *chance.sample(known, len(known) // 2)]
    chance.shuffle(again)
    tree, counters, at_once = Tree(), Counters(), Counters()
    for fact in again:
        tree.add(fact)
        counters.tell(tree.get(fact.task))
    for task in Tree(known):
        at_once.tell(task)

    assert counters.text() == at_once.text()


@given(st.lists(facts()))
def test_buckets_grow_to_the_count(known):
    numbers = told(*known)

    for line in [line for line in numbers if "_count" in line]:
        bucket = line.replace("_count", "_bucket").removesuffix("}")
        grown = [int(numbers[f'{bucket},le="{bound}"}}']) for bound in [*(f"{bound:g}" for bound in BUCKETS), "+Inf"]]
        assert grown == sorted(grown)
        assert grown[-1] == int(numbers[line])
