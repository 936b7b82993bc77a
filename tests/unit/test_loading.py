"""What a run is made of: task files, installed packages, other Celery apps, the project's settings."""

import gc
import sys

import pytest
from celery import current_app, current_task  # noqa: F401 - a test looks at this module's globals

from firexkit._importing import SourceError
from firexkit.plugins import load_plugins
from firexkit.runtime.loading import ProjectSettings, installed_tasks, load_tasks, other_apps, project_settings
from firexkit.task import FireXTask
from unit.sources_support import forgetting_imports, run_app, writer
from unit.task_support import next_message

HEAD = "from firexkit.app import FireX\napp = FireX('flow', broker='redis://elsewhere')\n"
PLAIN = "from celery import Celery\nother = Celery('other', broker='redis://elsewhere', backend='rpc://')\n"
TASK = "@{app}.task\ndef {name}(x=1): return x\n"


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
    return run_app()


@pytest.fixture
def write(tmp_path):
    return writer(tmp_path)


# ── tasks ────────────────────────────────────────────────────────────────────────────────


def test_files_and_modules_are_loaded(app, write, tmp_path, monkeypatch):
    """The run's app has the tasks of all sources, and what was loaded is told."""
    monkeypatch.syspath_prepend(tmp_path)
    file, module = write(HEAD + TASK.format(app="app", name="dig")), write(HEAD + TASK.format(app="app", name="sow"))
    loaded = load_tasks(app, [str(file), module.stem])

    assert {f"{file.stem}.dig", f"{module.stem}.sow"} <= set(loaded.tasks)
    assert [module.__name__ for module in loaded.modules][-2:] == [file.stem, module.stem]
    assert (sys.modules[file.stem].app, loaded.other_apps) == (app, [])
    assert (app.finalized, current_app._get_current_object()) == (True, app)


def test_the_kits_tasks_are_always_there(app):
    """Built-in tasks can be used without naming a source."""
    loaded = load_tasks(app, [])

    assert "firexkit.tasks.nop" in loaded.tasks
    assert loaded.modules[0].__name__ == "firexkit.tasks"


def test_a_second_call_tells_what_is_new(app, write):
    """Tasks can be added later."""
    load_tasks(app, [])
    file = write(HEAD + TASK.format(app="app", name="dig"))

    assert load_tasks(app, [file]).tasks == [f"{file.stem}.dig"]


def test_settings_of_the_file_hold_for_its_tasks(app, write):
    """What a file says of its app after its tasks still counts, as in a plain worker."""
    file = write(HEAD + TASK.format(app="app", name="dig") + "app.conf.task_acks_late = False\n")
    load_tasks(app, [file])

    assert app.tasks[f"{file.stem}.dig"].acks_late is False


def test_tasks_of_one_short_name(app, write):
    """Two files may have tasks of the same short name."""
    files = [write(HEAD + TASK.format(app="app", name="dig")) for _ in range(2)]

    assert {f"{file.stem}.dig" for file in files} <= set(load_tasks(app, files).tasks)


@pytest.mark.parametrize(
    ("first", "second"), [("app.task", "app.task"), ("app.task", "shared_task"), ("other.task", "other.task")]
)
@pytest.mark.parametrize("is_final", [False, True])
def test_tasks_of_one_full_name(app, write, tmp_path, first, second, is_final):
    """Two functions of one full name are an error that names both files, however the tasks are declared."""
    head, name = f"from celery import shared_task\n{PLAIN}{HEAD}", f"{tmp_path.name}.dig"
    files = [write(f"{head}\n@{how}(name='{name}')\ndef dig(): pass\n") for how in (first, second)]
    if is_final:
        app.finalize()
    with pytest.raises(SourceError) as refused:
        load_tasks(app, files)

    assert refused.value.what == f"task {name}"
    assert {str(files[0]), str(files[1])} == {refused.value.file, refused.value.reason.split(":")[0]}
    assert refused.value.line == 7


def test_a_function_that_is_registered_twice_is_no_mistake(app, write):
    """The same function, imported by another file, is one task."""
    file = write(HEAD + TASK.format(app="app", name="dig"))
    again = write(f"from {file.stem} import app, dig\nsame = app.task(name='{file.stem}.dig')(dig.undecorated)\n")

    assert load_tasks(app, [file, again]).tasks.count(f"{file.stem}.dig") == 1


