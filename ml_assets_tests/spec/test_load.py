"""A `defs.yaml` says each thing once."""

import pytest

from ml_assets.errors import DeclarationError
from ml_assets.spec.load import parse_documents


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\na: 3", 3),
        ("a:\n  - b: 1\n    c: 2\n    b: 3", 4),
        ("a: {b: 1,\n b: 2}", 2),
        ("a: {b: 1, b: 2}", 1),
        ("---\na: 1\n---\nb:\n  'c': 1\n  c: 2", 6),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_both_lines(text: str, line: int) -> None:
    with pytest.raises(DeclarationError, match=f"^defs.yaml:{line}: '[abc]' stands on line [0-9] already: keep one"):
        [*parse_documents(text, "defs.yaml")]


def test_a_key_may_stand_in_several_mappings_and_be_merged() -> None:
    text = "base: &base {a: 1}\nother:\n  <<: *base\n  a: 2\nlist: [{a: 1}, {a: 2}]"
    (document,) = parse_documents(text, "defs.yaml")
    assert document.value["other"] == {"a": 2}


def test_an_alias_that_stands_for_what_it_is_within_ends() -> None:
    (document,) = parse_documents("a: &a [*a]", "defs.yaml")
    assert document.value["a"][0] is document.value["a"]


def test_a_key_is_the_word_that_it_is_written_as() -> None:
    (document,) = parse_documents("on: {no: yes}\nother: [{off: 1}]", "defs.yaml")
    assert document.value == {"on": {"no": True}, "other": [{"off": 1}]}
