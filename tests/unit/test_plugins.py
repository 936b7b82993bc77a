"""Plugins: what replaces what, what the replaced task keeps, and what the new one takes over."""

import gc
import json
import sys

import pytest
from celery import Task, current_app, signals

from firexkit.argument_conversion import ConverterRegister
from firexkit.chain import verify_chain_arguments
from firexkit.plugins import SourceError, _named_like, load_plugins
from firexkit.task import FireXTask, PendingChildStrategy
from unit.sources_support import forgetting_imports, run_app, writer
from unit.task_support import events_of, hearing_class, inside, next_message

RK = "__task_return_keys"
HEAD = "from firexkit.app import FireX\napp = FireX('plugin')\n"
DOUBLE = HEAD + "@app.task(bind=True)\ndef foo(self, x): return 2 * x\n"
ASK = HEAD + "@app.task(bind=True)\ndef foo(self, x): return [__name__[-1], self.orig(x)['value']]\n"


@pytest.fixture(scope="module", autouse=True)
def _collected():
    """Promises of tasks that can't be made are gone before anybody looks at them."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def _clean():
    with forgetting_imports():
        yield


@pytest.fixture
def app():
    return run_app(task_always_eager=True, task_store_eager_result=True)


@pytest.fixture
def write(tmp_path):
    return writer(tmp_path)


@pytest.fixture
def plugin(app, write):
    """Write a plugin, load it, and get its task foo."""

    def plugin(text, name=None):
        file = write(text, name)
        load_plugins(app, [file])
        return app.tasks.get(f"{file.stem}.foo")

    return plugin


def foo_of(app, function=lambda x: x, **options):
    """The task m.foo, as whoever defined it holds it."""
    function.__name__ = "foo"
    held = app.task(name="m.foo", **options)(function)
    app.finalize()
    return held


# ── what replaces what ───────────────────────────────────────────────────────────────────


def test_a_task_replaces_the_one_of_its_short_name(app, plugin):
    """Whoever asks for the old name gets the new task; the old one is its orig, under a name of its own."""
    held = foo_of(app)
    new = plugin(DOUBLE, "twice.py")

    assert app.tasks["m.foo"] is app.tasks["twice.foo"] is new
    assert app.tasks["m.foo_orig"] is new.orig is new.root_orig
    assert (new.name, new.orig.name, held.name) == ("twice.foo", "m.foo_orig", "m.foo")
    assert (new.from_plugin, new.orig.from_plugin, new.orig.called_as_orig) == (True, False, True)
    assert (held.s(3).task, new.s(3).task, new.orig.s(3).task) == ("twice.foo", "twice.foo", "m.foo_orig")


def test_both_run(app, plugin):
    """The new task answers for the old one, and the old one still runs when it is called as orig."""
    held = foo_of(app, returns="value")
    new = plugin(DOUBLE)

    assert held.s(3).apply_async().get()["value"] == 6
    assert new.orig.s(3).apply_async().get()["value"] == 3


@pytest.mark.parametrize("send", [lambda held: held.s(1).apply_async(), lambda held: held.delay(1)])
def test_messages_have_the_original_name(write, send):
    """A worker without the plugin knows the name in the message."""
    app = run_app()
    held = foo_of(app)
    load_plugins(app, [write(DOUBLE)])
    send(held)

    assert next_message(app).headers["task"] == "m.foo"


def test_messages_of_the_plugins_own_function_have_the_original_name(write):
    """A signature made in the plugin is sent under the name that was replaced; one of its orig is not."""
    app = run_app()
    foo_of(app)
    (new,) = load_plugins(app, [write(DOUBLE)])
    for signature in (new.s(1), new.orig.s(1)):
        signature.apply_async()

    assert [next_message(app).headers["task"] for _ in range(2)] == ["m.foo", "m.foo_orig"]


def test_the_tasks_that_came_are_returned(app, write):
    """The loader tells which tasks came with plugins, those that replace nothing included."""
    foo_of(app)
    file = write(DOUBLE + "@app.task\ndef brand_new(): pass\n")
    tasks = load_plugins(app, [file])

    assert [task.name for task in tasks] == [f"{file.stem}.foo", f"{file.stem}.brand_new"]
    assert all(task.from_plugin for task in tasks)


@pytest.mark.parametrize("text", ["", "answer = 42", HEAD])
def test_a_plugin_without_tasks(app, write, text):
    """A plugin may bring nothing."""
    foo_of(app)
    before = dict(app.tasks)

    assert load_plugins(app, [write(text)]) == []
    assert dict(app.tasks) == before


def test_a_module_is_a_plugin_too(app, write, tmp_path, monkeypatch):
    """A plugin may be named as a module, and may consist of several."""
    monkeypatch.syspath_prepend(tmp_path)
    foo_of(app)
    write("from many_parts import part", "many_parts/__init__.py")
    write(DOUBLE, "many_parts/part.py")
    load_plugins(app, ["many_parts"])

    assert app.tasks["m.foo"].name == "many_parts.part.foo"


def test_a_plugin_makes_the_runs_app(app, write):
    """FireX in a plugin is the run's app; a plain app that it makes does not stay the current one."""
    file = write("from celery import Celery\nfrom firexkit.app import FireX\napp = FireX('x')\nother = Celery('other')")
    load_plugins(app, [file])

    assert sys.modules[file.stem].app is app
    assert current_app._get_current_object() is app


