"""What a task knows about itself before it runs: names, arguments, return keys (5.1, 5.2, 10)."""

from functools import wraps

import pytest
from celery.utils.threads import LocalStack

from firexkit import task as task_module
from firexkit.chain import returns
from firexkit.task import (
    DyanmicReturnsNotADict,
    FireXTask,
    IllegalTaskNameException,
    PendingChildStrategy,
    ReturnsCodingException,
    TaskEnqueueSpec,
    undecorate,
)
from unit.task_support import RK, make_app, request_of

DYNAMIC = FireXTask.DYNAMIC_RETURN
TWICE_ORIG = "pkg.mod.foo_orig_orig"


@pytest.fixture
def app():
    return make_app()


@pytest.fixture
def twice_orig(app):
    return app.task(lambda: None, shared=False, name=TWICE_ORIG, check_name_for_override_posfix=False)


def wrapped(function):
    @wraps(function)
    def outer(*args, **kwargs):
        return function(*args, **kwargs)

    return outer


# ── names ────────────────────────────────────────────────────────────────────────────────


def test_a_name_that_ends_in_orig_is_refused(app):
    """Checklist 29: a task whose name ends with _orig cannot be made."""
    foo = app.task(lambda: None, shared=False, name="m.foo_orig")

    with pytest.raises(IllegalTaskNameException, match="foo_orig"):
        foo.name  # noqa: B018 - reading any attribute evaluates the lazy task


def test_a_name_that_ends_in_orig_is_taken_when_the_check_is_off(twice_orig):
    """Checklist 29: the plugin machinery may name a task _orig."""
    assert twice_orig.name == TWICE_ORIG


@pytest.mark.parametrize(
    ("name", "stripped", "short", "short_without_orig"),
    [
        (TWICE_ORIG, "pkg.mod.foo", "foo_orig_orig", "foo"),
        ("pkg.mod.foo", "pkg.mod.foo", "foo", "foo"),
        ("foo", "foo", "foo", "foo"),
        ("m.original", "m.original", "original", "original"),
    ],
)
def test_names_are_derived_from_a_full_name(name, stripped, short, short_without_orig):
    """Each trailing _orig can be removed, and the short name is the last dotted part."""
    assert FireXTask.strip_orig_from_name(name) == stripped
    assert FireXTask.get_short_name(name) == short
    assert FireXTask.get_short_name_without_orig(name) == short_without_orig


def test_the_short_name_of_a_chain_is_that_of_its_first_task():
    """Names joined with | give the first one's short name."""
    assert FireXTask.get_short_name("m1.a|m2.b") == "a"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("name_without_orig", "pkg.mod.foo"),
        ("short_name", "foo_orig_orig"),
        ("short_name_without_orig", "foo"),
        ("called_as_orig", True),
    ],
)
def test_a_task_tells_its_own_names(twice_orig, member, value):
    """The name properties speak of the task's own name."""
    assert getattr(twice_orig, member) == value


def test_root_orig_follows_orig_to_the_end(app, twice_orig):
    """The very first overridden task is found through every override."""
    second = app.task(lambda: None, shared=False, name="p.second")
    third = app.task(lambda: None, shared=False, name="p.third")
    second.orig, third.orig = twice_orig, second

    assert third.root_orig.name == TWICE_ORIG


def test_a_task_nobody_overrides_is_its_own_root(app):
    """Without an overridden task the root is the task, and its name is no overridden one's."""
    alone = app.task(lambda: None, shared=False, name="m.alone")

    assert (alone.root_orig.name, alone.called_as_orig) == ("m.alone", False)


@pytest.mark.parametrize(
    ("request_fields", "label"),
    [({"id": "i-1"}, "i-1"), ({"id": "i-1", "retries": 2}, "i-1_2"), ({"id": None}, TWICE_ORIG)],
)
def test_a_label_names_the_request_and_its_attempt(twice_orig, request_fields, label):
    """The label is the request's id, with the attempt's number from the first retry on."""
    with request_of(twice_orig, **request_fields):
        found = twice_orig.task_label

    assert found == label


def test_a_label_without_a_request_is_the_name(twice_orig):
    """Outside of a run the label is the task's name."""
    assert twice_orig.task_label == TWICE_ORIG


@pytest.mark.parametrize(("timelimit", "seconds"), [((10, 5), 5), ((None, None), None), (None, None)])
def test_the_soft_time_limit_of_the_request_is_told(twice_orig, timelimit, seconds):
    """The soft limit is the second of the request's limits, None without limits."""
    with request_of(twice_orig, timelimit=timelimit):
        found = twice_orig.request_soft_time_limit

    assert found == seconds


