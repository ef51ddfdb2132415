"""What is made of finished runs: tables, figures, stores of predictions."""

from typing import TYPE_CHECKING, Any

from burgerslab.evaluation.animation import rollout_animation as rollout_animation
from burgerslab.evaluation.animation import write_animation as write_animation
from burgerslab.evaluation.derived_fields import Quantity as Quantity
from burgerslab.evaluation.derived_fields import divergence as divergence
from burgerslab.evaluation.derived_fields import velocity_scale as velocity_scale
from burgerslab.evaluation.derived_fields import vorticity as vorticity
from burgerslab.evaluation.energy_plots import energy_figure as energy_figure
from burgerslab.evaluation.energy_plots import spectrum_figure as spectrum_figure
from burgerslab.evaluation.history_plots import estimate_figure as estimate_figure
from burgerslab.evaluation.history_plots import history_figure as history_figure
from burgerslab.evaluation.hybrid_plots import hybrid_figure as hybrid_figure
from burgerslab.evaluation.inversion_plots import inversion_figure as inversion_figure
from burgerslab.evaluation.inversion_plots import viscosity_field_figure as viscosity_field_figure
from burgerslab.evaluation.inversion_report import InversionReport as InversionReport
from burgerslab.evaluation.inversion_report import figure_of_inversion as figure_of_inversion
from burgerslab.evaluation.inversion_report import figure_of_viscosity_field as figure_of_viscosity_field
from burgerslab.evaluation.line_styles import line_styles as line_styles
from burgerslab.evaluation.plots import error_growth_figure as error_growth_figure
from burgerslab.evaluation.plots import rollout_figure as rollout_figure
from burgerslab.evaluation.plots import summary_figure as summary_figure
from burgerslab.evaluation.prediction_writer import PredictionWriter as PredictionWriter
from burgerslab.evaluation.quantity_plots import flow_figure as flow_figure
from burgerslab.evaluation.quantity_plots import quantity_figure as quantity_figure
from burgerslab.evaluation.quantity_plots import sections_figure as sections_figure
from burgerslab.evaluation.test_report import TestReport as TestReport

if TYPE_CHECKING:
    from burgerslab.evaluation.accuracy_and_time import Timing as Timing
    from burgerslab.evaluation.evaluation import Evaluation as Evaluation
    from burgerslab.evaluation.evaluation import evaluate as evaluate
    from burgerslab.evaluation.runs import Run as Run
    from burgerslab.evaluation.runs import load_run as load_run
    from burgerslab.evaluation.selection import EvaluationData as EvaluationData
    from burgerslab.evaluation.sweeps import Sweep as Sweep

_MODULES = {
    "Evaluation": "evaluation",
    "EvaluationData": "selection",
    "Run": "runs",
    "Sweep": "sweeps",
    "Timing": "accuracy_and_time",
    "evaluate": "evaluation",
    "load_run": "runs",
}


def __getattr__(name: str) -> Any:
    """Import what evaluates finished runs when it is asked for: a fit does without it, and without scipy.stats."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
