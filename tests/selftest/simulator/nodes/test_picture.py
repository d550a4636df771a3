"""Simulated eyes."""

from __future__ import annotations

import base64

import pytest

from pytest_modelrt.probes.picture import BLUE, RED, data_url, plain, written
from pytest_modelrt.simulator.nodes.engines.picture import PictureError, look


@pytest.mark.parametrize(("colour", "name"), [(RED, "red"), (BLUE, "blue"), ((250, 250, 250), "white")])
def test_colours_are_named(colour: tuple[int, int, int], name: str) -> None:
    seen = look(data_url(plain(colour)))
    assert (seen.colour, seen.text, seen.width) == (name, "", 224)


@pytest.mark.parametrize("text", ["HELLO 2741", "1 HOLE", "42", "LOLL 7"])
def test_text_is_read(text: str) -> None:
    assert look(data_url(written(text))).text == text


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/cat.png",
        "data:image/png;base64,***",
        "data:image/png;base64," + base64.b64encode(b"GIF89a").decode(),
        data_url(plain(RED)[:60]),
    ],
)
def test_what_is_no_picture_is_refused(url: str) -> None:
    with pytest.raises(PictureError):
        look(url)