def test_from_plugin_is_false_until_set(app):
    """The plugin machinery marks the tasks it brings."""
    plain = app.task(lambda: None, shared=False, name="m.plain")
    before = plain.from_plugin
    plain.from_plugin = True

    assert (before, plain.from_plugin) == (False, True)


def test_the_file_of_the_code_is_told(app):
    """The file that defines the task is known."""
    here = app.task(lambda: None, shared=False, name="m.here")

    assert here.code_filepath == __file__


# ── return keys ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("option", "keys"),
    [("y", ("y",)), (["y", "z"], ("y", "z")), (("y",), ("y",)), ({"y"}, ("y",)), (None, ())],
)
def test_the_returns_option_takes_a_name_or_names(app, option, keys):
    """A str, list, tuple or set names the return values; nothing names none."""
    options = {} if option is None else {"returns": option}
    named = app.task(lambda: None, shared=False, **options, name="m.named")

    assert named.return_keys == keys


def test_the_returns_decorator_names_the_same_keys(app):
    """The decorator's names are the task's return keys."""

    @app.task(shared=False)
    @returns("y", "z")
    def named():
        return 1, 2

    assert named.return_keys == ("y", "z")


def test_returns_as_decorator_and_as_option_is_refused(app):
    """Names given twice, as decorator and as option, are a coding error."""

    @app.task(shared=False, returns=["y"])
    @returns("y")
    def twice():
        return 1

    with pytest.raises(ReturnsCodingException):
        twice.return_keys  # noqa: B018 - reading evaluates the lazy task


def test_a_name_twice_in_the_returns_option_is_refused(app):
    """A duplicate key is a coding error."""
    twice = app.task(lambda: (1, 2), shared=False, returns=["y", "y"], name="m.twice")

    with pytest.raises(ReturnsCodingException):
        twice.return_keys  # noqa: B018 - reading evaluates the lazy task


def test_the_dynamic_mark_may_stand_twice_in_the_returns_option(app):
    """Two dynamic results are allowed."""
    twice = app.task(lambda: ({"a": 1}, {"b": 2}), shared=False, returns=[DYNAMIC, DYNAMIC], name="m.twice")

    assert twice() == {"a": 1, "b": 2, RK: ("a", "b")}


# ── arguments ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("bind", [False, True])
def test_required_and_optional_arguments_are_told(app, bind):
    """Names without and with a default, in order, without self and stars, for bound tasks too."""
    functions = {
        False: lambda b, a, d="D", *rest, k, o=None, **kw: None,
        True: lambda self, b, a, d="D", *rest, k, o=None, **kw: None,
    }
    task = app.task(functions[bind], shared=False, bind=bind, name=f"m.args_{bind}")

    assert task.required_args == ["b", "a", "k"]
    assert task.optional_args == {"d": "D", "o": None}


def test_callers_get_copies_of_the_argument_names(app):
    """What a caller does to the lists does not change the task."""
    task = app.task(lambda x, d="D": None, shared=False, name="m.copies")
    task.required_args.append("other")
    task.optional_args.clear()

    assert (task.required_args, task.optional_args) == (["x"], {"d": "D"})


@pytest.mark.parametrize("decorate", [returns("y"), wrapped, lambda f: wrapped(returns("y")(f))])
def test_the_signature_is_seen_through_decorators(app, decorate):
    """A task's sig is that of the service function."""
    task = app.task(decorate(lambda x, d="D": x), shared=False, name="m.through")

    assert list(task.sig.parameters) == ["x", "d"]


# ── the raw function ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("bind", [False, True])
@pytest.mark.parametrize("decorate", [lambda f: f, returns("y")], ids=["plain", "returns"])
def test_undecorated_runs_the_raw_function(app, bind, decorate):
    """Checklist 31: undecorated gives the raw value, bound or not, with or without returns."""
    functions = {False: lambda x: [x], True: lambda self, x: [x]}
    task = app.task(decorate(functions[bind]), shared=False, bind=bind, name=f"m.raw_{bind}")

    assert task.undecorated(1) == [1]
    assert undecorate(task)(1) == [1]


def test_undecorated_is_bound_to_the_task(app):
    """Checklist 31: a bound task's raw function gets the task as self."""
    task = app.task(lambda self: self.name, shared=False, bind=True, name="m.myself")

    assert task.undecorated() == "m.myself"


