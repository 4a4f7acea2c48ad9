"""A page to try a network on: a video and a budget in; classes, cost, latency and activation maps out.

:func:`answer` needs no page; :mod:`mutualnet3d.page.app` puts it behind one (gradio).
"""

from mutualnet3d.page.answer import Answer, answer
from mutualnet3d.page.budgets import BudgetScale
from mutualnet3d.page.model import PageModel

__all__ = ["Answer", "BudgetScale", "PageModel", "answer"]