@pytest.mark.parametrize("made_by", ["@shared_task", "@Celery('other').task", "@Celery('other').task(lazy=False)"])
def test_tasks_that_are_shared_replace_too(app, write, made_by):
    """A shared task, and one of an app that is not the run's, is a task of the run's app as well."""
    foo_of(app)
    file = write(f"from celery import Celery, shared_task\n{made_by}\ndef foo(x): return -x")
    (new,) = load_plugins(app, [file])

    assert app.tasks["m.foo"] is new is app.tasks[f"{file.stem}.foo"]
    assert (new.app, isinstance(new, FireXTask)) == (app, True)


def test_celerys_own_tasks_are_not_replaced(app, write):
    """A plugin may have tasks called map or group."""
    load_plugins(app, [write(HEAD + "@app.task\ndef map(): pass\n@app.task\ndef chord_unlock(): pass\n")])

    assert type(app.tasks["celery.map"]).__module__.startswith("celery.")
    assert "celery.map_orig" not in app.tasks


def test_a_plugin_may_import_what_it_replaces(app, write):
    """If nobody loaded the original before, the plugin's import of it does, and the plugin's task replaces it."""
    original = write(HEAD + "@app.task(returns='value')\ndef foo(x): return x\n")
    file = write(f"import {original.stem}\n" + DOUBLE)
    (new,) = load_plugins(app, [file])

    assert app.tasks[f"{original.stem}.foo"] is new
    assert (new.orig.name, new.orig.from_plugin) == (f"{original.stem}.foo_orig", False)


def test_a_plugin_that_was_imported_before(app, write, tmp_path, monkeypatch):
    """A module that is there already, as a task file, still replaces when it comes as a plugin."""
    monkeypatch.syspath_prepend(tmp_path)
    foo_of(app)
    file = write("from celery import shared_task\n@shared_task\ndef foo(x): return -x")
    __import__(file.stem)
    load_plugins(app, [file])

    assert app.tasks["m.foo"].name == f"{file.stem}.foo"


def test_converters_follow(app, plugin):
    """Converters of the original convert for the task that replaces it, and not again for the original."""
    held = foo_of(app, lambda x: x, returns="value")
    ConverterRegister.register_for_task(held)(add_one)
    try:
        new = plugin(ASK, "asks_a.py")

        assert new.s(1).apply_async().get()["value"] == ["a", 2]
    finally:
        del ConverterRegister._task_instances["foo"]


def add_one(arguments):
    return {"x": arguments["x"] + 1}


# ── what is refused ──────────────────────────────────────────────────────────────────────


