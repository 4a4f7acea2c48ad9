"""The names of the files in a run's OUTPUT_DIR. Whoever writes or reads one takes its name from here."""

from pathlib import Path

CONFIG_FILE = "config.yaml"
LOG_FILE = "log.jsonl"
MODEL_FILE = "model.pyth"
RESULTS_FILE = "test_results.json"
SCORES_FILE = "test_scores.npz"
SEARCH_FILE = "search_scores.npz"
TABLE_FILE = "query_table.json"  # of an export too
CURVE_FILE = "accuracy_gmacs.png"
REPORT_FILE = "report.html"
STDOUT_FILE = "stdout.log"
LOCK_FILE = ".in_use"
UNREADABLE_FILE = "unreadable_videos.jsonl"
CHECKPOINTS = "checkpoints"  # the folder of them


def run_folders(output_dir: Path) -> list[Path]:
    """The folders that a run writes: OUTPUT_DIR, its checkpoints, and the scores of unfinished evaluations."""
    inner = (CHECKPOINTS, Path(SCORES_FILE).stem, Path(SEARCH_FILE).stem)
    return [output_dir, *(output_dir / name for name in inner)]
