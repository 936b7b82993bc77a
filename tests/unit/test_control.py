"""Questions to workers: asked how often, with which arguments, and what counts as an answer."""

from types import SimpleNamespace

import pytest
import redis.exceptions
from celery import Celery
from celery.app.control import Inspect

import firexkit.inspect
from firexkit._celery.control import answer_or_none, as_arguments, ask_until_answered
from firexkit.inspect import inspect_with_retry


def answering(*answers):
    """A question that gets these answers, one a time; those that are errors are raised."""
    left = iter(answers)

    def question():
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return question


class EchoingApp:
    """An app all of whose inspect methods answer with what they were asked; the first answers may be missing."""

    def __init__(self, unanswered=0):
        self.unanswered = unanswered
        self.control = self

    def inspect(self, **options):
        return SimpleNamespace(**{name: self.method(name, options) for name in ("ping", *WRAPPERS.values())})

    def method(self, name, options):
        def ask(*args):
            if self.unanswered:
                self.unanswered -= 1
                return None
            return {"asked": name, "args": args, **options}

        return ask


WRAPPERS = {
    "get_active": "active",
    "get_reserved": "reserved",
    "get_scheduled": "scheduled",
    "get_revoked": "revoked",
    "get_active_queues": "active_queues",
    "get_task": "query_task",
    "ping": "ping",
}


@pytest.mark.parametrize(("wrapper", "method"), WRAPPERS.items())
def test_each_wrapper_asks_its_own_question(wrapper, method):
    """A wrapper asks Celery's method of the table, whatever other method is named."""
    answer = getattr(firexkit.inspect, wrapper)(celery_app=EchoingApp(), inspect_method="shutdown", timeout=2)

    assert answer == {"asked": method, "args": (), "timeout": 2}


def test_method_arguments_reach_the_question():
    """The ids a caller asks for are the method's arguments."""
    answer = firexkit.inspect.get_task(celery_app=EchoingApp(), method_args=["a", "b"])

    assert answer == {"asked": "query_task", "args": ("a", "b")}


@pytest.mark.parametrize(
    ("given", "arguments"), [(None, ()), ("id", ("id",)), (["a", "b"], ("a", "b")), (("a",), ("a",)), (False, (False,))]
)
def test_method_arguments_are_one_value_or_several(given, arguments):
    """Nothing, one value, or a list or tuple of values."""
    assert as_arguments(given) == arguments


def test_without_a_method_the_inspect_object_is_returned():
    """A caller that names no method gets Celery's own object, with its options set."""
    app = Celery("control", broker="memory://", set_as_current=False)
    inspection = inspect_with_retry(celery_app=app, destination=["mc@here"], timeout=3)

    assert isinstance(inspection, Inspect)
    assert (inspection.destination, inspection.timeout) == (["mc@here"], 3)


def test_no_worker_is_no_answer():
    """When no worker exists, the answer is None."""
    app = Celery("control", broker="memory://", set_as_current=False)

    assert firexkit.inspect.ping(celery_app=app, timeout=0.01, inspect_retry_timeout=0) is None


def test_an_unknown_method_is_an_error():
    """A misspelt method is the caller's mistake, not a missing answer."""
    with pytest.raises(AttributeError, match="pong"):
        inspect_with_retry(inspect_method="pong", celery_app=EchoingApp())


def test_no_answer_is_asked_again():
    """A question nobody answered is asked again until somebody does."""
    answer = firexkit.inspect.ping(celery_app=EchoingApp(unanswered=2))

    assert answer == {"asked": "ping", "args": ()}


@pytest.mark.parametrize("options", [{"retry_if_None_returned": False}, {"inspect_retry_timeout": 0}])
def test_a_caller_can_take_no_for_an_answer(options):
    """Without retry, one unanswered question gives None."""
    app = EchoingApp(unanswered=1)

    assert firexkit.inspect.ping(celery_app=app, **options) is None
    assert app.unanswered == 0


def test_verbose_logs_question_and_answer(caplog):
    """A caller who wants to see what happens finds it in the log."""
    caplog.set_level("INFO")
    firexkit.inspect.ping(celery_app=EchoingApp(), verbose=True)

    assert "inspect ping()" in caplog.text


def test_an_empty_answer_is_an_answer():
    """An empty dict ends the asking."""
    assert ask_until_answered(answering(None, {}, "late"), timeout=30) == {}


def test_asking_ends_with_the_time():
    """When nobody answers in time, the answer is None."""
    assert ask_until_answered(lambda: None, timeout=0.01) is None


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError(), redis.exceptions.ConnectionError()])
def test_q14_a_broker_that_is_away_is_no_answer(error):
    """An outage counts as silence, whichever subclass it is."""
    assert answer_or_none(answering(error)) is None


@pytest.mark.parametrize("error", [ValueError("wrong"), redis.exceptions.AuthenticationError("wrong")])
def test_other_errors_of_a_question_rise(error):
    """What time doesn't heal reaches the caller."""
    with pytest.raises(type(error), match="wrong"):
        answer_or_none(answering(error))