def test_a_name_of_two_tasks(app, write):
    """A short name that two tasks share can't be replaced; the error lists them."""
    foo_of(app)
    app.task(name="n.foo")(named_bar)
    file = write(HEAD + "\n\n@app.task\ndef foo(x): pass")
    with pytest.raises(SourceError) as refused:
        load_plugins(app, [file])

    assert (refused.value.file, refused.value.line) == (str(file), 5)
    assert "m.foo, n.foo" in refused.value.reason
    assert app.tasks["m.foo"].name == "m.foo"


def named_bar():
    """The function of a second task."""


def test_two_tasks_of_one_plugin_for_one_name(app, write):
    """A plugin can't replace one task by two."""
    foo_of(app)
    file = write(HEAD + "@app.task(name='a.foo')\ndef one(x): pass\n@app.task(name='b.foo')\ndef two(x): pass")

    with pytest.raises(SourceError, match=r"be replaced by more than one: a\.foo, b\.foo"):
        load_plugins(app, [file])


def test_names_that_nobody_replaces_may_be_shared(app, write):
    """Tasks of one short name are no mistake as long as no plugin has a third."""
    foo_of(app)
    app.task(name="n.foo")(named_bar)

    (new,) = load_plugins(app, [write(HEAD + "@app.task(name='p.bar')\ndef bar(): pass")])

    assert (new.name, app.tasks["m.foo"].name, app.tasks["n.foo"].name) == ("p.bar", "m.foo", "n.foo")


def test_the_full_name_is_taken(app, write):
    """A plugin that gives its task the full name of the other is told so, instead of being ignored."""
    foo_of(app)
    file = write(HEAD + "@app.task(name='m.foo')\ndef foo(x): return -x")

    with pytest.raises(SourceError, match=r"test_plugins\.py:\d+ defines a task of that name as well") as refused:
        load_plugins(app, [file])
    assert (refused.value.file, refused.value.what) == (str(file), "task m.foo")


def test_a_plugin_that_fails(app, write):
    """File, line and reason are told."""
    file = write("\n\nimport no_such_plugin_library")
    with pytest.raises(SourceError) as refused:
        load_plugins(app, [file])

    assert (refused.value.file, refused.value.line) == (str(file), 3)
    assert "no_such_plugin_library" in refused.value.reason


def test_a_task_that_cant_be_made(app, write):
    """A wrong declaration is told with the place of its function."""
    file = write(HEAD + "@app.task(returns=('a', 'a'))\ndef foo(): pass")

    with pytest.raises(SourceError, match="given more than once") as refused:
        load_plugins(app, [file])
    assert (refused.value.file, refused.value.line) == (str(file), 3)


# ── several plugins ──────────────────────────────────────────────────────────────────────


def test_a_chain_of_three(app, write):
    """The last wins; orig leads from each to the one before, and root_orig to the first."""
    held = foo_of(app, returns="value")
    load_plugins(app, [write(ASK, f"asks_{letter}.py") for letter in "abc"])
    last = app.tasks["m.foo"]

    names = ["asks_c.foo", "asks_b.foo_orig", "asks_a.foo_orig_orig", "m.foo_orig_orig_orig"]
    assert [last.name, last.orig.name, last.orig.orig.name, last.orig.orig.orig.name] == names
    assert {app.tasks[name].root_orig.name for name in names} == {names[-1]}
    assert [app.tasks[name].from_plugin for name in names] == [True, True, True, False]
    assert all(app.tasks[name] is last for name in ("asks_a.foo", "asks_b.foo"))
    assert held.s(1).apply_async().get()["value"] == ["c", ["b", ["a", 1]]]


def test_children_of_a_chain_of_three(app, write):
    """Each may send the one before it as its child."""
    held = foo_of(app, returns="value")
    text = HEAD + (
        "@app.task(bind=True, returns='value')\n"
        "def foo(self, x):\n"
        "    return [__name__[-1], *self.enqueue_child_and_get_results(self.orig.s(x), return_keys='value')]\n"
    )
    load_plugins(app, [write(text, f"sends_{letter}.py") for letter in "abc"])

    assert held.s(1).apply_async().get()["value"] == ["c", ["b", ["a", 1]]]


