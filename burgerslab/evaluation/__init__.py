"""What is made of finished runs: tables, figures, stores of predictions."""

from burgerslab.evaluation.inversion_report import InversionReport as InversionReport
from burgerslab.evaluation.prediction_writer import PredictionWriter as PredictionWriter
from burgerslab.evaluation.test_report import TestReport as TestReport
