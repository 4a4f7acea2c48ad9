"""The query table: a budget in, the best configuration out. Needs no torch."""

from mutualnet3d.query_table.entry import Entry, pareto_front
from mutualnet3d.query_table.metric import metric_name
from mutualnet3d.query_table.table import QueryTable

__all__ = ["Entry", "QueryTable", "metric_name", "pareto_front"]