def test_an_older_name_of_the_original_still_stands_for_it(app, write):
    """A message from a process with the first plugin only reaches the same task."""
    foo_of(app)
    load_plugins(app, [write(ASK, f"asks_{letter}.py") for letter in "ab"])

    assert app.tasks["m.foo_orig"] is app.tasks["m.foo_orig_orig"] is app.tasks["m.foo"].root_orig


def test_of_a_plugin_that_is_named_twice_the_later_place_counts(app, write):
    """What the command line repeats from the project's settings is last."""
    foo_of(app)
    first, second = write(DOUBLE), write(DOUBLE)
    load_plugins(app, [first, second, str(first)])

    assert app.tasks["m.foo"].name == f"{first.stem}.foo"
    assert app.tasks["m.foo"].orig.name == f"{second.stem}.foo_orig"


def test_to_load_a_plugin_again_changes_nothing(app, write):
    """The second time there is nothing to do."""
    foo_of(app)
    file = write(DOUBLE)
    load_plugins(app, [file])
    before = dict(app.tasks)

    assert load_plugins(app, [file]) == []
    assert dict(app.tasks) == before


# ── what the replaced task keeps ─────────────────────────────────────────────────────────

OPTIONS = {
    "acks_late": False,
    "acks_on_failure_or_timeout": False,
    "reject_on_worker_lost": True,
    "max_retries": 7,
    "default_retry_delay": 3,
    "autoretry_for": (KeyError,),
    "retry_kwargs": {"max_retries": 6},
    "retry_backoff": 2,
    "time_limit": 60,
    "soft_time_limit": 50,
    "use_cache": True,
    "pending_child_strategy": PendingChildStrategy.Continue,
    "queue": "there",
    "priority": 3,
    "returns": "value",
    "rate_limit": "9/m",
    "ignore_result": True,
    "flame": ["x"],
}


def test_the_original_keeps_its_options(app, plugin):
    """The replaced task has every option that it had, and what was set on it later."""
    held = foo_of(app, **OPTIONS)
    held.report_meta, held.colour = [{"key_name": "value"}], "red"
    orig = plugin(DOUBLE).orig

    assert {name: getattr(orig, name) for name in OPTIONS} == OPTIONS
    assert (orig.return_keys, list(orig.flame_data_configs)) == (("value",), ["x"])
    assert (orig.report_meta, orig.colour, orig.sig) == ([{"key_name": "value"}], "red", held.sig)
    assert (orig.undecorated(5), orig.code_filepath) == (5, __file__)


def test_the_original_of_a_class(app, plugin):
    """A task that is an instance of a class with a constructor is replaced as well."""

    class Foo(FireXTask):
        name = "m.foo"

        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def run(self, x):
            return {"value": self.factor * x, "as": self.name}

    app.register_task(Foo(5))
    orig = plugin(DOUBLE).orig

    assert orig.s(2).apply_async().get() == {"x": 2, "value": 10, "as": "m.foo_orig"}
    assert orig.undecorated(2)["as"] == "m.foo_orig"


def test_the_original_of_a_plain_task(app, plugin):
    """A task of plain Celery is replaced as well."""
    foo_of(app, lambda x: x + 1, base=Task)
    orig = plugin(DOUBLE).orig

    assert (orig.name, orig.apply((1,)).get(), isinstance(orig, FireXTask)) == ("m.foo_orig", 2, False)


def test_a_retry_of_the_original_is_one_of_the_original(plugin, app):
    """A failure that is to be retried sends the original again, not what replaced it."""
    attempts = []

    def fail_once(self, x):
        attempts.append(self.name)
        if len(attempts) == 1:
            raise KeyError(x)
        return x

    foo_of(app, fail_once, bind=True, returns="value", autoretry_for=(KeyError,), default_retry_delay=0)
    new = plugin(DOUBLE)

    assert new.orig.s(4).apply_async().get()["value"] == 4
    assert attempts == ["m.foo_orig", "m.foo_orig"]


