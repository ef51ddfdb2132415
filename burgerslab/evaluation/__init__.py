"""What is made of finished runs: tables, figures, stores of predictions."""

from burgerslab.evaluation.energy_plots import energy_figure as energy_figure
from burgerslab.evaluation.energy_plots import spectrum_figure as spectrum_figure
from burgerslab.evaluation.hybrid_plots import hybrid_figure as hybrid_figure
from burgerslab.evaluation.inversion_plots import inversion_figure as inversion_figure
from burgerslab.evaluation.inversion_plots import viscosity_field_figure as viscosity_field_figure
from burgerslab.evaluation.inversion_report import InversionReport as InversionReport
from burgerslab.evaluation.inversion_report import figure_of_inversion as figure_of_inversion
from burgerslab.evaluation.line_styles import line_styles as line_styles
from burgerslab.evaluation.plots import error_growth_figure as error_growth_figure
from burgerslab.evaluation.plots import rollout_figure as rollout_figure
from burgerslab.evaluation.plots import summary_figure as summary_figure
from burgerslab.evaluation.prediction_writer import PredictionWriter as PredictionWriter
from burgerslab.evaluation.test_report import TestReport as TestReport
