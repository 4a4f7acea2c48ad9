"""Pictures of what was measured, and the report of a run."""

from mutualnet3d.visualization.curves import plot_accuracy_cost, plot_accuracy_gmacs
from mutualnet3d.visualization.overlay import plot_overlay
from mutualnet3d.visualization.report import write_report

__all__ = ["plot_accuracy_cost", "plot_accuracy_gmacs", "plot_overlay", "write_report"]
