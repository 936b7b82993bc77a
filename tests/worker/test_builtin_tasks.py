"""The tasks that come with the kit, in a worker; and the exit codes that tasks ask for."""

import getpass
from pathlib import Path

import pytest
from celery.states import PENDING, REVOKED
from kombu.utils.uuid import uuid

from firexkit.chain import InjectArgs
from firexkit.firex_exceptions import exit_code_of
from firexkit.result import ChainInterruptedException, get_results, get_task_postrun_info
from firexkit.revoke import revoke_result
from firexkit.task import get_task_start_time
from firexkit.task_names import chain_of, find_task
from worker.apps import builtin_tasks as tasks
from worker.rig import wait_until

APP = "worker.apps.builtin_tasks"

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def _worker(worker_for):
    worker_for(APP)


def sent(names, **arguments):
    """The result of tasks by name, sent with these arguments."""
    return (InjectArgs(**arguments) | chain_of(tasks.app, names)).delay()


def test_a_chain_of_built_in_tasks():
    """Values pass through, get other names, and feed the task after them."""
    result = sent("nop,getusername,CopyBogKeys,size_target", bog_key_map={"username": "target"})
    result.get(timeout=20)

    assert get_results(result) == {
        "username": getpass.getuser(),
        "target": getpass.getuser(),
        "size": len(getpass.getuser()),
    }


def test_copied_values_keep_their_types():
    """Also those that JSON does not carry."""
    result = sent("CopyBogKeys", bog_key_map={"a": "b"}, a=Path("/srv"))
    result.get(timeout=20)

    assert get_results(result) == {"b": Path("/srv")}


def test_a_missing_value_fails_if_it_should():
    """The error arrives as what it was."""
    with pytest.raises(LookupError, match="called a; there are bog_key_map"):
        sent("CopyBogKeys", bog_key_map={"a": "b"}, strict=True).get(timeout=20)


def test_sleep_ends_when_it_is_revoked():
    """Long before its time is over."""
    result = sent("sleep", seconds=3600.0)
    wait_until(lambda: get_task_start_time(result.id, tasks.app.backend), 20, what="sleep begun")
    revoke_result(result)
    wait_until(lambda: get_task_postrun_info(result), 20, what="end of the body")

    assert wait_until(result.ready, 20, what="its state")
    assert result.state == REVOKED


@pytest.mark.parametrize("chain", ["size_target,double_size", ["worker.apps.builtin_tasks.size_target", "Double_Size"]])
def test_a_sub_chain_by_names(chain):
    """It gets the bag, and its results are those of the task; they reach what comes next."""
    result = sent("ScheduleSubChain,CopyBogKeys", chain=chain, target="abc", bog_key_map={"double": "copy"})
    result.get(timeout=20)

    assert get_results(result) == {"size": 3, "double": 6, "copy": 6}


def test_a_sub_chain_as_a_signature():
    """A signature travels like any other argument."""
    steps = tasks.size_target.s("abcd") | tasks.double_size.s()
    result = find_task(tasks.app, "ScheduleSubChain").delay(chain=steps, target="abc")
    result.get(timeout=20)

    assert get_results(result) == {"size": 4, "double": 8}


def test_a_sub_chain_may_be_forgotten():
    """Its results are read before."""
    options = {"apply_async_options": {"task_id": uuid()}, "forget": True}
    result = sent("ScheduleSubChain", chain="size_target", target="abc", enqueue_args=options)
    result.get(timeout=20)

    assert get_results(result) == {"size": 3}
    assert tasks.app.AsyncResult(options["apply_async_options"]["task_id"]).state == PENDING


def test_a_failed_sub_chain_fails_the_task():
    """With what it failed with as the cause."""
    with pytest.raises(ChainInterruptedException) as error:
        sent("ScheduleSubChain", chain="size_target,fail_target", target="abc").get(timeout=20)

    assert type(error.value.__cause__) is tasks.BuildFailed


def test_a_failed_sub_chain_can_be_told_instead():
    """The results tell what failed, why, and what never ran, beside what succeeded."""
    result = sent(
        "ScheduleSubChain", chain="size_target,fail_target,double_size,size_target", target="abc", catch_errors=True
    )
    result.get(timeout=20)
    results = get_results(result)
    unsuccessful = results.pop("unsuccessful_services")
    (failed,) = unsuccessful["failed"]
    names = [text.partition("[")[0].rpartition(".")[2] for text in unsuccessful["not_run"]]

    assert results == {"size": 3}
    assert failed.startswith(f"{tasks.fail_target.name}[")
    assert failed.endswith("]: BuildFailed: abc does not build (exit code 9)")
    assert names == ["double_size", "size_target"]


@pytest.mark.parametrize("task", [tasks.fail_target, tasks.failing_parent, tasks.failing_parent_of_many])
def test_an_exit_code_arrives(task):
    """From the task itself, from below it, and from one of several below it."""
    result = task.delay("abc")
    with pytest.raises(Exception, match=r".") as error:
        result.get(timeout=20)

    assert exit_code_of(error.value) == 9
