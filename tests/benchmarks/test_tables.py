"""From raw times to tables, targets and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neurosparse.benchmarks import tables
from neurosparse.benchmarks.figures import write_figures
from neurosparse.benchmarks.targets import targets

Results = dict[str, Any]


def test_speed_ups_are_told_for_one_layer_and_inside_a_network(results: Results) -> None:
    last = tables.speed_table(results["layer_step"]).splitlines()[-1]
    assert last == "| 5 % | 20.0x | 40.0x | 5.0x | 10.0x | SparseLab, linear part |"


def test_a_contestant_that_did_not_run_at_a_density_has_a_hyphen(results: Results) -> None:
    del results["layer_step"]["rows"][1]["times"]["SparseLab, linear part"]
    lines = tables.layer_table(results["layer_step"]).splitlines()
    assert lines[0] == "|  | 100 % | 5 % |"
    assert "| SparseLab, linear part | 50.0 | - |" in lines
    assert "| snnTorch, dense | 200.0 | 200.0 |" in lines


def test_the_training_step_shows_time_speed_up_and_the_share_of_rewiring(results: Results) -> None:
    last = tables.training_table(results["training_step"]).splitlines()[-1]
    assert last == "| 5 % | 93 082 | 500 | - | 50 | 10.0x | 12.0 % |"


def test_memory_is_dense_beside_sparse_in_separate_numbers(results: Results) -> None:
    dense, ours = tables.memory_table(results["training_step"]).splitlines()[2:]
    assert dense == "| snnTorch, dense | 24.0 MB | 8.0 MB | 300 MB | 200 MB | 300.0 M | 500 |"
    assert ours == "| neurosparse, DEEP R, 5 % | 1.2 MB | 0.4 MB | 300 MB | 200 MB | 15.0 M | 50 |"


def test_simulators_show_their_own_clock_and_what_one_waits_for(results: Results) -> None:
    ours, brian2, _ = tables.simulation_table(results["simulation"]).splitlines()[2:]
    assert ours == "| neurosparse native | 1.500 | 1.0x |  |"
    assert brian2 == "| Brian2 C++ standalone, time steps | 13.500 | 9.0x | 60 |"


def test_the_profile_separates_what_a_synapse_costs_from_the_rest(results: Results) -> None:
    lines = tables.profile_table(results["profile"]).splitlines()
    assert lines[0] == "| ms | 1 % | 10 % | ns a synapse, 16 lanes and core | cycles |"
    # 3 ms on two cores for 20 million
    assert lines[2].endswith("membrane, spikes | 1.00 | 4.00 | 0.30 | 1.2 |")
    assert lines[-2] == "| Python, autograd and torch | 2.00 | 2.00 |  |  |"
    assert lines[-1] == "| **all** | **6.00** | **9.00** |  |  |"


def test_the_profile_of_a_training_step_adds_up(results: Results) -> None:
    lines = tables.profile_training_table(results["profile"]).splitlines()
    assert lines[0] == "| 784-1024-1024-10, 5 % | ms | share |"
    cells = [line.strip("| ").split(" | ") for line in lines[2:]]
    assert cells[-2:] == [["rewiring", "2.00", "10 %"], ["Adam, loss, Python, autograd and torch", "6.00", "30 %"]]
    assert sum(float(ms) for _, ms, _ in cells) == 20.0


def test_the_engines_choice_is_compared_with_the_best_method(results: Results) -> None:
    lines = tables.choice_table(results["choice"]).splitlines()
    assert lines[0] == "| density | rate | words, ms | events, ms | dense, ms | auto, ms | auto / best |"
    assert lines[2] == "| 20 % | 1 % | 30.0 | 20.0 | 80.0 | 21.0 | 1.05 |"
    (target,) = [t for t in targets(results) if "choice" in t.what]
    assert (target.measured, target.holds) == ("1.50", False)


def test_every_target_is_judged_from_the_times(results: Results) -> None:
    found = {target.what: target for target in targets(results)}
    layer = found["layer step, 5 %, against snnTorch"]
    assert (layer.wanted, layer.measured, layer.holds) == ("at least 15x", "20.0x", True)
    assert found["layer step inside a network, 5 %, against snnTorch"].measured == "40.0x"
    assert not found["layer step, 100 %, against the best peer (SparseLab, linear part)"].holds  # 0.5x
    assert found["layer step inside a network, 100 %, against the best peer (SparseLab, linear part)"].holds  # 1.0x
    assert found["layer step, 5 %, against the best peer (SparseLab, linear part)"].holds  # 5.0x is enough
    assert not found["training step at 5 %, against dense snnTorch"].holds  # 10x of 12x
    assert found["rewiring's share of that step"].holds
    assert not found["simulating one sample, against Brian2 C++ standalone, time steps"].holds  # 9x of 10x
    assert found["simulating one sample, against Lava CPU float, time steps"].measured == "200.0x"
    assert found["training 60000 x 60000 with 100000 synapses in 6 GB"].measured == "peak 500 MB resident"
    assert found["growth with synapses, 10 to 1000: ratio of slopes"].holds
    assert not found["growth with lanes, 10 to 1000: ratio of slopes"].holds
    assert "| **no** |" in tables.targets_table(results)


def test_a_large_layer_that_failed_is_a_target_that_is_missed(results: Results) -> None:
    results["large_layer"] = {**results["large_layer"], "passed": False, "facts": {}}
    (target,) = targets({"large_layer": results["large_layer"]})
    assert (target.measured, target.holds) == ("failed", False)


def test_all_tables_come_under_headings_and_a_quick_run_judges_nothing(results: Results) -> None:
    text = tables.markdown(results)
    for title in ("Layer step, milliseconds", "Training step", "Memory of the training step", "Growth", "Targets"):
        assert f"### {title}\n" in text
    assert "Targets" not in tables.markdown({**results, "quick": True})
    assert "Growth" not in tables.markdown({name: part for name, part in results.items() if name != "growth"})


def test_the_summary_has_the_layer_step_and_the_training_step_in_a_sentence(results: Results) -> None:
    first, *_, last = tables.summary(results).splitlines()
    assert first.endswith("5 % of the inputs spiking, forward and both gradients, 2 threads (a processor):")
    assert last.endswith(
        "(12 % of it): 10.0x as fast as dense snnTorch; weights, index and optimizer take 20.0x less memory."
    )


def test_figures_are_drawn_for_the_parts_that_were_measured(results: Results, tmp_path: Path) -> None:
    paths = write_figures(results, tmp_path / "figures")
    assert [path.name for path in paths] == ["speed.png", "growth.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)
    assert [path.name for path in write_figures({"growth": results["growth"]}, tmp_path)] == ["growth.png"]
