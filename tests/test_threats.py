"""docs/threats.rst claims nothing without a test: each row names some, and they are there."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "threats.rst"

#: How many there are of each letter; a threat that turned out to be another one has left a gap.
IDS = [
    *(f"A{number}" for number in range(1, 14)),
    *(f"B{number}" for number in range(1, 9) if number != 2),
    *(f"C{number}" for number in range(1, 11)),
    *(f"D{number}" for number in range(1, 6)),
    *(f"E{number}" for number in range(1, 8) if number != 5),
    *(f"F{number}" for number in range(1, 12) if number != 9),
    "G",
    *(f"H{number}" for number in range(1, 8) if number not in (2, 4)),
]

ROW = re.compile(r"^   \* - ([A-H]\d*)\n((?:     .*\n)*)", re.MULTILINE)
PROOF = re.compile(r"``([\w/.]+)::([^`]+)``")


def rows() -> dict[str, list[str]]:
    """The cells of each row beside its id: threat, what is done, proof."""
    return {id_: cells.split("\n     - ") for id_, cells in ROW.findall(PAGE.read_text())}


def proofs() -> list[tuple[str, str]]:
    return PROOF.findall(PAGE.read_text())


@cache
def names_in(file: str) -> set[str]:
    """The tests of a file, as "function", "Class::method" or, in JavaScript, their sentences."""
    text = (TESTS / file).read_text()
    if file.endswith(".mjs"):
        return set(re.findall(r'^test\("(.+?)", ', text, re.MULTILINE))
    return set(named_in(ast.parse(text)))


def named_in(node: ast.AST, prefix: str = "") -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            if child.name.startswith("test_"):
                yield prefix + child.name
        elif isinstance(child, ast.ClassDef):
            yield from named_in(child, f"{child.name}::" if child.name.startswith("Test") else "-")
        else:
            yield from named_in(child, prefix)


def test_each_threat_has_its_row():
    found = ROW.findall(PAGE.read_text())
    assert [id_ for id_, _ in found] == IDS


@pytest.mark.parametrize("id_", IDS)
def test_each_row_has_a_proof(id_):
    threat, done, proof = rows()[id_]
    assert threat.strip(" -\n")
    assert done
    assert PROOF.search(proof)


@pytest.mark.parametrize(("file", "name"), sorted(set(proofs())))
def test_each_proof_is_there(file, name):
    assert name in names_in(file)


def test_what_is_no_test_is_no_proof():
    assert "test_what_is_no_test_is_no_proof" in names_in("test_threats.py")
    assert not {"rows", "test_nothing"} & names_in("test_threats.py")
    assert "TestDatabaseRestart::test_the_next_call_works" in names_in("test_threads.py")