def test_a_source_that_fails(app, write):
    """File, line and reason are told, and the app stays usable for another try."""
    file = write(HEAD + "1 / 0")
    with pytest.raises(SourceError) as refused:
        load_tasks(app, [file])
    file.write_text(HEAD + TASK.format(app="app", name="dig"))

    assert (refused.value.line, refused.value.reason) == (3, "ZeroDivisionError: division by zero")
    assert f"{file.stem}.dig" in load_tasks(app, [file]).tasks


@pytest.mark.parametrize("how", ["app.task", "other.task"])
def test_a_task_that_cant_be_made(app, write, how):
    """A wrong declaration is told with the function's place, not only when somebody uses the task."""
    file = write(PLAIN + HEAD + f"@{how}(returns=('a', 'a'))\ndef dig(): pass\n")

    with pytest.raises(SourceError, match=r"ReturnsCodingException: .*given more than once") as refused:
        load_tasks(app, [file])
    assert (refused.value.file, refused.value.line) == (str(file), 5)


def test_a_wrong_report_is_told(app, write):
    """What is declared above a task is looked at when the tasks are made, and told as an error of the sources."""
    file = write(f"from firexkit.report import report\n{HEAD}@report('depth')\n{TASK.format(app='app', name='dig')}")

    with pytest.raises(SourceError, match="its report is about 'depth'"):
        load_tasks(app, [file])


# ── installed packages ───────────────────────────────────────────────────────────────────