def test_an_unbound_original_finds_itself(app, plugin):
    """In a function without self the task's global name stands for the task that runs, replaced or not."""
    held = foo_of(app, lambda x: (held.request.id is not None, held.bound_args), returns=("has_id", "bound"))
    other = app.task(name="m.other")(one)
    assert other.name
    new = plugin(DOUBLE)
    bag = new.orig.s(3).apply_async().get()

    assert (bag["has_id"], bag["bound"]) == (True, {"x": 3})


def one():
    """A child."""
    return 1


def test_the_original_may_be_called_within_itself(app, plugin):
    """An original that calls itself as a function runs with arguments of its own."""
    held = foo_of(app, lambda x: [x, *(held(x - 1)["value"] if x else [])], returns="value")
    new = plugin(DOUBLE)

    assert new.orig.s(2).apply_async().get()["value"] == [2, 1, 0]


def test_signals_about_the_original(app, plugin):
    """Who receives signals about a task, or about its name, receives them about the replaced task."""
    held, heard = foo_of(app), []

    def weakly(sender=None, **_):
        heard.append(("weak", sender.name))

    class Receiver:
        def by_method(self, sender=None, **_):
            heard.append(("method", sender.name))

    receiver = Receiver()
    signals.task_prerun.connect(weakly, sender=held)
    signals.task_prerun.connect(receiver.by_method, sender=held)
    signals.task_prerun.connect(
        lambda sender=None, **_: heard.append(("strong", sender.name)), sender=held, weak=False, dispatch_uid="mine"
    )
    new = plugin(DOUBLE)
    new.orig.s(1).apply_async()

    assert heard == [(kind, "m.foo_orig") for kind in ("weak", "method", "strong")]
    new.s(1).apply_async()
    assert len(heard) == 3


def test_signals_about_the_originals_name(write):
    """Celery tells of a publication by the task's name."""
    app, heard = run_app(), []
    foo_of(app)

    def hear(sender=None, **_):
        heard.append(sender)

    signals.before_task_publish.connect(hear, sender="m.foo")
    (new,) = load_plugins(app, [write(DOUBLE)])
    new.s(1).apply_async()
    new.orig.s(1).apply_async()

    assert heard == ["m.foo", "m.foo_orig"]


def test_events(write):
    """Monitors are told the plugin's long name, and that the original is called as such."""
    hearing, heard = hearing_class()
    app = run_app(task_always_eager=True)
    app.task_cls = hearing
    foo_of(app, returns="value")
    (new,) = load_plugins(app, [write(ASK, "asks_a.py")])
    new.s(1).apply_async()
    new.orig.s(1).apply_async()
    told = [(event["long_name"], event["from_plugin"], event["called_as_orig"]) for event in starts(heard)]

    assert told == [("asks_a.foo", True, False), ("m.foo", False, True)]


def starts(heard):
    return events_of(heard, "task-started-info")


# ── what the new task takes over ─────────────────────────────────────────────────────────

TAKEN = {name: value for name, value in OPTIONS.items() if name not in {"returns", "flame", "rate_limit"}}
TAKEN.pop("ignore_result")


def test_a_new_task_takes_the_options_that_it_does_not_set(app, plugin):
    """Whoever does not say otherwise gets what the original says."""
    held = foo_of(app, **OPTIONS)
    held.report_meta = [{"key_name": "value"}]
    new = plugin(DOUBLE)

    assert {name: getattr(new, name) for name in TAKEN} == TAKEN
    assert (new.return_keys, list(new.flame_data_configs)) == (("value",), ["x"])
    assert new.report_meta == [{"key_name": "value"}]
    assert new.report_meta is not held.report_meta
    assert (new.rate_limit, new.ignore_result) == (None, False)


