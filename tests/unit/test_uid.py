"""Ids of runs, and the argument uid."""

from datetime import UTC, datetime

import pytest

from firexkit._serialization import decode, encode
from firexkit.uid import Uid, find_run_ids, is_run_id, new_run_id

ID = "FireX-ada-261122-160000-0123456789abcdef0123456789abcdef"


def test_ids_differ_and_are_known_as_such():
    ids = {new_run_id("ada") for _ in range(100)}

    assert len(ids) == 100
    assert all(is_run_id(one) for one in ids)


@pytest.mark.parametrize("user", ["../../etc", "a b", "Ünal", "x" * 200, "a-b"])
def test_an_id_is_a_safe_file_name_whoever_the_user_is(user):
    assert is_run_id(new_run_id(user))


@pytest.mark.parametrize("text", ["", "latest", ID[:-1], f"{ID}0", f"../{ID}", ID.replace("FireX", "firex")])
def test_other_texts_are_no_ids(text):
    assert not is_run_id(text)


def test_ids_are_found_in_text():
    assert find_run_ids(f"see {ID}, and {ID}.") == [ID, ID]


def test_a_uid_is_its_text_and_tells_what_stands_in_it():
    uid = Uid(ID, "/runs/x")

    assert uid == ID
    assert str(uid) == ID
    assert {uid: 1}[ID] == 1
    assert (uid.user, uid.timestamp) == ("ada", datetime(2026, 11, 22, 16, tzinfo=UTC))
    assert (uid.logs_dir, uid.logs_url, uid.viewers) == ("/runs/x", "/runs/x", {})
    assert uid.debug_dir == "/runs/x/firex_internal"
    assert uid.resources_dir == "/runs/x/firex_internal/resources"


def test_uids_of_different_runs_differ():
    assert Uid(ID, "/a") != Uid(new_run_id(), "/a")
    assert Uid(ID, "/a") != 3


def test_a_uid_travels():
    assert decode(encode(Uid(ID, "/runs/x", {"viewer": "http://x"}))).viewers == {"viewer": "http://x"}


def test_a_uid_that_is_no_run_id_says_so_when_asked_for_a_part():
    with pytest.raises(ValueError, match="'mine' is not the id of a run"):
        _ = Uid("mine", "/x").user
