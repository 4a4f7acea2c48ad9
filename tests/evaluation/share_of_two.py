"""What test_shared.py starts as several processes: calibrate and evaluate, and write down what this rank saw."""

import sys
from pathlib import Path

import torch

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from test_shared import CONFIGURATIONS, LISTS, batches, build, list_of  # noqa: E402
from tiny import tiny_cfg  # noqa: E402

import mutualnet3d as mn  # noqa: E402
from mutualnet3d.data import kinetics_list  # noqa: E402
from mutualnet3d.distributed import processes  # noqa: E402
from mutualnet3d.evaluation.resumable import evaluate_list  # noqa: E402


def main(data: str, output: Path) -> None:
    cfg = tiny_cfg("DATA.PATH_TO_DATA_DIR", data)
    opened, original = [], kinetics_list.open_video
    kinetics_list.open_video = lambda path, *rest: opened.append(path) or original(path, *rest)
    with processes() as group:
        seen = {"rank": group.rank, "world_size": group.world_size}
        seen["gathered"], seen["all"] = group.gather(group.rank), group.all_gather(group.rank * 10)
        seen["broadcast"] = group.broadcast("first" if group.first else "other")
        model = build()
        mn.calibrate(model, batches()[group.rank :: group.world_size], CONFIGURATIONS, processes=group)
        seen["statistics"] = {name: value for name, value in model.state_dict().items() if "statistics." in name}
        seen["provenance"] = [model.statistics_provenance[c]["clips"] for c in CONFIGURATIONS]
        mn.calibrate(model, batches()[:1] if group.first else [], CONFIGURATIONS, processes=group)
        seen["uneven"] = {name: value for name, value in model.state_dict().items() if "statistics." in name}
        model = build(calibrated=True)
        for name in LISTS:
            opened.clear()
            result = evaluate_list(model, list_of(cfg, name), CONFIGURATIONS, cfg, output / f"{name}.npz", group)
            seen[name], seen[f"{name} opened"] = None if result is None else result.scores, list(opened)
        torch.save(seen, output / f"rank{group.rank}.pt")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
