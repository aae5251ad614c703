"""The pages of a run and of a sweep, as a browser shows them on a phone and on a desktop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import browser, look

from neurosparse.analysis.report import Example, write_report
from neurosparse.analysis.sweep_report import write_sweep_report
from neurosparse.core.recording import Recording

PHONE, DESKTOP = 420, 1280


@pytest.fixture(scope="module", autouse=True)
def _a_browser_is_there() -> None:
    browser()


@pytest.fixture
def example(recording: Recording, inputs: np.ndarray) -> Example:
    return Example(recording, inputs, np.array([0, 1]))


def test_the_page_of_a_run_fits_phone_and_desktop_and_loads_nothing(
    run: Path, example: Example, tmp_path: Path
) -> None:
    page = write_report(run, example=example, image_shape=(2, 2), training_state={"network": 100}).read_text()
    for width, seen in zip((PHONE, DESKTOP), look(page, [PHONE, DESKTOP], tmp_path), strict=True):
        assert seen.report["inner_width"] == width
        assert seen.report["images"] == page.count("<img ") > 20
        assert seen.complaints == {}


@pytest.mark.usefixtures("unrendered")
@pytest.mark.parametrize(
    "missing",
    [
        ["network.safetensors"],
        ["metrics.jsonl", "simulations.json", "rasters.safetensors", "config.toml"],
        ["simulations.json", "initial_network.safetensors"],
    ],
    ids=["no network", "only networks", "no engines"],
)
def test_a_page_with_sections_missing_is_as_good(run: Path, missing: list[str], tmp_path: Path) -> None:
    for name in missing:
        (run / name).unlink()
    (seen,) = look(_stretched(write_report(run).read_text()), [PHONE], tmp_path)
    assert seen.complaints == {}


def test_the_page_of_a_sweep_fits_phone_and_desktop_and_loads_nothing(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {
            "run": f"{method}-{density:g}-{seed}",
            "method": method,
            "density": density,
            "seed": seed,
            "test_accuracy": 0.9 + 0.01 * seed - 0.02 / density / 100,
            "synapses": round(12_345_678 * density),
            "synaptic_operations": 1e7 * density,
            "seconds": 12.5,
            "varied": {"training.learning_rate": 0.01},
        }
        for method in ("deep_r", "static")
        for density in (0.01, 0.1)
        for seed in (0, 1, 2)
    ]
    page = write_sweep_report(tmp_path, rows, complete=12, total=13, plan="{}").read_text()
    for width, seen in zip((PHONE, DESKTOP), look(page, [PHONE, DESKTOP], tmp_path), strict=True):
        assert (seen.report["inner_width"], seen.report["images"]) == (width, 2)
        assert seen.complaints == {}


def test_the_check_sees_what_is_wrong(tmp_path: Path) -> None:
    page = """<!DOCTYPE html><html><head></head><body><nav><a href="#gone">x</a></nav><p style="width: 900px">wide</p>
    <figure><img src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=" width="200"></figure>
    <figure><img src="https://example.org/picture.png" alt="elsewhere"></figure>
    <script nonce="check">console.error("spoken"); missing();</script></body></html>"""
    found = look(page, [PHONE], tmp_path)[0].complaints
    assert found["scrolls to"] > 900 - 1
    assert [text[:2] for text in found["wide"]] == ["<p"]
    assert (found["without_alt"], found["dangling"], found["not_shown"]) == (1, ["#gone"], ["elsewhere"])
    assert found["blocked"] == ["https://example.org/picture.png"]
    assert any("missing is not defined" in text for text in found["failed"])
    assert any("spoken" in line for line in found["console"])


def _stretched(page: str) -> str:
    """Return the page with its one-pixel figures as large as real ones, so that their place is that of real ones."""
    return page.replace("<img ", '<img width="736" height="480" ')
