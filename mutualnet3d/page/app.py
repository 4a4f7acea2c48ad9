"""The page itself: gradio's components around :func:`mutualnet3d.page.answer.answer`.

Annotations are evaluated here (no ``from __future__``): gradio reads that of an event's data.
"""

import importlib.resources
import logging
import os
import socket
import tempfile
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from mutualnet3d.deployment.extras import optional_module
from mutualnet3d.errors import DeploymentError, MutualNetError
from mutualnet3d.page.answer import answer, explain
from mutualnet3d.page.model import PageModel
from mutualnet3d.page.rendering import answer_html, bought_html, message_html

if TYPE_CHECKING:
    import gradio

HINT = "Upload a video or choose an example: the answer appears here. Then move the budget and see what changes."
FONTS = ("system-ui", "sans-serif")  # of the machine: none is fetched
CHECKED, KEPT = 600, 3600  # seconds: how often uploaded videos are looked at, and how long they are kept

_logger = logging.getLogger(__name__)


def load_gradio() -> ModuleType:
    """gradio, told before its import to send no statistics; DeploymentError where it is not installed."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    return optional_module("gradio", "page")


def build_page(model: PageModel, examples: Sequence[str] = ()) -> "gradio.Blocks":
    """The page of ``model``.

    Predictions run one after another, so that the latency that one shows is its own; those who wait are told their
    place.

    Args:
        examples: paths of videos that it offers.
    """
    gr = load_gradio()
    metric = model.predictor.table.metric_name

    def slider_of(scale, mark):
        # Two ends even where the table has one entry: gradio needs a range.
        most = scale.marks[-1] + (scale.step if len(scale.marks) == 1 else 0)
        label = f"Budget in {scale.unit} per clip"
        return {"minimum": scale.marks[0], "maximum": most, "step": scale.step, "value": mark, "label": label}

    def snap(budget, cost):
        scale = model.scale(cost)
        mark, entry = scale.snap(min(max(budget or 0, scale.marks[0]), scale.marks[-1]))
        return mark, bought_html(scale, entry, metric)

    def pick(cost, event: gr.EventData):
        return snap(event.mark, cost)

    def change_cost(cost):
        scale = model.scale(cost)
        return gr.Slider(**slider_of(scale, scale.marks[-1])), snap(scale.marks[-1], cost)[1]

    def predict(video, budget, cost):
        if video is None:
            return message_html("hint", HINT)
        try:
            return answer_html(model, answer(model, video, budget, cost))
        except MutualNetError as error:
            _logger.warning("%s", error)
            return message_html("error", explain(error, video))

    first = model.scales[0]
    mark, bought = snap(first.marks[-1], first.cost)
    network = f"{model.name} ({model.predictor.deployment.architecture})"
    with gr.Blocks(title=network, analytics_enabled=False, delete_cache=(CHECKED, KEPT), fill_width=True) as page:
        count = len(model.predictor.table.entries)
        gr.Markdown(
            f"# One network, {count} configurations\n{network}. The budget chooses the one that sees the video."
        )
        with gr.Row():
            with gr.Column(scale=4, min_width=300):
                video = gr.Video(label="Video", sources=["upload"], height=260, elem_id="video")
                choices = [("GMACs", "gmacs"), ("latency", "latency_ms")][: len(model.scales)]
                cost = gr.Radio(choices, value=first.cost, label="Budget by", visible=len(choices) > 1)
                budget = gr.Slider(**slider_of(first, mark), elem_id="budget", interactive=True)
                front = gr.HTML(bought, js_on_load=_template("front.js"), apply_default_css=False, elem_id="front")
                if examples:
                    gr.Examples([[each] for each in examples], [video], label="Examples", examples_per_page=9)
            with gr.Column(scale=7, min_width=320):
                look = {"js_on_load": _template("page.js"), "apply_default_css": False}
                result = gr.HTML(message_html("hint", HINT), elem_id="answer", **look)
        asks = {
            "fn": predict,
            "inputs": [video, budget, cost],
            "outputs": result,
            "concurrency_id": "predictions",
            "concurrency_limit": 1,
            "trigger_mode": "always_last",
            "api_visibility": "private",
        }
        quick = {"outputs": [budget, front], "queue": False, "show_progress": "hidden", "api_visibility": "private"}
        gr.on([budget.release], snap, [budget, cost], **quick).then(**asks)
        front.click(pick, [cost], **quick).then(**asks)
        cost.change(change_cost, [cost], **quick).then(**asks)
        video.change(**asks)
    return page


def serve(model: PageModel, examples: Sequence[str], host: str, port: int) -> None:
    """Serve the page of ``model`` until Ctrl-C, which raises KeyboardInterrupt.

    Uploaded videos lie in a temporary folder, which goes when the page ends. gradio's own ``launch`` is not used: it
    gives up where a busy machine, or one behind a proxy, does not answer its probe in time.

    Args:
        examples: see :func:`build_page`.
        host: ``127.0.0.1``: this machine only.
        port: 0: one that is free.

    Raises:
        DeploymentError: gradio is not installed, or the address cannot be listened on.
    """
    gr = load_gradio()
    import fastapi
    import uvicorn

    with tempfile.TemporaryDirectory(prefix="mutualnet3d_page_") as folder, _listening(host, port) as listener:
        os.environ["GRADIO_TEMP_DIR"] = folder  # before the first component
        port = listener.getsockname()[1]
        app = gr.mount_gradio_app(
            fastapi.FastAPI(openapi_url=None),
            build_page(model, examples),
            path="/",
            server_name=host,
            server_port=port,
            footer_links=[],
            run_history=False,
            show_error=False,
            ssr_mode=False,
            enable_monitoring=False,
            mcp_server=False,
            theme=gr.themes.Default(font=FONTS, font_mono=FONTS, primary_hue=gr.themes.colors.sky),
            css=_template("page.css"),
        )
        _logger.info("the page: http://%s:%d/ (Ctrl-C ends it)", f"[{host}]" if ":" in host else host, port)
        # Browsers keep connections open: they are given a moment, then cut.
        uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1)).run([listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise DeploymentError(
            f"{host}:{port} cannot be listened on ({error.strerror}); choose another port, or 0 for any that is free"
        ) from error


def _template(name: str) -> str:
    return importlib.resources.files("mutualnet3d.page").joinpath("templates", name).read_text(encoding="utf-8")
