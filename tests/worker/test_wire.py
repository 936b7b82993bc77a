"""Values on their way through a real broker and backend: what goes in comes out, in every channel and every pool."""

import pytest
from celery.result import AsyncResult

from worker.apps import wire as tasks
from worker.apps.wire import VALUES, Unlike, same

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module", params=["prefork", "threads", "eager"])
def pool(request):
    return request.param


@pytest.fixture
def send(worker_for, server, pool):
    """Send a signature; its result."""
    if pool == "eager":
        tasks.app.set_current()
    else:
        worker_for("worker.apps.wire", pool=pool, concurrency=3)
    tasks.app.conf.task_always_eager = pool == "eager"
    yield lambda signature: signature.apply_async()
    tasks.app.conf.task_always_eager = False


@pytest.fixture
def run(send):
    """Send a signature; what its last task returned."""
    return lambda signature: send(signature).get(timeout=10)


@pytest.mark.parametrize("name", VALUES)
def test_argument(run, name):
    """A task gets the value that it was sent, by position and by name, and so does who reads its bag."""
    by_position, by_name = run(tasks.take.s(name, VALUES[name])), run(tasks.take.s(name, value=VALUES[name]))

    assert by_position["verdict"] == by_name["verdict"] == "same"
    assert same(by_position["value"], VALUES[name])


@pytest.mark.parametrize("name", VALUES)
def test_return(send, name):
    """The caller gets what the task returned, and so does everybody who has the id."""
    result = send(tasks.give.s(name))

    assert same(result.get(timeout=10)["value"], VALUES[name])
    assert same(AsyncResult(result.id, app=tasks.app).get(timeout=10)["value"], VALUES[name])


@pytest.mark.parametrize("name", VALUES)
def test_chain(run, name):
    """What one task returned, the next one gets, and both by name and by reference."""
    chain = tasks.give.s(name) | tasks.take.s() | tasks.take.s(value="@value") | tasks.take.s(name)

    assert run(chain)["verdict"] == "same"


@pytest.mark.parametrize("name", VALUES)
def test_child_result(run, name):
    """A parent gets what its child returned, and can return it in turn."""
    bag = run(tasks.take_from_child.s(name))

    assert bag["verdict"] == "same"
    assert same(bag["value"], VALUES[name])


@pytest.mark.parametrize("name", VALUES)
def test_exception(run, name):
    """A failure has its class, its arguments and its cause, with the arguments of that."""
    with pytest.raises(Unlike) as failed:
        run(tasks.fail_with.s(name))

    assert type(failed.value) is Unlike
    assert same(failed.value.args, (name, VALUES[name]))
    assert type(failed.value.__cause__) is KeyError
    assert same(failed.value.__cause__.args, (VALUES[name],))


def test_an_argument_of_an_exception_that_cannot_travel_is_told(run):
    """A failure is never lost for one of its arguments: its repr comes in its place, and the rest as it was."""
    with pytest.raises(Unlike, match="kept") as failed:
        run(tasks.fail_with_refused.s("any"))

    assert failed.value.args[0] == "kept"
    assert "Stranger object" in str(failed.value.args[1])
