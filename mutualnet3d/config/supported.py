"""Keys of PySlowFast that load and that nothing here reads: said, or refused where they would change a result."""

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fvcore.common.config import CfgNode

from mutualnet3d.architectures import is_image_network
from mutualnet3d.config.defaults import get_cfg
from mutualnet3d.errors import ConfigError

_logger = logging.getLogger(__name__)

# Not at their default these ask for another training or another test than would run.
REFUSED = (
    "AUG.ENABLE",
    "AVA.BGR",
    "AVA.TEST_FORCE_FLIP",
    "AVA.TRAIN_USE_COLOR_AUGMENTATION",
    "DATA.COLOR_RND_GRAYSCALE",
    "DATA.DUMMY_LOAD",
    "DATA.SKIP_ROWS",
    "DATA.SSL_COLOR_JITTER",
    "DATA.SSL_MOCOV2_AUG",
    "DATA.TIME_DIFF_PROB",
    "DATA.TRAIN_CROP_NUM_SPATIAL",
    "DATA.TRAIN_CROP_NUM_TEMPORAL",
    "DATA.TRAIN_JITTER_ASPECT_RELATIVE",
    "DATA.TRAIN_JITTER_FPS",
    "DATA.TRAIN_JITTER_MOTION_SHIFT",
    "DATA.TRAIN_JITTER_SCALES_RELATIVE",
    "MIXUP.ENABLE",
    "MODEL.DETACH_FINAL_FC",
    "MODEL.DROPCONNECT_RATE",
    "MULTIGRID.LONG_CYCLE",
    "MULTIGRID.SHORT_CYCLE",
    "SOLVER.LARS_ON",
    "SOLVER.LAYER_DECAY",
    "TEST.NUM_TEMPORAL_CLIPS",
    "TRAIN.KILL_LOSS_EXPLOSION_FACTOR",
)
# Anything below these changes nothing that runs here: other networks, other tasks, other tools, other names.
UNREAD = re.compile(
    r"(AUG|BENCHMARK|CONTRASTIVE|DEMO|MASK|MIXUP|MULTIGRID|MVIT|VIS_MASK)(\..*)?"
    r"|TENSORBOARD\.(?!CLASS_NAMES_PATH|ENABLE|LOG_DIR|HISTOGRAM\.).*"
    r"|AVA\.(IMG_PROC_BACKEND|TRAIN_PCA_\w+)"
    r"|BN\.(EPSILON|MOMENTUM|NUM_SPLITS|NUM_SYNC_DEVICES|GLOBAL_SYNC)"
    r"|DATA\.(CROP_SIZE|PATH_TO_PRELOAD_IMDB|DECODING_SHORT_SIZE|LOADER_CHUNK_\w+|SSL_\w+|IN22\w+)"
    r"|DATA\.TRAIN_PCA_\w+|MODEL\.(ACT_CHECKPOINT|FP16_ALLREDUCE)|SOLVER\.(GAMMA|STEP_SIZE|WARMUP_FACTOR)"
    r"|TRAIN\.CHECKPOINT_IN_INIT|TEST\.SAVE_RESULTS_PATH|DATA_LOADER\.ENABLE_MULTI_THREAD_DECODE|DIST_BACKEND|TASK"
)
# Read by nothing because what they say is always so: names and lists, and weights always start a new run at epoch 0.
IMPLIED = re.compile(
    r"MODEL\.(MODEL_NAME|SINGLE_PATHWAY_ARCH|MULTI_PATHWAY_ARCH)|LOG_MODEL_INFO|TRAIN\.CHECKPOINT_(EPOCH_RESET|TYPE)"
    r"|TEST\.CHECKPOINT_TYPE|SHARD_ID"
)


def check_supported(cfg: CfgNode) -> None:
    """Refuse what a run of ``cfg`` could not honour; warn of other keys that are set and that nothing reads.

    Loading a config never does this: PySlowFast's files load as they are. A run does, before it starts.

    Raises:
        ConfigError: a key of ``REFUSED`` is not at its default, or loss, activation or search do not fit the task.
    """
    defaults = dict(leaves(get_cfg()))
    changed = [key for key, value in leaves(cfg) if value != defaults.get(key)]
    refused = [key for key in changed if key in REFUSED]
    if refused:
        raise ConfigError(f"{', '.join(refused)}: not supported, and would change the result; leave at the default")
    if cfg.DATA.REVERSE_INPUT_CHANNEL and cfg.TRAIN.DATASET.lower() != "charades":
        raise ConfigError(
            "DATA.REVERSE_INPUT_CHANNEL is True; clips are always RGB, which it stands for with TRAIN.DATASET charades "
            "only; leave it False"
        )
    test = cfg.TEST
    if is_image_network(cfg) and (test.NUM_ENSEMBLE_VIEWS, test.NUM_SPATIAL_CROPS) != (1, 1):
        raise ConfigError(
            f"TEST.NUM_ENSEMBLE_VIEWS is {test.NUM_ENSEMBLE_VIEWS} and TEST.NUM_SPATIAL_CROPS "
            f"{test.NUM_SPATIAL_CROPS}; images of MODEL.ARCH {cfg.MODEL.ARCH} have one view: set both to 1"
        )
    for key in changed:
        if UNREAD.fullmatch(key):
            _logger.warning("%s is set, and nothing in mutualnet3d reads it", key)
    several = cfg.DETECTION.ENABLE or cfg.DATA.MULTI_LABEL
    if several and cfg.TENSORBOARD.HISTOGRAM.ENABLE:
        _logger.warning(
            "TENSORBOARD.HISTOGRAM.ENABLE is True, and draws nothing: what has several labels has no one class"
        )
    losses, activations = (
        (("bce", "bce_logit"), ("sigmoid",)) if several else (("cross_entropy",), ("softmax", "sigmoid"))
    )
    if cfg.MODEL.LOSS_FUNC not in losses or cfg.MODEL.HEAD_ACT not in activations:
        raise ConfigError(
            f"MODEL.LOSS_FUNC {cfg.MODEL.LOSS_FUNC} and MODEL.HEAD_ACT {cfg.MODEL.HEAD_ACT} with DETECTION.ENABLE "
            f"{cfg.DETECTION.ENABLE} and DATA.MULTI_LABEL {cfg.DATA.MULTI_LABEL}: set {' or '.join(losses)}, and "
            f"{activations[0]}"
        )
    if several and cfg.QUERY_TABLE.SEARCH_VIDEOS and cfg.QUERY_TABLE.ENABLE and cfg.MUTUALNET.ENABLE:
        raise ConfigError(
            f"QUERY_TABLE.SEARCH_VIDEOS is {cfg.QUERY_TABLE.SEARCH_VIDEOS}: the search compares configurations video "
            "by video, which mAP does not allow; set it to 0 and list few QUERY_TABLE.CONFIGURATIONS"
        )


def leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(key, value) of everything below ``node``, a ``CfgNode`` or a dict of YAML, that is not a node itself."""
    for name, value in node.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
