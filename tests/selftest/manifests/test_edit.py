"""Edits change what they mean to change and keep every other byte."""

from pathlib import Path

import pytest
import yaml

from pytest_modelrt.manifests.edit import EditError, prepend_comment, set_value

CONFIG = Path(__file__).parents[3] / "config"

TEXT = """\
# licence of somebody

---
# a runtime
apiVersion: ome.io/v1beta1   # do not touch
kind: ClusterServingRuntime
metadata: {name: srt-x, labels: {"a": 'b'}}
spec:
    supportedModelFormats:
    - modelFramework:
          name: transformers
          version: "4.45.0"    # of the model
      modelArchitecture: 'Old'
    modelSizeRange: {min: 5B, max: 9B}
    empty:
    script: |
      keep   this
        --- as is
    storage:
        path: /raid/ä/ö
    # trailing comment

---

kind: Second
metadata:
  name: two\
"""


def changed(before: str, after: str) -> list[tuple[str, str]]:
    ours, theirs = before.split("\n"), after.split("\n")
    assert len(ours) == len(theirs)
    return [(old, new) for old, new in zip(ours, theirs, strict=True) if old != new]


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (
            "spec.supportedModelFormats[0].modelFramework.version",
            "4.46.0.dev0",
            '          version: "4.46.0.dev0"    # of the model',
        ),
        ("spec.supportedModelFormats[0].modelArchitecture", "It's", "      modelArchitecture: 'It''s'"),
        ("spec.modelSizeRange.min", "4B", "    modelSizeRange: {min: 4B, max: 9B}"),
        ("spec.modelSizeRange.kind", "x", "    modelSizeRange: {min: 5B, max: 9B, kind: x}"),
        ("metadata.labels.a", "c: d", "metadata: {name: srt-x, labels: {\"a\": 'c: d'}}"),
        ("apiVersion", "v2", "apiVersion: v2   # do not touch"),
        ("spec.storage.path", "4.41", '        path: "4.41"'),
        ("spec.storage.path", "yes", '        path: "yes"'),
        ("spec.storage.path", 3, "        path: 3"),
    ],
)
@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_one_line_changes(path: str, value: object, line: str, eol: str) -> None:
    before = TEXT.replace("\n", eol)
    after = set_value(before, path, value)
    assert [new.rstrip("\r") for _, new in changed(before, after)] == [line]
    assert after.count("\r") == before.count("\r")


def test_a_missing_field_is_added_at_the_end_of_its_mapping() -> None:
    after = set_value(TEXT, "spec.storage.key", "hf-token", quoted=True)
    assert after == TEXT.replace("ä/ö\n", 'ä/ö\n        key: "hf-token"\n')


def test_a_missing_mapping_is_added_with_its_fields() -> None:
    after = set_value(TEXT, "spec.storage.limits", {"min": "5B", "max": "9B"})
    wanted = "ä/ö\n        limits:\n          min: 5B\n          max: 9B\n"
    assert after == TEXT.replace("ä/ö\n", wanted)


def test_a_field_is_added_after_a_block_of_text_and_keeps_crlf() -> None:
    before = "spec:\r\n  script: |\r\n    a\r\nother: 1\r\n"
    assert set_value(before, "spec.x", "z") == "spec:\r\n  script: |\r\n    a\r\n  x: z\r\nother: 1\r\n"


def test_a_file_without_a_last_newline_stays_without() -> None:
    assert set_value(TEXT, "metadata.name", "three", document=1) == TEXT.replace("name: two", "name: three")
    assert set_value(TEXT, "metadata.more", "x", document=1) == TEXT + "\n  more: x"


def test_a_byte_order_mark_stays() -> None:
    before = "\ufeffkind: A\nname: b\n"
    assert set_value(before, "name", "c") == "\ufeffkind: A\nname: c\n"
    assert prepend_comment(before, "hello") == "\ufeff# hello\nkind: A\nname: b\n"


def test_a_comment_goes_right_above_the_first_field_once() -> None:
    once = prepend_comment(TEXT, "gated")
    assert once == TEXT.replace("# a runtime\n", "# a runtime\n# gated\n")
    assert prepend_comment(once, "gated") == once
    second = prepend_comment(TEXT, "gated", document=1)
    assert second == TEXT.replace("\nkind: Second", "\n# gated\nkind: Second")


@pytest.mark.parametrize(
    ("text", "path", "why"),
    [
        (TEXT, "spec.script", "block of text"),
        (TEXT, "spec.empty", "is empty"),
        (TEXT, "spec.storage", "is not a single value"),
        (TEXT, "spec.nowhere.x", "there is no 'nowhere'"),
        (TEXT, "spec.supportedModelFormats[3].x", "there is no 3"),
        (TEXT, "spec.supportedModelFormats[3]", "no such place"),
        ("a: &x 1\nb: 2\n", "a", "anchored"),
        ("a: &x 1\nb: *x\n", "a", "shared"),
        ("a: &x 1\nb: *x\n", "b", "shared"),
        ("a: &x {c: 1}\nb: *x\n", "a.c", "shared"),
        ("a: &x {c: 1}\nb: *x\n", "b.c", "shared"),
        ("a: !!str 1\n", "a", "tagged"),
        ("a: {}\n", "a.b", "its mapping is empty"),
    ],
)
def test_what_cannot_be_edited_safely_is_refused(text: str, path: str, why: str) -> None:
    with pytest.raises(EditError, match=why):
        set_value(text, path, "new")


def test_an_unknown_document_is_refused() -> None:
    with pytest.raises(EditError, match="no document 5"):
        prepend_comment(TEXT, "x", document=5)


def test_every_runtime_of_the_tree_can_be_edited_in_one_line() -> None:
    path = "spec.supportedModelFormats[0].modelFramework.version"
    for file in sorted((CONFIG / "runtimes").rglob("*.yaml"))[::8]:
        before = file.read_text(encoding="utf-8")
        ((old, new),) = changed(before, set_value(before, path, "9.9.9.dev9"))
        assert new == old[: old.index("version:")] + "version: 9.9.9.dev9"


def test_edited_text_reads_as_the_old_with_the_change() -> None:
    after = yaml.safe_load_all(set_value(TEXT, "spec.storage.key", "hf-token"))
    first = next(after)
    assert first["spec"]["storage"] == {"path": "/raid/ä/ö", "key": "hf-token"}
    assert first["spec"]["script"] == "keep   this\n  --- as is\n"
