"""What calibration is worth: every configuration of a run with its own statistics, and with those of full.

    python docs/scripts/measure_calibration.py "the demo=outputs/demo"

writes docs/pictures/calibration.json, which make_pictures.py draws. The videos of the runs must still be where they
found them. A minute a run on one core.
"""

import argparse
import json
from pathlib import Path

import mutualnet3d as mn
from mutualnet3d.config import load_config_text
from mutualnet3d.counting import complexities
from mutualnet3d.data import build_entries, test_dataset, video_loader
from mutualnet3d.evaluation.accuracy import topk_accuracy
from mutualnet3d.evaluation.grid import evaluate_grid
from mutualnet3d.layers import use_statistics_of_full
from mutualnet3d.models.artefact import read_checkpoint
from mutualnet3d.output_files import MODEL_FILE

FILE = Path(__file__).resolve().parents[1] / "pictures" / "calibration.json"


def accuracies(model, cfg) -> dict:
    """Top-1 in per cent of every calibrated configuration of ``model`` on the test list."""
    videos = video_loader(test_dataset(build_entries(cfg, "test"), cfg, 1, 1), cfg)
    result = evaluate_grid(model, videos, model.calibrated, cfg)
    return {
        c: topk_accuracy(scores, result.labels, 1) for c, scores in zip(model.calibrated, result.scores, strict=True)
    }


def measured(path: Path) -> list[dict]:
    """The rows of one model file, by cost."""
    cfg, model = load_config_text(read_checkpoint(path)["cfg"]), mn.load_model(path)
    costs = complexities(model, model.calibrated, crop=cfg.DATA.TEST_CROP_SIZE)
    own = accuracies(model, cfg)
    use_statistics_of_full(model, model.calibrated)
    of_full = accuracies(model, cfg)
    return [
        {
            "configuration": str(c),
            "gmacs": round(costs[c].gmacs, 4),
            "own": round(own[c], 2),
            "of_full": round(of_full[c], 2),
        }
        for c in sorted(costs, key=lambda c: costs[c].gmacs)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="+", metavar="NAME=OUTPUT_DIR", help="what to call a run, and where it is")
    runs = [text.partition("=") for text in parser.parse_args().runs]
    found = {name: measured(Path(folder) / MODEL_FILE) for name, _, folder in runs}
    FILE.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
