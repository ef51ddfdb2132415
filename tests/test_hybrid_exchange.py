"""What the agents show each other: where it starts, what it holds, where it lies."""

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from burgerslab.data import BurgersDataModule, CellRange, Observation, Simulation, TrajectoriesInMemory
from burgerslab.hybrid import Exchange, Hybrid
from burgerslab.hybrid.exchange import draw_states, trajectories_of_physics
from burgerslab.hybrid.surrogate_agent import balanced_weight
from burgerslab.inversion import Advection, Inversion, Viscosity
from burgerslab.physics import (
    ColeHopf,
    ConstantViscosity,
    DivergedError,
    Domain,
    LogUniformViscosity,
    RandomFourier,
)
from burgerslab.surrogate import Surrogate, UNet
from tests.hybrid_run import QUIET, data, fit, make_store, surrogate

SIMULATION = Simulation(
    domain=Domain((1.0,), (32,)),
    viscosity=ConstantViscosity(0.03),
    dt=0.02,
    num_frames=11,
    num_trajectories=6,
    initial=RandomFourier(amplitude=0.4, max_mode=2),
    scheme=ColeHopf(),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("hybrid_exchange") / "exact.zarr")


class Batches(Callback):
    """Keeps the windows of every epoch, and the agent that made them as it was then."""

    def __init__(self, inversion: Inversion) -> None:
        self.inversion = inversion
        self.epochs: dict[int, list] = {}
        self.expected: dict[int, list] = {}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        rows = ~batch["observed"]
        kept = self.epochs.setdefault(trainer.current_epoch, [])
        again = self.expected.setdefault(trainer.current_epoch, [])
        if bool(rows.any()):
            kept.append(batch["target"][rows].clone())
            with torch.no_grad():
                again.append(self.inversion.rollout(batch["initial"][rows], kept[-1].shape[1]))


