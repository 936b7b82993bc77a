"""Every documented name is there, with its parameters, defaults, bases and values."""

import enum
import importlib
import inspect
import json
from pathlib import Path

import pytest
from celery import Celery

app = Celery("contract", set_as_current=False)
ENTRIES = json.loads((Path(__file__).parent / "seed_api.json").read_text())["entries"]
KINDS = {
    "normal": (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY),
    "var_positional": (inspect.Parameter.VAR_POSITIONAL,),
    "var_keyword": (inspect.Parameter.VAR_KEYWORD,),
}


def name_of(entry):
    return ".".join(part for part in (entry["module"], entry.get("class"), entry["name"]) if part)


def owner_of(entry):
    module = importlib.import_module(entry["module"])
    return getattr(module, entry["class"]) if "class" in entry else module


def is_a(kind, owner, name):
    found = inspect.getattr_static(owner, name, None)
    tests = {
        "property": lambda: isinstance(found, property),
        "classmethod": lambda: isinstance(found, classmethod),
        "method": lambda: inspect.isfunction(found),
        "abstract": lambda: inspect.isfunction(found) and found.__isabstractmethod__,
        "function": lambda: inspect.isfunction(getattr(owner, name)),
        "class": lambda: inspect.isclass(getattr(owner, name)),
        "exception": lambda: issubclass(getattr(owner, name), Exception),
        "constant": lambda: hasattr(owner, name),
        "field": lambda: hasattr(owner, name) or name in owner.__annotations__,
    }
    return tests[kind]()


def bound(owner):
    """A task class as an app binds it: what Celery's settings decide is decided then."""
    return app.task(lambda_free, base=owner, shared=False) if owner.__name__ == "FireXTask" else owner


def lambda_free():
    """Do nothing."""


def documented(parameter):
    """A parameter's default as the reference writes it."""
    default = parameter.default
    return f"<function {default.__name__}>" if inspect.isfunction(default) else repr(default)


@pytest.mark.parametrize("entry", ENTRIES, ids=name_of)
def test_documented_name_is_there(entry):
    """The name can be imported from its documented path and is what it is documented as."""
    assert is_a(entry["kind"], owner_of(entry), entry["name"])


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.get("base")], ids=name_of)
def test_documented_base(entry):
    """A class derives directly from its documented base."""
    bases = [base.__name__ for base in getattr(owner_of(entry), entry["name"]).__bases__]

    assert entry["base"] in bases


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.get("params")], ids=name_of)
def test_documented_parameters(entry):
    """The documented parameters come first, in order, of their kind, with their defaults."""
    if inspect.isclass(owner_of(entry)) or not issubclass(type(getattr(owner_of(entry), entry["name"])), enum.EnumMeta):
        signature = inspect.signature(getattr(owner_of(entry), entry["name"]))
        ours = [parameter for name, parameter in signature.parameters.items() if name != "self"]

        for given, parameter in zip(entry["params"], ours, strict=False):
            assert parameter.name == given["name"]
            assert parameter.kind in KINDS[given["kind"]]
            assert "default" not in given or given["default"] in (documented(parameter), str(parameter.default))
        assert len(ours) >= len(entry["params"])


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if "value" in entry], ids=name_of)
def test_documented_value(entry):
    """A constant has its documented value."""
    value = getattr(bound(owner_of(entry)), entry["name"])
    shown = repr(value.value if isinstance(value, enum.Enum) else value)

    assert shown.split(" object at ")[0].rstrip(">") == entry["value"].split(" object")[0].rstrip(">")


def test_all_are_counted():
    """The reference has 129 entries."""
    assert len(ENTRIES) == 129
