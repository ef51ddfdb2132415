import dataclasses

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, rosen, rosen_der

from burgerslab.inversion import LBFGSB, ConvergenceError, EvaluationRecord, SolveState, solve
from burgerslab.inversion.lbfgsb import projected_gradient_norm
from burgerslab.physics import DivergedError

START = np.array([-1.2, 1.0, 0.3, 1.4, -0.7])
BOUNDS = [(-2.0, 2.0), (None, None), (None, 0.9), (0.1, None), (-3.0, 3.0)]


class Counted:
    def __init__(self, function, gradient):
        self.function, self.gradient, self.points = function, gradient, []

    def __call__(self, x):
        self.points.append(x.copy())
        return self.function(x), self.gradient(x)


def rosenbrock():
    return Counted(rosen, rosen_der)


@pytest.mark.parametrize("bounds", [None, BOUNDS])
def test_points_are_those_of_scipy_bit_by_bit(bounds):
    evaluate, accepted, wanted = rosenbrock(), [], []
    settings = LBFGSB(abs_tol=1.0e-7, rel_tol=1.0e-12, history_size=4)
    found = solve(evaluate, START, bounds, settings, on_iteration=lambda i: accepted.append(i.evaluation.x))
    result = minimize(
        rosen,
        START,
        jac=rosen_der,
        method="L-BFGS-B",
        bounds=bounds,
        options={"gtol": 1.0e-7, "ftol": 1.0e-12, "maxcor": 4},
        callback=lambda x: wanted.append(x.copy()),
    )
    assert len(accepted) > 15
    assert np.array_equal(accepted, wanted)
    assert np.array_equal(found.x, result.x)
    assert found.objective == result.fun
    assert np.array_equal(found.gradient, result.jac)
    assert (found.num_iterations, found.num_evaluations) == (result.nit, result.nfev)
    assert len(evaluate.points) == result.nfev
    assert found.converged
    assert not found.stopped_early
    assert found.gradient_norm < 1.0e-3


def test_each_iteration_knows_its_objective_gradient_and_evaluations():
    iterations = []
    found = solve(rosenbrock(), START, BOUNDS, on_iteration=lambda iteration: iterations.append(iteration))
    for number, iteration in enumerate(iterations, 1):
        x = iteration.evaluation.x
        assert iteration.number == number
        assert iteration.evaluation.objective == rosen(x)
        assert np.array_equal(iteration.evaluation.gradient, rosen_der(x))
    assert iterations[-1].num_evaluations == found.num_evaluations
    assert iterations[-1].gradient_norm == found.gradient_norm


@pytest.mark.parametrize("start", [[1.4e-7], [-2.0e-7, 1.0e-7]])
def test_a_start_that_is_a_minimum_but_for_rounding_converges_at_once(start):
    def rounded(x):  # 128 ulp more than at the start, as sums over many windows may be
        return 1.0 + 0.5 * float(x @ x) + (0.0 if np.array_equal(x, start) else 2.0**-45)

    evaluate = Counted(rounded, np.copy)
    bounds = [(-40.0, 40.0)] * len(start)
    found = solve(evaluate, np.array(start), bounds)
    assert found.converged
    assert found.message == "CONVERGENCE: DECREASE LEFT <= REL_TOL"
    assert np.array_equal(found.x, start)
    assert found.num_evaluations == 2


@pytest.mark.parametrize("length", [0, 1, 7, 20])
def test_a_record_continues_a_solve_bit_by_bit_without_repeating_an_evaluation(length):
    record = EvaluationRecord()
    whole = solve(rosenbrock(), START, BOUNDS, record=record)
    assert len(record) == whole.num_evaluations
    first = EvaluationRecord([record[number] for number in range(length)])
    evaluate = rosenbrock()
    found = solve(evaluate, START, BOUNDS, record=EvaluationRecord.from_state_dict(first.state_dict()))
    assert np.array_equal(found.x, whole.x)
    assert np.array_equal(found.gradient, whole.gradient)
    arrays = {"x": whole.x, "gradient": whole.gradient}
    assert dataclasses.replace(found, **arrays) == dataclasses.replace(whole, **arrays)
    assert len(evaluate.points) == whole.num_evaluations - length


