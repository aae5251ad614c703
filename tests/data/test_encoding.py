"""Encoders: counts, times, determinism and the errors, by hand and over random images."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neurosparse.core.network import Input
from neurosparse.core.rng import stream
from neurosparse.data.encoding import (
    ConstantCurrent,
    DeterministicRate,
    Latency,
    PoissonRate,
    encoders,
    make_encoder,
)
from neurosparse.errors import UnknownNameError, ValidationError

images_strategy = arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 8)))
every_payload = np.arange(256, dtype=np.uint8)[None, :]


def payloads(*values):
    return np.array([values], dtype=np.uint8)


def spike_steps(spikes):
    return np.flatnonzero(spikes).tolist()


@pytest.mark.parametrize("name", list(encoders))
class TestEveryEncoder:
    def test_gives_time_batch_neuron_of_the_type_of_its_kind(self, name):
        encoder = make_encoder(name)
        encoded = encoder.encode(np.zeros((2, 5), np.uint8), 3, generator=stream(0, "encoding"))
        assert encoded.shape == (3, 2, 5)
        assert encoded.dtype == {"graded": np.uint8, "spikes": np.bool_}[encoder.kind]

    def test_black_gives_nothing(self, name):
        encoded = make_encoder(name).encode(np.zeros((2, 5), np.uint8), 20, generator=stream(0, "encoding"))
        assert not encoded.any()

    def test_the_same_images_and_stream_give_the_same_input_and_leave_the_images_alone(self, name):
        images = stream(0, "images").integers(256, size=(3, 50), dtype=np.uint8)
        before = images.copy()
        first, second = (make_encoder(name).encode(images, 12, generator=stream(0, "encoding")) for _ in range(2))
        assert np.array_equal(first, second)
        assert np.array_equal(images, before)

    def test_is_frozen_and_equal_to_its_like(self, name):
        encoder = make_encoder(name)
        assert encoder == make_encoder(name)
        with pytest.raises((FrozenInstanceError, AttributeError)):
            encoder.threshold = 3

    def test_a_network_whose_input_has_its_kind_takes_what_it_gives(self, name):
        encoder = make_encoder(name)
        encoded = encoder.encode(every_payload, 4, generator=stream(0, "encoding"))
        scale = {"graded": 256, "spikes": 1}[encoder.kind]
        assert np.array_equal(Input(256, kind=encoder.kind).values(encoded) * scale, encoded)

    @pytest.mark.parametrize(
        ("images", "n_steps", "message"),
        [
            (np.zeros((1, 2)), 3, r"images: needs a numpy array of uint8 payloads 0..255, got float64; .*\(255 \* x\)"),
            ([[1, 2]], 3, "images: needs a numpy array of uint8 payloads 0..255, got list"),
            (np.zeros(2, np.uint8), 3, r"images: needs shape \(batch, n\), got \(2,\)"),
            (np.zeros((1, 2, 2), np.uint8), 3, r"got \(1, 2, 2\); one row per image: images.reshape"),
            (np.zeros((1, 2), np.uint8), 0, "n_steps: needs an integer >= 1, got 0"),
            (np.zeros((1, 2), np.uint8), 2.0, "n_steps: needs an integer >= 1, got 2.0"),
            (np.zeros((1, 2), np.uint8), True, "n_steps: needs an integer >= 1, got True"),
        ],
    )
    def test_refuses_what_is_no_batch_of_payloads(self, name, images, n_steps, message):
        with pytest.raises(ValidationError, match=message):
            make_encoder(name).encode(images, n_steps, generator=stream(0, "encoding"))


def test_unknown_encoders_and_options_get_the_near_miss():
    with pytest.raises(UnknownNameError, match=r"encoders: 'latencies' is not known. Did you mean 'latency'"):
        make_encoder("latencies")
    with pytest.raises(
        UnknownNameError, match=r"encoders.rate options: 'maxrate' is not known. Did you mean 'max_rate'"
    ):
        make_encoder("rate", maxrate=1.0)
    with pytest.raises(UnknownNameError, match=r"encoders.constant options: 'gain' is not known.*Known: none"):
        make_encoder("constant", gain=2)


class TestConstantCurrent:
    def test_is_the_image_at_every_step_without_a_copy(self):
        images = payloads(0, 1, 255)
        encoded = ConstantCurrent().encode(images, 1000)
        assert encoded.strides[0] == 0
        assert np.shares_memory(encoded, images)
        assert all(np.array_equal(step, images) for step in encoded)

    def test_is_read_only_so_that_no_step_changes_the_others(self):
        encoded = ConstantCurrent().encode(payloads(1), 3)
        with pytest.raises(ValueError, match="read-only"):
            encoded[0] = 0


class TestDeterministicRate:
    @settings(max_examples=200, deadline=None)
    @given(images=images_strategy, n_steps=st.integers(1, 600))
    def test_the_count_of_every_prefix_is_rate_times_steps_rounded(self, images, n_steps):
        counts = DeterministicRate().encode(images, n_steps).cumsum(axis=0)
        steps = np.arange(1, n_steps + 1)[:, None, None]
        # floor(p t / 256 + 1/2) in integers
        assert np.array_equal(counts, (images.astype(np.int64) * steps * 2 + 256) // 512)

    @settings(max_examples=100, deadline=None)
    @given(
        images=images_strategy,
        n_steps=st.integers(1, 300),
        rate_256ths=st.integers(1, 256),
    )
    def test_max_rate_scales_the_count(self, images, n_steps, rate_256ths):
        counts = DeterministicRate(max_rate=rate_256ths / 256).encode(images, n_steps).sum(axis=0)
        assert np.array_equal(counts, (images.astype(np.int64) * rate_256ths * n_steps * 2 + 65536) // 131072)

    @given(payload=st.integers(1, 255))
    @settings(max_examples=60, deadline=None)
    def test_gaps_between_spikes_differ_by_at_most_one_step(self, payload):
        steps = np.flatnonzero(DeterministicRate().encode(payloads(payload), 600))
        gaps = np.diff(steps)
        assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1

    def test_spike_times_by_hand(self):
        spikes = DeterministicRate().encode(payloads(64, 128, 192, 255), 8)[:, 0]
        assert spike_steps(spikes[:, 0]) == [1, 5]
        assert spike_steps(spikes[:, 1]) == [0, 2, 4, 6]
        # 3/4: the phase 1/2 runs 1.25, 1.0, 0.75, 1.5, ... and fires where it reaches 1
        assert spike_steps(spikes[:, 2]) == [0, 1, 3, 4, 5, 7]
        assert spike_steps(spikes[:, 3]) == list(range(8))

    @given(images=images_strategy)
    @settings(max_examples=50, deadline=None)
    def test_an_image_is_encoded_alike_alone_and_in_a_batch(self, images):
        batch = DeterministicRate().encode(images, 17)
        for index, image in enumerate(images):
            assert np.array_equal(DeterministicRate().encode(image[None], 17)[:, 0], batch[:, index])


class TestPoissonRate:
    def test_every_payload_spikes_at_its_rate(self):
        n = 20_000
        images = np.repeat(every_payload, 20, axis=0)
        rate = PoissonRate().encode(images, n // 20, generator=stream(0, "encoding")).mean(axis=(0, 1))
        p = every_payload[0] / 256
        assert (np.abs(rate - p) <= 5 * np.sqrt(p * (1 - p) / n)).all()  # 5 standard errors, 256 times

    def test_max_rate_scales_the_probability(self):
        images = np.full((100, 200), 128, np.uint8)
        rate = PoissonRate(max_rate=0.5).encode(images, 5, generator=stream(0, "encoding")).mean()
        assert rate == pytest.approx(0.25, abs=5 * np.sqrt(0.25 * 0.75 / 100_000))

    def test_steps_are_independent(self):
        spikes = PoissonRate().encode(np.full((1, 100_000), 128, np.uint8), 2, generator=stream(0, "encoding"))[:, 0]
        assert (spikes[0] & spikes[1]).mean() == pytest.approx(0.25, abs=0.007)

    def test_the_stream_goes_on_from_batch_to_batch(self):
        generator = stream(0, "encoding")
        first, second = (PoissonRate().encode(payloads(*[128] * 64), 4, generator=generator) for _ in range(2))
        assert not np.array_equal(first, second)

    def test_needs_a_generator(self):
        with pytest.raises(ValidationError, match=r"PoissonRate.encode: needs generator=, for instance .*stream\(seed"):
            PoissonRate().encode(payloads(1), 3)


@pytest.mark.parametrize("encoder", [DeterministicRate, PoissonRate])
@pytest.mark.parametrize("rate", [0.0, 0.001, 1.01, -1, float("nan"), float("inf"), "fast", True, None])
def test_rates_outside_their_range_are_refused(encoder, rate):
    with pytest.raises(ValidationError, match=rf"{encoder.__name__}.max_rate: needs spikes per step in 1/256..1, got"):
        encoder(max_rate=rate)


class TestLatency:
    def test_spike_times_by_hand(self):
        spikes = Latency().encode(payloads(255, 171, 170, 86, 85, 1, 0), 3)[:, 0]
        # 255 payloads in three intervals of 85: 171..255, 86..170, 1..85
        assert [spike_steps(column) for column in spikes.T] == [[0], [0], [1], [1], [2], [2], []]

    @given(n_steps=st.integers(1, 600), threshold=st.integers(1, 255))
    @settings(max_examples=100, deadline=None)
    def test_one_spike_by_the_formula_and_brighter_is_never_later(self, n_steps, threshold):
        spikes = Latency(threshold=threshold).encode(every_payload, n_steps)[:, 0]
        assert not spikes[:, :threshold].any()
        assert (spikes[:, threshold:].sum(axis=0) == 1).all()
        times = spikes.argmax(axis=0)[threshold:]
        assert times[-1] == 0
        assert (np.diff(times) <= 0).all()
        assert times.tolist() == [(255 - p) * n_steps // (256 - threshold) for p in range(threshold, 256)]
        if n_steps <= 256 - threshold:
            assert times[0] == n_steps - 1
            assert np.ptp(np.bincount(times)) <= 1  # intervals of equal width

    @pytest.mark.parametrize("threshold", [0, 256, -3, 1.0, True, None])
    def test_a_threshold_that_is_no_payload_above_black_is_refused(self, threshold):
        with pytest.raises(ValidationError, match=r"Latency.threshold: needs a payload in 1..255, got"):
            Latency(threshold=threshold)