class ShownToPhysics(Inversion):
    """Keeps the generated windows of every fit, with what the surrogate makes of their first frames."""

    partner: tuple = ()  # which hides it from torch: it is no part of this module

    def on_solve_begin(self, chunks, total, gather) -> None:
        super().on_solve_begin(chunks, total, gather)
        rows = [(chunk, ~chunk["observed"]) for chunk in chunks]
        made, again = [], []
        (partner,) = self.partner
        for chunk, generated in rows:
            if bool(generated.any()):
                made.append(chunk["target"][generated])
                was_training = partner.training
                partner.eval()
                with torch.no_grad():
                    again.append(partner.rollout(chunk["initial"][generated].float(), made[-1].shape[1]))
                partner.train(was_training)
        self.seen = [*getattr(self, "seen", []), (made, again)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* does not have many workers")
@pytest.mark.parametrize("num_workers", [0, 2])
def test_every_generated_window_is_a_rollout_of_the_other_agent(store, tmp_path, num_workers: int) -> None:
    inversion = ShownToPhysics([Viscosity(0.06)])
    batches = Batches(inversion)
    hybrid = Hybrid(inversion, num_cycles=2, epochs_per_cycle=1, warmup_epochs=1, max_iterations=2)
    datamodule = data(store, num_workers=num_workers)
    model = surrogate(datamodule, 3)
    inversion.partner = (model,)
    trainer = pl.Trainer(accelerator="cpu", default_root_dir=tmp_path, callbacks=[hybrid, batches], **QUIET)
    hybrid.fit(trainer, model, datamodule)
    assert model.training
    assert batches.epochs[0] == []
    for epoch in (1, 2):
        made, expected = torch.cat(batches.epochs[epoch]), torch.cat(batches.expected[epoch])
        assert len(made) >= 20  # 27 generated of 54 windows, of which the last 6 in the epoch are left out
        assert torch.allclose(made, expected, rtol=1e-5, atol=1e-6)
    assert not torch.equal(batches.epochs[1][0][:1], batches.epochs[2][0][:1])
    assert len(inversion.seen) == 2
    for made, again in inversion.seen:
        assert sum(map(len, made)) == 27
        assert torch.allclose(torch.cat(made), torch.cat(again).double(), rtol=1e-4, atol=1e-5)


def test_new_states_are_draws_of_the_simulation_and_the_others_observed_frames(store) -> None:
    datamodule = data(store, simulation=SIMULATION)
    datamodule.setup("fit")
    states = draw_states(datamodule, Exchange(new_states=0.25, seed=3), 8, cycle=2, agent=1)
    again = draw_states(datamodule, Exchange(new_states=0.25, seed=3), 8, cycle=2, agent=1)
    other = draw_states(datamodule, Exchange(new_states=0.25, seed=3), 8, cycle=3, agent=1)
    assert torch.equal(states.frames, again.frames)
    assert not torch.equal(states.frames, other.frames)
    windows = datamodule.training_windows()
    observed = windows.batch(np.arange(windows.num_observed))["initial"]
    is_observed = [any(torch.equal(frame, it) for it in observed) for frame in states.frames]
    assert is_observed == [True] * 6 + [False] * 2
    generator = np.random.default_rng([3, 2, 1])
    generator.choice(windows.num_observed, 8, replace=False)
    drawn = [SIMULATION.initial.sample(SIMULATION.domain, generator) for _ in range(2)]
    np.testing.assert_array_equal(states.frames[6:].numpy(), np.array(drawn, np.float32))


def test_new_states_of_imported_data_are_moved_and_mirrored_frames(store) -> None:
    datamodule = data(store)  # a store alone says nothing of a distribution
    datamodule.setup("fit")
    states = draw_states(datamodule, Exchange(new_states=1.0), 12, cycle=1, agent=0)
    windows = datamodule.training_windows()
    observed = windows.batch(np.arange(windows.num_observed))["initial"]
    variants = [
        (mirrored, torch.roll(frame.flip(-1).neg() if mirrored else frame, shift, -1))
        for frame in observed
        for mirrored in (False, True)
        for shift in range(32)
    ]
    found = [[mirrored for mirrored, it in variants if torch.equal(it, frame)] for frame in states.frames]
    assert all(found)
    assert {kinds[0] for kinds in found} == {False, True}


def test_alpha_0_generates_nothing_and_says_so(store, tmp_path, caplog) -> None:
    hybrid = Hybrid(Inversion([Viscosity(0.06)]), num_cycles=1, max_iterations=4, exchange=Exchange(alpha=0))
    fit(store, tmp_path, hybrid)
    assert "exchange.alpha is 0: the agents train side by side" in caplog.text
    assert [record.num_generated for record in hybrid.ledger.records] == [0]


@pytest.mark.slow
def test_a_finer_grid_in_the_inversion_and_more_cycles_than_windows(store, tmp_path) -> None:
    datamodule = data(store, num_predict_steps=10, use_sliding_window=False, batch_size=4)
    inversion = Inversion([Viscosity(0.06)], refine=2)
    hybrid = Hybrid(inversion, num_cycles=4, max_iterations=4, begin_with="surrogate", exchange=Exchange(alpha=1.0))
    fit(store, tmp_path, hybrid, datamodule=datamodule)
    assert [(it.num_observed, it.num_generated) for it in hybrid.ledger.records] == [(3, 3)] * 4
    assert abs(float(inversion.coefficients()["viscosity"]) / 0.03 - 1) < 0.3
    assert inversion.objective is not None
    assert inversion.objective.rollout.refine == 2


def test_a_surrogate_that_runs_away_is_named_before_the_physics_learns_from_it(store, tmp_path) -> None:
    hybrid = Hybrid(Inversion([Viscosity(0.06)]), num_cycles=1, warmup_epochs=1)

    class Spoil(Callback):
        def on_train_end(self, trainer, pl_module) -> None:
            pl_module.increment_std.fill_(torch.inf)

    with pytest.raises(DivergedError, match=r"the surrogate's rollouts of 2 frames .* raise Hybrid\.warmup_epochs"):
        fit(store, tmp_path, hybrid, Spoil())
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoints"}


def test_a_state_that_is_hidden_in_part_is_refused(store) -> None:
    datamodule = data(store, observation=Observation(cells=CellRange((0.0,), (0.5,))))
    datamodule.setup("fit")
    with pytest.raises(ValueError, match=r"there is nothing to roll out from: set data\.observation\.initial_known"):
        draw_states(datamodule, Exchange(), 4, cycle=1, agent=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -1.0}, r"exchange\.alpha must be a number from 0 on, got -1"),
        ({"memory_budget_gib": -1.0}, r"exchange\.memory_budget_gib must not be negative"),
        ({"new_states": 1.5}, r"exchange\.new_states must be between 0 and 1"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        Exchange(**options)


def test_balanced_terms_are_equal_where_a_phase_begins(store) -> None:
    datamodule = data(store, observation=Observation(noise=0.05))
    datamodule.setup("fit")
    model = surrogate(datamodule, 1)
    model.adopt(datamodule.description, datamodule.statistics)
    inversion = Inversion([Viscosity(0.06)])
    inversion.begin(datamodule)
    states = draw_states(datamodule, Exchange(), 9, cycle=1, agent=1)
    frames = torch.cat([it.frames for it in trajectories_of_physics(inversion, states, 2)]).numpy()
    generated = TrajectoriesInMemory(
        frames, states.viscosity.numpy(), observed=False, indices=np.arange(10**9, 10**9 + 9)
    )
    datamodule.set_generated([generated])
    windows = datamodule.training_windows()
    assert (windows.num_observed, len(windows)) == (27, 36)
    weight = balanced_weight(model, windows)
    batch = windows.batch(np.arange(36))
    with torch.no_grad():
        error = (model.eval().rollout(batch["initial"], 2, batch["static"]) - batch["target"]) / model.std
    squares = error.square().flatten(1).mean(dim=1)
    assert weight * float(squares[27:].sum()) == pytest.approx(float(squares[:27].sum()), rel=1e-5)


@pytest.mark.slow
def test_two_dimensions_a_viscosity_of_each_trajectory_half_precision_and_longer_trajectories(tmp_path) -> None:
    simulation = Simulation(
        domain=Domain((1.0, 2.0), (12, 16)),
        viscosity=LogUniformViscosity(0.05, 0.1),
        dt=0.02,
        num_frames=7,
        num_trajectories=4,
        initial=RandomFourier(amplitude=0.5, max_mode=1, curl_free=True),
        scheme=ColeHopf(),
    )
    parts = {"train_sim_indices": [0, 1], "val_sim_indices": [2], "test_sim_indices": [3]}
    datamodule = BurgersDataModule(
        str(tmp_path / "exact.zarr"),
        simulation,
        num_predict_steps=2,
        batch_size=5,
        static_fields=["viscosity"],
        **parts,
    )
    inversion = Inversion([Advection(0.7)])
    exchange = Exchange(alpha=0.8, physical_num_steps=4, surrogate_num_steps=3)
    hybrid = Hybrid(inversion, num_cycles=1, warmup_epochs=1, max_iterations=6, exchange=exchange)

    class Sources(Callback):
        def on_train_epoch_end(self, trainer, pl_module) -> None:
            self.last = trainer.datamodule.training_windows().sources[1:]

    sources = Sources()
    torch.manual_seed(1)
    network = UNet(datamodule.in_channels, datamodule.out_channels, datamodule.dimension, filters=4, levels=1)
    options = {**QUIET, "accelerator": "cpu", "precision": "bf16-true", "default_root_dir": tmp_path}
    hybrid.fit(pl.Trainer(**options, callbacks=[hybrid, sources]), Surrogate(network), datamodule)
    (made,) = sources.last
    # 2 trajectories of 7 - 2 windows ask for 8; 3 trajectories of 5 - 2 windows give 9
    assert (made.num_frames, len(made)) == (5, 3)
    assert [(it.num_observed, it.num_generated) for it in hybrid.ledger.records] == [(10, 9)]
    for number in range(3):
        expected = np.full((1, 12, 16), np.log(made.viscosity[number]))
        np.testing.assert_allclose(made.static(number), expected, rtol=1e-6)
        first = torch.from_numpy(made.frames(number)[:1])
        viscosity = torch.from_numpy(made.viscosity[number : number + 1])
        after = inversion.rollout(first, 4, viscosity=viscosity)[0]
        assert torch.allclose(after, torch.from_numpy(made.frames(number)[1:]), rtol=1e-5, atol=1e-6)
    assert abs(float(inversion.coefficients()["advection"]) - 1) < 0.02