def test_a_record_of_another_solve_is_refused():
    record = EvaluationRecord()
    solve(rosenbrock(), START, record=record)
    start = START.copy()
    start[4] = np.nextafter(start[4], 0)
    with pytest.raises(ValueError, match=r"evaluation 1 of its record was at \[-1\.2, 1\.0, 0\.3, \.\.\.\]"):
        solve(rosenbrock(), start, record=record)


def raise_beyond(limit, answer):
    def evaluate(x):
        if x[0] > limit:
            return answer(x)
        return float(x[0] ** 4 - 5 * x[0]), np.array([4 * x[0] ** 3 - 5])

    return evaluate


def diverge(x):
    raise DivergedError("trajectory 3 diverged in frame 2")


@pytest.mark.parametrize(
    "answer",
    [diverge, lambda x: (np.inf, np.zeros(1)), lambda x: (0.0, np.array([np.nan]))],
)
def test_a_trial_that_diverges_is_followed_by_one_at_a_tenth_of_the_way(answer):
    # x⁴ - 5 x has its minimum at (5/4)^(1/3) = 1.0772; from -3 the first step is 1 long, the second far too long
    record = EvaluationRecord()
    found = solve(raise_beyond(1.1, answer), np.array([-3.0]), record=record)
    assert found.converged
    assert found.x[0] == pytest.approx(1.25 ** (1 / 3), rel=1e-7)
    diverged = [number for number in range(len(record)) if record[number].diverged]
    assert found.num_diverged == len(diverged) > 0
    number = diverged[0]
    before = record[number - 1].x
    step = record[number].x - before
    assert record[number + 1].x == pytest.approx(before + 0.1 * step, rel=1e-6)


def test_a_start_that_diverges_is_an_error():
    with pytest.raises(
        ValueError, match=r"not a number at the start \(trajectory 3 diverged in frame 2\): start from"
    ):
        solve(raise_beyond(0, diverge), np.array([1.0]))
    with pytest.raises(ValueError, match="not a number at the start: start from another initial_guess"):
        solve(raise_beyond(0, lambda x: (np.nan, x)), np.array([1.0]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            LBFGSB(max_iterations=3),
            r"ITERATIONS.* after 3 iterations and \d+ eval.*Raise solver.max_iterations \(now 3\)",
        ),
        (LBFGSB(max_evaluations=4), r"EVALUATIONS.* and 5 evaluations: .*Raise solver.max_evaluations \(now 4\)"),
    ],
)
def test_a_limit_is_a_failure_that_says_what_to_raise(settings, message):
    found = solve(rosenbrock(), START, BOUNDS, settings)
    assert not found.converged
    assert not found.stopped_early
    with pytest.raises(ConvergenceError, match=message) as caught:
        raise ConvergenceError(found, settings)
    assert f"objective {found.objective:.6g}, projected gradient {found.gradient_norm:.3g}" in str(caught.value)


def test_a_gradient_of_the_wrong_sign_is_a_failed_line_search():
    found = solve(Counted(rosen, lambda x: -rosen_der(x)), START)
    assert not found.converged
    assert found.num_iterations == 0
    assert np.array_equal(found.x, START)
    with pytest.raises(ConvergenceError, match=r"\(ABNORMAL\) after 0 iterations .* The line search found no lower"):
        raise ConvergenceError(found, LBFGSB())


def test_a_reason_to_stop_ends_the_solve_without_another_evaluation():
    evaluate = rosenbrock()
    found = solve(evaluate, START, on_iteration=lambda iteration: "the user" if iteration.number == 5 else None)
    assert (found.converged, found.stopped_early, found.message) == (False, True, "stopped by the user")
    assert found.num_iterations == 5
    assert len(evaluate.points) == found.num_evaluations
    assert found.objective == rosen(found.x)


