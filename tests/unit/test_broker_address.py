"""Addresses of brokers with and without their passwords."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firexkit.broker_address import BrokerAddressError, bare, password_in, with_password, without_password

ADDRESSES = ["redis://host:6379/0", "redis+socket:///tmp/x/s?virtual_host=0", "rediss://user@host/1"]


@pytest.mark.parametrize("address", ADDRESSES)
@given(password=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1))
def test_a_password_from_a_file_comes_back_whole(tmp_path_factory, address, password):
    file = tmp_path_factory.getbasetemp() / "password"
    file.write_text(f"{password}\nnot this line\n", encoding="utf-8")
    full = with_password(address, file)

    assert password_in(full) == password
    assert bare(full) == address


@pytest.mark.parametrize("address", ADDRESSES)
def test_without_a_password_an_address_is_shown_as_it_is(address):
    assert without_password(address) == address
    assert with_password(address, None) == address
    assert password_in(address) == ""


def test_a_password_is_not_shown():
    assert without_password("redis://:geheim@host/0") == "redis://:***@host/0"
    assert without_password("redis://ada:geheim@host/0") == "redis://ada:***@host/0"


@pytest.mark.parametrize(("content", "message"), [(None, "cannot read"), ("", "is empty"), ("\n\n", "is empty")])
def test_a_useless_password_file_is_named(tmp_path, content, message):
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)

    with pytest.raises(BrokerAddressError, match=message) as caught:
        with_password("redis://host", file)
    assert str(file) in str(caught.value)


def test_two_passwords_are_one_too_many(tmp_path):
    file = tmp_path / "password"
    file.write_text("x")

    with pytest.raises(BrokerAddressError, match="not both"):
        with_password("redis://:y@host", file)
