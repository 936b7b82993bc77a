"""How tasks get secrets, and what else is made of them."""

from typing import Any

import pytest

from firexkit import Secret, WireError
from firexkit._celery.secret_settings import password_of, sealing_for, secret_names
from firexkit.chain import InjectArgs
from firexkit.task.cache import text_of_call
from firexkit.task.child_ids import digest_of
from firexkit.task.once import enqueue_once
from firexkit.task.secrets import names_of, representations
from unit.task_support import eager_app, make_app

WORD = "correct-horse"
MINE = Secret("mine")


@pytest.fixture
def app():
    return eager_app()


@pytest.fixture
def look(app):
    """A task that tells what it gets."""
    seen: list[Any] = []

    @app.task(shared=False, name="unit.look")
    def look(pin: "Secret[str] | None" = None, other: Secret = MINE, plain: str = "", token=None):
        seen.append((pin, other, plain, token))

    look.seen = seen
    return look


def test_annotated_parameters(look):
    """The function gets a Secret however the value was given; none stays none, and defaults are not touched."""
    look.delay(WORD, plain="@pin")
    look.delay(pin=Secret(WORD), other=WORD)
    look.delay(pin="@plain", plain=WORD)
    look(WORD)
    look.delay()

    assert look.secret_parameters == {"pin", "other"}
    assert [(pin and pin.reveal(), other.reveal()) for pin, other, *_ in look.seen] == [
        *((WORD, "mine"), (WORD, WORD), (WORD, "mine"), (WORD, "mine"), (None, "mine"))
    ]
    assert {type(pin) for pin, *_ in look.seen} == {Secret, type(None)}


def test_a_list_of_secrets_is_a_list(app):
    seen = []

    @app.task(shared=False, name="unit.several")
    def several(pins: list[Secret[str]]):
        seen.extend(pin.reveal() for pin in pins)

    several([Secret(WORD)])

    assert (several.secret_parameters, seen) == (set(), [WORD])


def test_listed_arguments_stay_plain(look):
    """A task whose argument has a listed name gets what the caller gave."""
    look.delay(token=WORD)

    assert look.seen[0][3] == WORD


def test_a_chain_keeps_what_passes_through(app, look):
    """A value for a later member is a secret from the first message on, and arrives as one."""

    @app.task(shared=False, name="unit.first")
    def first():
        pass

    (InjectArgs(pin=WORD) | first.s() | look.s()).apply_async()

    assert look.seen[0][0] == Secret(WORD)


def test_what_celery_shows(look):
    """Where something is to be hidden, Celery is told what to show; else it looks for itself."""
    shown = representations(look, (WORD, Secret(1)), {"plain": "x", "token": WORD})

    assert shown == {"argsrepr": "('***', '***')", "kwargsrepr": "{'plain': 'x', 'token': '***'}"}
    assert representations(look, (), {"plain": "x"}) == {}
    assert representations(look, ({"token": WORD, "a": 1},), {})["argsrepr"] == "({'token': '***', 'a': 1},)"


def test_names_of_the_app(app, look):
    """The setting takes the place of our words, also when it is set later; annotated parameters stay."""
    assert "token" in names_of(look)
    app.conf.firexkit_secret_arguments = ["seed"]

    assert [name in names_of(look) for name in ("token", "my_seed", "pin")] == [False, True, True]
    assert "pin" not in secret_names(app)


@pytest.mark.parametrize(
    ("conf", "password"),
    [
        ({"broker_url": "redis://:a%20b@host/0"}, "a b"),
        ({"broker_url": "redis://host/0", "result_backend": "redis://:c@host/1"}, "c"),
        ({"broker_url": "sentinel://host:1;sentinel://:d@host:2"}, "d"),
        ({"broker_url": "redis://:a@host/0", "firexkit_secret_key": "own"}, "own"),
        ({"broker_url": "redis://host/0"}, ""),
    ],
)
def test_the_key(conf, password):
    """It is made of the app's own setting, else of the broker's password, else of the backend's."""
    assert password_of(make_app(**conf)) == password


def test_without_a_key_a_secret_is_not_sent():
    """The error says which argument and what to do; a listed one travels as it is."""
    app = make_app()
    task = app.task(shared=False, name="unit.keyless")(lambda pin=None, token=None: None)

    with pytest.raises(WireError, match=r"argument 'pin' of task unit.keyless .*firexkit_secret_key"):
        task.delay(pin=Secret(WORD))
    task.delay(token=WORD)


def test_digests(app, look):
    """Calls with other secrets are other calls; who has not the key can't make the same digest."""
    one, two = (text_of_call("t", {"pin": Secret(word), "deep": [Secret(word)]}) for word in (WORD, "other"))
    ids = {digest_of(look.s(token=word)) for word in (WORD, "other")}
    with sealing_for(app):
        keyed = text_of_call("t", {"pin": Secret(WORD)}), digest_of(look.s(token=WORD))

    assert one != two
    assert WORD not in one
    assert len({*ids, keyed[1]}) == 3
    assert keyed[0] != text_of_call("t", {"pin": Secret(WORD)})
    assert text_of_call("t", {"a": 1}) == "('t', ('a', 1))"


def test_a_key_that_is_the_same_for_all(look):
    """A Secret that was formatted into the key of what runs once is noticed."""
    with pytest.raises(ValueError, match="the same for all secrets"):
        enqueue_once(look, (), {}, key=f"login {Secret(WORD)}", block=False)


def test_results_on_their_way(app):
    """What a task returns under a listed name is hidden in the store, and plain for who reads it."""
    task = app.task(shared=False, name="unit.returning", returns=("token", "n"))(lambda: (WORD, 1))

    result = task.delay()

    stored = app.backend.get(app.backend.get_key_for_task(result.id))
    assert WORD not in str(stored)
    assert app.AsyncResult(result.id).result["token"] == WORD