def test_a_point_that_meets_a_tolerance_has_converged_though_someone_wants_to_stop():
    last = solve(rosenbrock(), START).num_iterations
    found = solve(rosenbrock(), START, on_iteration=lambda i: "the user" if i.number == last else None)
    assert found.converged
    assert not found.stopped_early


def test_a_start_at_the_minimum_takes_no_iteration():
    found = solve(rosenbrock(), np.ones(3))
    assert (found.converged, found.num_iterations, found.num_evaluations) == (True, 0, 1)


def test_projected_gradient_at_bounds():
    x, gradient = np.array([0.0, 1.0, 0.5]), np.array([3.0, -2.0, 0.25])
    assert projected_gradient_norm(x, gradient, None) == 3
    assert projected_gradient_norm(x, gradient, [(0.0, None), (None, 1.0), (None, None)]) == 0.25
    assert projected_gradient_norm(x, gradient, [(-1.0, None), (None, 1.5), (None, None)]) == 1


@pytest.mark.parametrize(
    ("start", "bounds", "message"),
    [
        ([np.nan], None, "the start must be finite numbers"),
        ([1.0], [(2.0, None)], r"number 0 of the start, 1, is outside its bounds \[2, inf\]; start within them"),
        ([1.0], [(2.0, None)] * 2, "1 numbers need 1 pairs of bounds, got 2"),
    ],
)
def test_an_impossible_start_is_refused(start, bounds, message):
    with pytest.raises(ValueError, match=message):
        solve(rosenbrock(), np.array(start), bounds)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"abs_tol": -1.0}, "solver.abs_tol must be a finite number and not negative, got -1.0"),
        ({"rel_tol": float("nan")}, "solver.rel_tol must be a finite number and not negative, got nan"),
        ({"max_iterations": 0}, "solver.max_iterations must be at least 1, got 0"),
        ({"max_evaluations": 0}, "solver.max_evaluations must be at least 1, got 0"),
        ({"history_size": 0}, "solver.history_size must be at least 1, got 0"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LBFGSB(**options)


def state():
    record = EvaluationRecord()
    solve(rosenbrock(), START, BOUNDS, record=record)
    begun = SolveState.begin(
        START, BOUNDS, LBFGSB(), {"rollout.substeps": 4, "model.learnable_parameters": ["viscosity"]}
    )
    return dataclasses.replace(begun, record=record, num_iterations=9)


def test_a_state_is_read_back_with_weights_only(tmp_path):
    written = state()
    torch.save(written.state_dict(), tmp_path / "state.pt")
    read = SolveState.from_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert np.array_equal(read.start, START)
    assert read.lower.tolist() == [-2, -np.inf, -np.inf, 0.1, -3]
    assert read.upper.tolist() == [2, np.inf, 0.9, np.inf, 3]
    assert (read.num_iterations, read.problem) == (9, written.problem)
    assert all(
        np.array_equal(read.record[i].gradient, written.record[i].gradient) for i in range(len(written.record))
    )
    read.check_continues(BOUNDS, LBFGSB(max_iterations=7, abs_tol=1.0), written.problem)


@pytest.mark.parametrize(
    ("bounds", "settings", "problem", "message"),
    [
        (BOUNDS[:4], {}, {}, "the solve of this checkpoint has 5 numbers, this one 4"),
        ([(-2.0, 3.0), *BOUNDS[1:]], {}, {}, r"bounds of number 0 was \[-2.0, 2.0\] and is \[-2.0, 3.0\]"),
        (BOUNDS, {"history_size": 3}, {}, "solver.history_size was 10 and is 3"),
        (BOUNDS, {}, {"rollout.substeps": 8}, "rollout.substeps was 4 and is 8. Set it as it was, or start"),
    ],
)
def test_a_solve_is_not_continued_as_another(bounds, settings, problem, message):
    written = state()
    with pytest.raises(ValueError, match=message):
        written.check_continues(bounds, LBFGSB(**settings), {**written.problem, **problem})
