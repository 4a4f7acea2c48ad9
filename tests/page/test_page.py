"""tools/page_net.py in a real browser: headless Chromium, driven by playwright; skips where one is missing."""

import importlib.util
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager

import cv2
import pytest
from tiny import ROOT

from mutualnet3d.commands.page import main
from mutualnet3d.page import PageModel, answer
from tests.docs.doc_blocks import block

# What the server asks of other machines is said on its output: "ASKS" and whom.
SERVER = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run in the background
def hook(event, values):
    if event == "socket.connect" and isinstance(values[1], tuple) and values[1][0] not in ("127.0.0.1", "::1"):
        print("ASKS", values[1], flush=True)
    if event == "socket.getaddrinfo" and values[0] not in (None, "127.0.0.1", "::1", "localhost"):
        print("ASKS", values[0], flush=True)
sys.addaudithook(hook)
from mutualnet3d.commands.page import main
sys.exit(main())
"""
NEEDED = {
    "gradio": importlib.util.find_spec("gradio"),  # the extra "page"
    "playwright": importlib.util.find_spec("playwright"),
    "chromium": shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome"),
}
MISSING = [name for name, found in NEEDED.items() if not found]


@contextmanager
def serving(folder, *words):
    """(address of the page, its process); the output lies in folder/output.txt, uploads below the folder."""
    output = folder / "output.txt"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    with open(output, "w") as file:
        command = [sys.executable, "-c", SERVER, *map(str, words), "--port", "0", "--threads", "1"]
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)
    try:
        while not (found := re.search(r"the page: (http://127\.0\.0\.1:\d+/)", output.read_text())):
            with pytest.raises(subprocess.TimeoutExpired):  # it ended, if it does not raise
                process.wait(0.2)
        yield found[1], process
    finally:
        process.kill()
        process.wait()


@contextmanager
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=NEEDED["chromium"], args=["--no-sandbox"])
        try:
            yield chromium
        finally:
            chromium.close()


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
def test_in_a_browser(tiny_run, tiny_data, tmp_path):
    model = PageModel.open(tiny_run, threads=1)
    (scale,) = model.scales
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    examples = tmp_path / "examples"
    examples.mkdir()
    shutil.copy(tiny_data / "video 10.mp4", examples)
    (shown,) = [line for line in block("docs/web_page.md", "tools/page_net.py").splitlines() if "page_net" in line]
    ours = {"outputs/run": tiny_run, "folder_of_videos": examples}
    words = [ours.pop(word, word) for word in shlex.split(shown)[2:]]
    assert not ours
    with serving(tmp_path, *words) as (address, process), browser() as chromium:
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        requests, errors = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)

        def answered(name, entry):
            page.wait_for_selector(f'.mn-answer[data-video="{name}"][data-configuration="{entry.configuration}"]')

        page.wait_for_selector(".mn-hint")
        page.set_input_files("#video input[type=file]", tiny_data / "video 8.mp4")
        answered("video 8.mp4", scale.entries[-1])
        expected = answer(model, tiny_data / "video 8.mp4", scale.marks[-1]).prediction
        shown = page.locator(".mn-labels li").all_inner_texts()
        assert [re.sub(r"\s+", " ", line) for line in shown] == [f"{n} {100 * p:.1f} %" for n, p in expected.labels]
        assert f"{expected.entry.gmacs:.3g} GMACs" in page.inner_text(".mn-tiles")
        assert re.search(r"\d+\.\d ms", page.inner_text(".mn-tiles"))
        page.wait_for_function("document.querySelector('.mn-film').videoWidth == 300")
        page.wait_for_selector(".mn-now:not([hidden])")
        picture = tmp_path / "page.png"
        page.screenshot(path=picture, full_page=True)
        assert cv2.imread(str(picture)).std() > 20

        assert len(scale.entries) > 1
        budget = page.locator("#budget input[type=number]")
        page.locator("#front tbody tr").first.click()
        answered("video 8.mp4", scale.entries[0])
        assert float(budget.input_value()) == scale.marks[0]
        budget.fill(str(scale.marks[1] - scale.step))  # snaps to the entry below
        budget.press("Tab")
        page.wait_for_function(
            "mark => document.querySelector('#budget input[type=number]').value == mark", arg=scale.marks[0]
        )
        slider = page.locator("#budget input[type=range]")
        slider.click(position={"x": slider.bounding_box()["width"] - 1, "y": 3})
        answered("video 8.mp4", scale.entries[-1])
        assert page.inner_text(".mn-chosen").split()[-1] == str(scale.entries[-1].configuration)

        page.locator("button.gallery-item").click()
        answered("video 10.mp4", scale.entries[-1])

        page.locator("#video button[aria-label=Clear]").click()
        page.wait_for_selector(".mn-hint")
        page.set_input_files("#video input[type=file]", text)
        page.wait_for_selector(".mn-error")
        assert page.inner_text(".mn-error").startswith("text.mp4: ")
        assert str(tmp_path) not in page.inner_text(".mn-error")

        assert errors == []
        assert [url for url in requests if not url.startswith((address, "data:", "blob:"))] == []
        assert list(tmp_path.glob("mutualnet3d_page_*/**/*.mp4"))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    said = (tmp_path / "output.txt").read_text()
    assert "ASKS" not in said
    assert "Traceback" not in said
    assert list(tmp_path.glob("mutualnet3d_page_*")) == []


def test_gradio_is_an_extra(tiny_run, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["--model", str(tiny_run)]) == 1
    assert 'pip install -e ".[page]"' in "".join(capfd.readouterr()).replace("\n", " ")


@pytest.mark.parametrize("words", [[], ["--model", "x", "--port", "70000"], ["--model", "x", "--port", "a"]])
def test_usage(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err