def test_a_new_task_keeps_the_options_that_it_sets(app, plugin):
    """What a plugin's task says itself holds, also when it says what is usual; what belongs together is not mixed."""
    foo_of(app, **OPTIONS).report_meta = [{"key_name": "value"}]
    options = (
        "acks_late=True, max_retries=3, soft_time_limit=90, use_cache=False, queue='here', priority=None, "
        "pending_child_strategy=PendingChildStrategy.Block, returns='other', flame='y'"
    )
    new = plugin(
        f"from firexkit import PendingChildStrategy\n{HEAD}@app.task({options})\ndef foo(x): pass\nfoo.report_meta = []"
    )

    assert (new.acks_late, new.reject_on_worker_lost, new.max_retries) == (True, False, 3)
    assert (new.soft_time_limit, new.time_limit, new.use_cache, new.queue) == (90, None, False, "here")
    assert (new.pending_child_strategy, new.return_keys) == (PendingChildStrategy.Block, ("other",))
    assert (list(new.flame_data_configs), new.report_meta, hasattr(new, "autoretry_for")) == (["y"], [], False)


def test_a_new_task_retries_as_the_original(app, plugin):
    """An error that the original would be retried for is retried in the plugin's task, too."""
    foo_of(app, autoretry_for=(KeyError,), default_retry_delay=0, returns="value")
    text = HEAD + (
        "attempts = []\n"
        "@app.task\n"
        "def foo(x):\n"
        "    attempts.append(x)\n"
        "    if len(attempts) == 1: raise KeyError(x)\n"
        "    return len(attempts)\n"
    )

    assert plugin(text).s(1).apply_async().get()["value"] == 2


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("return 5", 5),
        ("return self.orig(x)", 1),
        ("return {'value': 7}", 7),
        ("return {'other': 7}", {"other": 7}),
        ("return", None),
    ],
)
def test_a_new_task_returns_by_the_originals_names(app, plugin, body, value):
    """A function that names nothing has its value named, whatever it passes on from the original keeps its names."""
    foo_of(app, returns="value")
    new = plugin(HEAD + f"@app.task(bind=True)\ndef foo(self, x):\n    {body}")
    bag = new.s(1).apply_async().get()

    assert bag.get("value") == value
    assert verify_chain_arguments(new.s(1) | app.task(name="m.next", returns="end")(takes_value).s())


def takes_value(value):
    return value


@pytest.mark.parametrize(
    ("keys", "returned", "named"),
    [
        (("a",), 1, {"a": 1, RK: ("a",)}),
        (("a", "b"), (1, 2), {"a": 1, "b": 2, RK: ("a", "b")}),
        (("a", "b"), {"b": 2, "a": 1}, {"b": 2, "a": 1, RK: ("b", "a")}),
        (("a",), {"a": 1, "x": 0, RK: ("a",)}, {"a": 1, "x": 0, RK: ("a",)}),
        (("__DYNAMIC_RETURN__",), {"a": 1}, {"a": 1, RK: ("a",)}),
        (("a",), None, None),
        (("a", "b"), None, None),
    ],
)
def test_returns_are_named_like_those_of_the_original(keys, returned, named):
    """Values get the original's names unless they have them already."""
    assert _named_like(keys, returned, where="foo") == named


def test_reports_and_names_reach_the_last_of_several(app, write):
    """What the first plugin took over, the second takes over from it."""
    foo_of(app, returns="value", max_retries=9).report_meta = [{"key_name": "value"}]
    load_plugins(app, [write(DOUBLE), write(DOUBLE)])
    last = app.tasks["m.foo"]

    assert (last.return_keys, last.max_retries, last.report_meta) == (("value",), 9, [{"key_name": "value"}])
    assert last.orig.s(2).apply_async().get()["value"] == 4


def test_a_call_of_the_plugin_is_json(app, plugin):
    """What a plugin's task returns is as plain as what the original returns."""
    foo_of(app, returns="value")

    assert json.dumps(inside(app, lambda _: plugin(ASK, "asks_a.py")(1)))
