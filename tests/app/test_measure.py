"""headlight measure, from files to numbers."""

import json
import zipfile

import numpy
import pytest


@pytest.fixture
def attention(tmp_path):
    """Two heads that look at everything up to their own place, as the file a.npy."""
    weights = numpy.tril(numpy.ones((2, 6, 6)))
    weights /= weights.sum(-1, keepdims=True)
    numpy.save(tmp_path / "a.npy", weights)
    return weights


def case(folder, about, **arrays):
    folder.mkdir(exist_ok=True)
    (folder / "case.json").write_text(about if isinstance(about, str) else json.dumps(about))
    for name, array in arrays.items():
        numpy.save(folder / f"{name}.npy", array)


def test_uniform_causal_attention_is_measured_exactly(headlight, attention):
    heads = headlight("measure", "a.npy", "--causal", "--json").json()["structure"]
    assert len(heads) == 2
    assert heads[0]["entropy_nats"] == pytest.approx(numpy.mean(numpy.log(numpy.arange(1, 7))))


@pytest.mark.parametrize("window", ["0", "-3"])
def test_a_window_that_shows_nothing_is_refused(headlight, attention, tmp_path, window):
    assert "--window" in headlight("measure", "a.npy", "--causal", "--window", window, code=2).err
    case(tmp_path / "c", {"causal": True, "window": int(window)}, attention=attention)
    err = headlight("measure", "c", code=3).err
    assert "case.json" in err and "window" in err and "1 or more" in err


def test_a_list_of_excluded_keys_must_leave_one(headlight, attention, tmp_path):
    headlight("measure", "a.npy", "--causal", "--exclude", "0,1,2,3,4")
    err = headlight("measure", "a.npy", "--causal", "--exclude", "0,1,2,3,4,5", code=3).err
    assert "a.npy" in err and "--exclude" in err and "at least one" in err
    case(tmp_path / "c", {"causal": True, "exclude": [5, 4, 3, 2, 1, 0]}, attention=attention)
    assert "exclude" in headlight("measure", "c", code=3).err


@pytest.mark.parametrize("about, known", [
    ({"causal": True, "windw": 3}, "window"),
    ({"bootstrap_seeds": {"d": 1}, "replicates": 10, "margn": 0.1}, "margin"),
    ({"bootstrap_seeds": {"d": 1}, "replicates": 10, "models": {"m": {"d_modell": 4}}}, "d_model"),
])
def test_an_unknown_key_of_a_case_is_named_beside_the_known(headlight, attention, tmp_path, about,
                                                           known):
    case(tmp_path / "c", about, attention=attention, d=numpy.linspace(0, 1, 5))
    err = headlight("measure", "c", code=3).err
    wrong = next(key for key in ("windw", "margn", "d_modell") if key in json.dumps(about))
    assert f'"{wrong}"' in err and f" {known}" in err.split("known here are")[1]


@pytest.mark.parametrize("text, place", [
    ('{"causal": true', "line 1, column 16"), ('{\n "causal": tru}', "line 2"), ("", "line 1"),
    ('{"a": 1, "a": 2}', '"a" twice')])
def test_a_case_that_is_no_json_is_refused_with_the_place(headlight, tmp_path, text, place):
    case(tmp_path / "c", text)
    err = headlight("measure", "c", code=3).err
    assert "case.json" in err and place in err and "json.exception" not in err


def test_an_archive_without_arrays_says_so(headlight, tmp_path):
    zipfile.ZipFile(tmp_path / "empty.npz", "w").close()
    err = headlight("measure", "empty.npz", code=3).err
    assert "empty.npz" in err and "holds no array" in err


def test_a_table_in_a_pipe_fits_a_page(headlight, attention):
    out = headlight("measure", "a.npy", "--causal").out
    assert max(len(line) for line in out.splitlines()) <= 100
