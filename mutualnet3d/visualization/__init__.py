"""Pictures of what was measured."""

from mutualnet3d.visualization.curves import plot_accuracy_cost, plot_accuracy_gmacs, plot_accuracy_latency
from mutualnet3d.visualization.overlay import plot_overlay

__all__ = ["plot_accuracy_cost", "plot_accuracy_gmacs", "plot_accuracy_latency", "plot_overlay"]
