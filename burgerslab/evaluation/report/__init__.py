"""The report: runs, their data, rollouts and estimates, as one HTML file."""

from burgerslab.evaluation.report.figure_files import write_figures as write_figures
from burgerslab.evaluation.report.page import render as render
from burgerslab.evaluation.report.report import make_page as make_page