# ── hand-written classes ─────────────────────────────────────────────────────────────────


def instance(cls):
    """The class's task object, as a program makes it without an app."""
    task = cls()
    task.request_stack = LocalStack()
    return task


def test_a_hand_written_class_runs():
    """Checklist 29: a class with a name and run is a task, without any hook."""

    class Plain(FireXTask):
        name = "m.HandWritten"

        def run(self, x, d="D"):
            return {"y": [x, d]}

    assert instance(Plain)(1) == {"x": 1, "y": [1, "D"]}


def hooked(calls):
    """A hand-written task whose members append what they are given to the list."""

    class Hooked(FireXTask):
        name = "m.HandHooked"

        def run(self, x):
            calls.append("run")
            return {"y": x}

        def pre_task_run(self):
            calls.append("pre")

        def post_task_run(self, results, extra_events=None):
            calls.append(results)

    return instance(Hooked)


def test_a_hand_written_class_may_have_hooks():
    """Checklist 29: pre_task_run takes nothing, post_task_run takes results and extra events."""
    calls = []
    hooked(calls)(5)

    assert calls == ["pre", "run", {"y": 5}]


def test_a_class_without_run_cannot_be_called():
    """Checklist 29: a class that forgot its run method says so when called."""

    class NoRun(FireXTask):
        name = "m.NoRun"

    with pytest.raises(NotImplementedError):
        instance(NoRun)()


@pytest.mark.parametrize("hook", ["pre_task_run", "post_task_run"])
def test_the_run_hooks_carry_the_abstract_mark(hook):
    """The mark tells documentation tools that the hook is to be overridden, and forbids nothing."""
    assert getattr(FireXTask, hook).__isabstractmethod__ is True


# ── small public types and keys ──────────────────────────────────────────────────────────


def test_the_strategies_have_their_documented_values():
    """Block is the default one."""
    values = {strategy.name: strategy.value for strategy in PendingChildStrategy}

    assert values == {"Block": (0, "Default"), "Revoke": 1, "Continue": 2}


def test_an_enqueue_spec_injects_the_abog_by_default(app):
    """Only the signature is needed."""
    signature = app.signature("m.x")
    spec = TaskEnqueueSpec(signature)

    assert (spec.signature, spec.inject_abog, spec.enqueue_opts) == (signature, True, None)


def test_a_bad_dynamic_return_is_also_a_type_error():
    """Callers of either generation catch what they expect."""
    assert issubclass(DyanmicReturnsNotADict, TypeError)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RETURN_KEYS_KEY", RK),
        ("REPLACEMENT_TASK_NAME_POSTFIX", "_orig"),
        ("FLAME_COLLAPSE_KEY", "_default_display"),
        ("REDIS_DB_KEY_FOR_RESULTS_WITH_REPORTS", "FIREX_RESULTS_WITH_REPORTS"),
        ("REDIS_DB_KEY_PREFIX_FOR_ENQUEUE_ONCE_UID", "ENQUEUE_CHILD_ONCE_UID_"),
        ("REDIS_DB_KEY_PREFIX_FOR_ENQUEUE_ONCE_COUNT", "ENQUEUE_CHILD_ONCE_COUNT_"),
        ("REDIS_DB_KEY_PREFIX_FOR_CACHE_ENABLED_UID", "CACHE_ENABLED"),
    ],
)
def test_the_constants_have_their_documented_values(name, value):
    """Programs import these names from firexkit.task."""
    assert getattr(task_module, name) == value


@pytest.mark.parametrize(
    ("helper", "prefix"),
    [
        ("get_enqueue_child_once_uid_dbkey", "ENQUEUE_CHILD_ONCE_UID_"),
        ("get_enqueue_child_once_count_dbkey", "ENQUEUE_CHILD_ONCE_COUNT_"),
        ("get_cache_enabled_uid_dbkey", "CACHE_ENABLED"),
    ],
)
def test_backend_keys_start_with_the_documented_prefix(helper, prefix):
    """The run stands behind the documented prefix, and two keys never share an entry."""
    key = getattr(task_module, helper)

    assert key("one").startswith(prefix)
    assert key("one") != key("two")


def test_the_key_of_the_start_time_is_the_id_and_a_suffix():
    """Monitors read the start of a task under this key."""
    assert task_module.get_starttime_dbkey("some-id") == "some-id_starttime"