@pytest.fixture
def install(write, tmp_path, monkeypatch):
    """Install a distribution that offers the tasks of a module."""

    def install(distribution, module, text):
        write(text, f"{module}.py")
        write(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n", f"{module}-1.0.dist-info/METADATA")
        write(f"[firex.tasks]\nseeds = {module}\n", f"{module}-1.0.dist-info/entry_points.txt")
        monkeypatch.syspath_prepend(tmp_path)

    return install


def test_installed_tasks(app, install):
    """What an installed package offers is loaded without being named."""
    install("garden-seeds", "garden_seeds_a", HEAD + TASK.format(app="app", name="sow"))

    assert "garden_seeds_a.sow" in load_tasks(app, []).tasks
    assert "garden_seeds_a" in [module.__name__ for module in installed_tasks()]


def test_installed_tasks_that_fail(app, install):
    """The error names the distribution, so that it can be mended or removed."""
    install("garden-seeds", "garden_seeds_b", "import no_such_soil")

    with pytest.raises(SourceError, match="No module named 'no_such_soil'") as refused:
        load_tasks(app, [])
    assert "installed distribution garden-seeds" in refused.value.what
    assert (refused.value.file.endswith("garden_seeds_b.py"), refused.value.line) == (True, 1)


# ── other Celery apps ────────────────────────────────────────────────────────────────────


@pytest.fixture
def garden(app, write):
    """A module with a plain Celery app and tasks of it, loaded."""
    file = write(PLAIN + TASK.format(app="other", name="dig") + TASK.format(app="other", name="sow"))
    loaded = load_tasks(app, [file])
    return loaded.modules[-1], loaded


def test_tasks_of_another_app_are_tasks_of_the_runs(app, garden):
    """The run's app has copies that are FireX tasks."""
    module, loaded = garden
    copy = app.tasks[f"{module.__name__}.dig"]

    assert {f"{module.__name__}.dig", f"{module.__name__}.sow"} <= set(loaded.tasks)
    assert (isinstance(copy, FireXTask), copy.app, module.dig.app) == (True, app, module.other)
    assert loaded.other_apps == [module.other]


def test_another_app_sends_where_the_runs_app_sends(app, garden):
    """A task of another app reaches the run's queue, also when that is decided after loading."""
    module, _ = garden
    app.conf.update(task_default_queue="decided_later")
    module.dig.delay(3)

    assert next_message(app, "decided_later").headers["task"] == f"{module.__name__}.dig"
    assert (module.other.conf.broker_url, module.other.conf.result_backend) == ("memory://", "cache+memory://")
    assert module.other.backend.__class__ is app.backend.__class__


@pytest.mark.parametrize("namespace", [None, "CELERY"])
def test_another_app_with_a_configuration_of_its_own(app, write, namespace):
    """A configuration object does not keep an app from following; what says nothing of places stays."""
    prefix = f"{namespace}_" if namespace else ""
    settings = {"broker_url": "redis://elsewhere", "result_backend": "redis://elsewhere", "task_track_started": True}
    if namespace:
        settings = {f"{prefix}{name}".upper(): value for name, value in settings.items()}
    file = write(f"""\
        from celery import Celery
        other = Celery("other")
        other.config_from_object({settings!r}, namespace={namespace!r})

        @other.task
        def dig(): pass
        """)
    (other,) = load_tasks(app, [file]).other_apps

    assert (other.conf.broker_url, other.conf.result_backend) == ("memory://", "cache+memory://")
    assert other.conf.task_default_queue == app.conf.task_default_queue
    assert other.conf.task_track_started is True


def test_another_app_is_found_by_its_tasks(app, write):
    """An app that lives in another module is found by the tasks that were imported from there."""
    home = write(PLAIN + TASK.format(app="other", name="dig"))
    file = write(f"from celery import current_app, current_task\nfrom {home.stem} import dig\n")
    loaded = load_tasks(app, [file])

    assert loaded.other_apps == [sys.modules[home.stem].other]


def test_whatever_is_current_is_no_other_app(app):
    """Celery's proxies for the current app and task, which this test has among its globals, are not taken for one."""
    assert {"current_app", "current_task"} <= globals().keys()
    assert other_apps([sys.modules[__name__]], app) == []


def test_a_plugin_replaces_a_task_of_another_app(app, garden, write):
    """What other apps share can be replaced as well."""
    module, _ = garden
    load_plugins(app, [write(HEAD + TASK.format(app="app", name="dig"))])

    assert app.tasks[f"{module.__name__}.dig"].from_plugin


# ── settings ─────────────────────────────────────────────────────────────────────────────


def test_no_settings(tmp_path):
    """Without a file there is nothing."""
    assert project_settings(tmp_path) == ProjectSettings(None, (), (), ())


def test_settings_of_the_nearest_file(write, tmp_path):
    """The nearest file with the table counts, from the directory upwards; paths are relative to the file."""
    write("", "flows/extra")
    write('[tool.firex]\ntasks = ["far.py"]', "pyproject.toml")
    file = write(
        """\
        [tool.firex]
        tasks = ["flow.py", "garden.tasks", "extra", "/abs/flow.py"]
        plugins = ["./fast.py"]
        converters = []
        """,
        "flows/pyproject.toml",
    )
    write("[tool.other]\nx = 1", "flows/deep/pyproject.toml")
    (tmp_path / "flows/deep/er").mkdir()
    home = tmp_path / "flows"

    assert project_settings(home / "deep" / "er") == ProjectSettings(
        file, (f"{home}/flow.py", "garden.tasks", f"{home}/extra", "/abs/flow.py"), (f"{home}/fast.py",), ()
    )
    assert project_settings(str(tmp_path)).tasks == (f"{tmp_path}/far.py",)


def test_an_empty_table_ends_the_search(write, tmp_path):
    """A project may say that it has no settings."""
    write('[tool.firex]\ntasks = ["far.py"]', "pyproject.toml")
    file = write("[tool.firex]", "inner/pyproject.toml")

    assert project_settings(tmp_path / "inner") == ProjectSettings(file)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[tool.firex]\ntask = ["a.py"]', "task is no setting; there are tasks, plugins, converters"),
        ('[tool.firex]\ntasks = "a.py"', "tasks must be a list"),
        ("[tool.firex]\nplugins = [1]", "plugins must be a list"),
        ('[tool.firex]\nconverters = [""]', "converters must be a list"),
        ("[tool]\nfirex = 3", "it must be a table"),
        ("[tool.firex]\ntasks = [", "it is no TOML: "),
    ],
)
def test_wrong_settings(write, tmp_path, text, reason):
    """The error names the file and the setting."""
    file = write(text, "pyproject.toml")
    with pytest.raises(SourceError) as refused:
        project_settings(tmp_path)

    assert (refused.value.what, refused.value.file) == ("[tool.firex]", str(file))
    assert reason in refused.value.reason


@pytest.mark.parametrize("text", ["[broken", "tool = 3", "[tool.firex-other]\nx = 1", ""])
def test_a_file_that_is_not_about_firex(write, tmp_path, text):
    """A file that does not speak of the table is somebody else's, even when it is broken."""
    write('[tool.firex]\ntasks = ["far.flow"]', "pyproject.toml")
    write(text, "inner/pyproject.toml")

    assert project_settings(tmp_path / "inner").tasks == ("far.flow",)


def test_a_file_that_cant_be_read(write, tmp_path):
    """What can't be read is not the project's."""
    write('[tool.firex]\ntasks = ["far.flow"]', "pyproject.toml")
    (tmp_path / "inner" / "pyproject.toml").mkdir(parents=True)

    assert project_settings(tmp_path / "inner").tasks == ("far.flow",)
