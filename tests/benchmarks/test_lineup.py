"""Who takes part: interpreters by name, by folder, or none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from neurosparse.benchmarks import lineup, process
from neurosparse.benchmarks.lineup import PEERS, find_peers
from neurosparse.errors import UnknownNameError, ValidationError


def test_dependencies_always_take_part_and_run_in_this_interpreter() -> None:
    found = find_peers()
    assert {found.pythons[name] for name in ("neurosparse", "snntorch", "torch_csr")} == {Path(sys.executable)}


def test_a_peer_that_is_nowhere_is_missing_with_the_line_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineup.importlib.util, "find_spec", lambda name: None if name == "norse" else object())
    found = find_peers()
    assert list(found.missing) == ["norse"]
    assert "benchmarks/README.md" in found.missing["norse"]


def test_environments_are_found_by_their_names_in_a_folder_and_a_named_one_comes_first(tmp_path: Path) -> None:
    for name in ("norse", "sparselab", "snntorch"):
        python = lineup._interpreter(tmp_path / name)
        python.parent.mkdir(parents=True)
        python.touch()
    mine = tmp_path / "python"
    mine.touch()
    found = find_peers({"sparselab": mine}, tmp_path)
    assert found.pythons["norse"] == lineup._interpreter(tmp_path / "norse")
    assert found.pythons["sparselab"] == mine
    assert found.pythons["snntorch"] == Path(sys.executable)  # a dependency: what the user's networks run on


def test_wrong_names_and_places_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"peer: 'nors' is not known. Did you mean 'norse'\?"):
        find_peers({"nors": Path(sys.executable)})
    with pytest.raises(ValidationError, match=r"peer.norse: .*nowhere is not a file"):
        find_peers({"norse": tmp_path / "nowhere"})
    with pytest.raises(ValidationError, match=r"peers: .*nowhere is not a folder"):
        find_peers(folder=tmp_path / "nowhere")


def test_every_peer_has_its_file_and_its_list_of_packages() -> None:
    files = {path.stem for path in process.PEER_FOLDER.glob("*.py")} - {"__init__"}
    assert files == set(PEERS)
    lists = Path(__file__).parents[2] / "benchmarks" / "peers"
    assert {path.stem for path in lists.glob("*.txt")} == {name for name, peer in PEERS.items() if peer.separate}
