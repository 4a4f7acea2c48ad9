"""The default config: PySlowFast's schema plus the nodes of this package."""

from functools import cache

import yaml
from fvcore.common.config import CfgNode
from slowfast.config.defaults import get_cfg as get_pyslowfast_cfg

from mutualnet3d.config.pyslowfast_keys import ADDED_KEYS, OPEN_NODES

# The nodes of this package. YAML, so that meaning and unit stand beside every key.
OWN_KEYS = """
MUTUALNET:
  ENABLE: False          # True: mutual training. False: plain PySlowFast training of the full network
  WIDTH: [0.63, 1.0]     # lowest and highest width: the network that the other keys describe is the highest; at
                         # width w a layer has w / highest of its channels
  SPATIAL: []            # pixels at the training crop, ascending. Empty: round_even(crop * sqrt(0.4)),
                         # round_even(crop * sqrt(0.63)), crop; for images 128, 160, 192 of 224, and crop
  TEMPORAL: []           # frames of the Slow pathway (T), or of the one branch, ascending. Empty:
                         # max(1, round(0.4 T)), round(0.63 T), T, without duplicates; images have none
  DIVISOR: 8             # channels: widths are rounded to multiples of this; a quarter of it, at least 1, for the inner
                         # channels of the bottlenecks of resnet50 and resnet101 and their stem, as in the paper
  METHOD: mutual         # mutual | usnet (widths at full resolution) | multiscale (usnet, at one random resolution per
                         # iteration) | independent (FIXED alone) | slimmable (WIDTHS_TRAINED at full resolution)
  NUM_RANDOM: 1          # random configurations per iteration, besides the widest and the smallest; may be 0
  SMALLEST: auto         # METHOD mutual: resolution of the smallest width: lowest | random | full | auto = lowest for
                         # videos, random for images
  TEACHER: auto          # sub-networks learn full (the first configuration's prediction) | labels | auto = labels for
                         # METHOD slimmable, full for the others
  LABEL_EPOCHS: 0.0      # epochs at the beginning in which sub-networks learn labels, before full teaches; 0 = the
                         # paper. In a short training full knows nothing for a good part of it
  FIXED: ""              # METHOD independent: the configuration, such as "0.63-142-3"
  WIDTHS_TRAINED: []     # METHOD slimmable: widths, ascending; the last is the highest of WIDTH
  DISTILL_WEIGHT: 1.0    # factor on the losses of the sub-networks; 1.0 = the paper's plain sum

IMAGE:                   # MODEL.ARCH mobilenet_v1 and the other networks of images; RESNET is for videos
  WIDTH_FACTOR: 1.0      # factor on the channels of a MobileNet, VGG or wide ResNet, which gives the network of the
                         # highest width: with MUTUALNET.WIDTH [1.0, 2.0] it must be 2.0, so that width 1.0 is the
                         # published network
  DEPTH: 28              # wide_resnet: convolutions, 6 n + 4
  WIDEN_FACTOR: 10       # wide_resnet: the stages have 16, 32 and 64 channels times this
  STEM_STRIDE: 1         # wide_resnet: of the first convolution; 2: a quarter of the pixels in every layer
  AUGMENTATION: resnet   # of training images: none | cifar | resnet | mobile; see data/augmentation.py. Tests cut the
                         # centre of TEST_CROP_SIZE from a shorter side of TEST_CROP_SIZE / DATA.IN_VAL_CROP_RATIO
  DOWNLOAD: False        # TRAIN.DATASET cifar10 and cifar100: True fetches the files where they are not there

CALIBRATION:             # acts on adaptive networks only (MUTUALNET.ENABLE)
  ENABLE: True           # recompute the BatchNorm statistics of every configuration before evaluation
  NUM_BATCHES: 16        # batches of training clips per configuration
  NUM_CLIPS: 0           # clips per configuration in place of NUM_BATCHES, rounded up to whole batches; 0 = off
  BATCH_SIZE: 0          # clips per batch; 0 = TRAIN.BATCH_SIZE
  CONFIGURATIONS: []     # texts such as "0.63-142-3"; empty = those of the query table

QUERY_TABLE:             # a network that is not adaptive (MUTUALNET.ENABLE False) has one entry: full
  ENABLE: True           # evaluate the configurations after training and write the table
  WIDTHS: []             # fractions; the grid takes them with every spatial and temporal value.
                         # Empty = lowest, middle and highest width of the space; of METHOD slimmable those trained,
                         # of independent FIXED alone
  WIDTH_STEP: 0.0        # in place of WIDTHS: lowest width, lowest + step, ..., and the highest; 0 = off. METHOD
                         # slimmable and independent train no such widths and take their own all the same
  CONFIGURATIONS: []     # texts such as "0.63-142-3"; if given they take the place of the grid
  SEARCH_VIDEOS: 0       # evaluate the whole grid on this many test videos, and only the configurations that may
                         # be on the Pareto front on all of them; 0 = off

TRAIN:
  MIXED_PRECISION_DTYPE: bfloat16 # with TRAIN.MIXED_PRECISION: bfloat16 | float16 (scales the loss)

DATA_LOADER:
  CACHE_GB: 0.0          # GB of decoded frames of training videos, or images, that every process that reads them keeps:
                         # NUM_WORKERS each, or with 0 workers the one; for small data sets, not AVA; 0 = off

SOLVER:
  ZERO_WD_DEPTHWISE: False # True: no weight decay of depthwise convolutions, as the paper trains MobileNets
  LABEL_SMOOTHING: 0.0   # MODEL.LOSS_FUNC cross_entropy: share of full's target that is spread over all classes, [0, 1)

CHARADES:                # TRAIN.DATASET charades
  LISTS: frames          # frames: PySlowFast's train.csv and val.csv, pictures of frames, labels per frame
                         # segments: the data set's own csv files, videos, actions in seconds
  TRAIN_FILE: Charades_v1_train.csv # with LISTS segments, in DATA.PATH_TO_DATA_DIR; the videos are <id>.mp4 in
  TEST_FILE: Charades_v1_test.csv   # DATA.PATH_PREFIX

AVA:                     # beside PySlowFast's keys; TRAIN.DATASET ava
  VIDEO_DIR: ""          # folder of <video>.mp4 (.mkv, .webm, .avi) in place of FRAME_DIR and FRAME_LIST_DIR
  START_SECOND: 900      # what the lists call the first frame of every video: AVA's are cut to 15..30 minutes
  FPS: 30.0              # frames per second that the pictures of FRAME_LIST_DIR were taken at

SYNTHETIC:               # the rendered data set (TRAIN.DATASET synthetic)
  NUM_TRAIN: 60          # videos per class
  NUM_VAL: 10            # videos per class
  NUM_TEST: 20           # videos per class
  DIFFICULTY: easy       # easy | hard: small objects, slow and fast ones, among others that hardly move: pixels, frames
                         # and channels each buy accuracy
  SEED: 0                # seed of everything that is rendered
  SIZE: [96, 96]         # height and width of the files, pixels
  NUM_FRAMES: 40         # frames per video
  FPS: 30                # frames per second
"""


def get_cfg() -> CfgNode:
    """A new copy of the defaults, as ``fvcore.common.config.CfgNode``.

    It holds every key of PySlowFast 1.0, the keys that its public repository added since (``pyslowfast_keys.py``) and
    the nodes of this package, ``MUTUALNET`` and those after it. With ``MUTUALNET.ENABLE`` False, the default, a run is
    plain PySlowFast training.
    """
    return _defaults().clone()


@cache
def _defaults() -> CfgNode:
    cfg = get_pyslowfast_cfg()
    for text in (ADDED_KEYS, OWN_KEYS):
        _graft(cfg, yaml.safe_load(text))
    for name in OPEN_NODES:
        cfg[name].set_new_allowed(True)
    return cfg


def _graft(node: CfgNode, tree: dict) -> None:
    """Write every leaf of ``tree`` into ``node``, whether it was there before or not."""
    for key, value in tree.items():
        if not isinstance(value, dict):
            node[key] = value
        elif key in node:
            _graft(node[key], value)
        else:
            node[key] = CfgNode(value)
