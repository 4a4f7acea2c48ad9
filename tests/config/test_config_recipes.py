"""Every recipe of ours loads, and so do PySlowFast's own files, unchanged."""

from pathlib import Path

import pytest
import yaml

from mutualnet3d import build_model, complexity
from mutualnet3d.config import load_config, load_config_text

OURS = sorted((Path(__file__).parents[2] / "configs").rglob("*.yaml"))

KINETICS_TRAIN = """
TRAIN: {ENABLE: True, DATASET: kinetics, BATCH_SIZE: 64, EVAL_PERIOD: 10, CHECKPOINT_PERIOD: 1, AUTO_RESUME: True}
TEST: {ENABLE: True, DATASET: kinetics, BATCH_SIZE: 64}
DATA_LOADER: {NUM_WORKERS: 8, PIN_MEMORY: True}
NUM_GPUS: 8
NUM_SHARDS: 1
RNG_SEED: 0
OUTPUT_DIR: .
"""
MACHINE = """
NUM_GPUS: 8
NUM_SHARDS: 1
RNG_SEED: 0
OUTPUT_DIR: .
"""
SLOW_BODY = """
RESNET: {ZERO_INIT_FINAL_BN: True, WIDTH_PER_GROUP: 64, NUM_GROUPS: 1, DEPTH: 50, TRANS_FUNC: bottleneck_transform,
         STRIDE_1X1: False, NUM_BLOCK_TEMP_KERNEL: [[3], [4], [6], [3]]}
NONLOCAL: {LOCATION: [[[]], [[]], [[]], [[]]], GROUP: [[1], [1], [1], [1]], INSTANTIATION: dot_product}
"""
SLOWFAST_NONLOCAL = """
NONLOCAL: {LOCATION: [[[], []], [[], []], [[], []], [[], []]], GROUP: [[1, 1], [1, 1], [1, 1], [1, 1]],
           INSTANTIATION: dot_product}
"""
RECIPES = {
    "Kinetics/SLOW_8x8_R50": KINETICS_TRAIN
    + SLOW_BODY
    + """
DATA: {NUM_FRAMES: 8, SAMPLING_RATE: 8, TRAIN_JITTER_SCALES: [256, 320], TRAIN_CROP_SIZE: 224, TEST_CROP_SIZE: 256,
       INPUT_CHANNEL_NUM: [3]}
BN: {USE_PRECISE_STATS: True, NUM_BATCHES_PRECISE: 200}
SOLVER: {BASE_LR: 0.1, LR_POLICY: cosine, MAX_EPOCH: 196, MOMENTUM: 0.9, WEIGHT_DECAY: 1e-4, WARMUP_EPOCHS: 34.0,
         WARMUP_START_LR: 0.01, OPTIMIZING_METHOD: sgd}
MODEL: {NUM_CLASSES: 400, ARCH: slow, MODEL_NAME: ResNet, LOSS_FUNC: cross_entropy, DROPOUT_RATE: 0.5}
""",
    "Kinetics/SLOWFAST_4x16_R50": KINETICS_TRAIN
    + SLOWFAST_NONLOCAL
    + """
DATA: {NUM_FRAMES: 32, SAMPLING_RATE: 2, TRAIN_JITTER_SCALES: [256, 320], TRAIN_CROP_SIZE: 224, TEST_CROP_SIZE: 256,
       INPUT_CHANNEL_NUM: [3, 3]}
SLOWFAST: {ALPHA: 8, BETA_INV: 8, FUSION_CONV_CHANNEL_RATIO: 2, FUSION_KERNEL_SZ: 5}
RESNET: {ZERO_INIT_FINAL_BN: True, WIDTH_PER_GROUP: 64, NUM_GROUPS: 1, DEPTH: 50, TRANS_FUNC: bottleneck_transform,
         STRIDE_1X1: False, NUM_BLOCK_TEMP_KERNEL: [[3, 3], [4, 4], [6, 6], [3, 3]],
         SPATIAL_STRIDES: [[1, 1], [2, 2], [2, 2], [2, 2]], SPATIAL_DILATIONS: [[1, 1], [1, 1], [1, 1], [1, 1]]}
BN: {USE_PRECISE_STATS: True, NUM_BATCHES_PRECISE: 200, MOMENTUM: 0.1, WEIGHT_DECAY: 0.0}
SOLVER: {BASE_LR: 0.1, LR_POLICY: cosine, MAX_EPOCH: 196, MOMENTUM: 0.9, WEIGHT_DECAY: 1e-4, WARMUP_EPOCHS: 34,
         WARMUP_START_LR: 0.01, OPTIMIZING_METHOD: sgd}
MODEL: {NUM_CLASSES: 400, ARCH: slowfast, MODEL_NAME: SlowFast, LOSS_FUNC: cross_entropy, DROPOUT_RATE: 0.5}
""",
    "Kinetics/X3D_M": """
TRAIN: {DATASET: kinetics, BATCH_SIZE: 128, EVAL_PERIOD: 10, CHECKPOINT_PERIOD: 10, AUTO_RESUME: True}
X3D: {WIDTH_FACTOR: 2.0, DEPTH_FACTOR: 2.2, BOTTLENECK_FACTOR: 2.25, DIM_C5: 2048, DIM_C1: 12}
TEST: {ENABLE: True, DATASET: kinetics, BATCH_SIZE: 64, NUM_SPATIAL_CROPS: 3}
DATA: {NUM_FRAMES: 16, SAMPLING_RATE: 5, TRAIN_JITTER_SCALES: [256, 320], TRAIN_CROP_SIZE: 224, TEST_CROP_SIZE: 256,
       INPUT_CHANNEL_NUM: [3], DECODING_BACKEND: torchvision}
RESNET: {ZERO_INIT_FINAL_BN: True, TRANS_FUNC: x3d_transform, STRIDE_1X1: False}
BN: {USE_PRECISE_STATS: True, NUM_BATCHES_PRECISE: 200, WEIGHT_DECAY: 0.0}
SOLVER: {BASE_LR: 0.1, BASE_LR_SCALE_NUM_SHARDS: True, LR_POLICY: cosine, MAX_EPOCH: 300, WEIGHT_DECAY: 5e-5,
         WARMUP_EPOCHS: 35.0, WARMUP_START_LR: 0.01, OPTIMIZING_METHOD: sgd}
MODEL: {NUM_CLASSES: 400, ARCH: x3d, MODEL_NAME: X3D, LOSS_FUNC: cross_entropy, DROPOUT_RATE: 0.5}
DATA_LOADER: {NUM_WORKERS: 8, PIN_MEMORY: True}
NUM_GPUS: 8
RNG_SEED: 0
OUTPUT_DIR: .
""",
    "Charades/SLOWFAST_16x8_R50": MACHINE
    + SLOWFAST_NONLOCAL
    + """
TRAIN: {ENABLE: True, DATASET: charades, BATCH_SIZE: 16, EVAL_PERIOD: 6, CHECKPOINT_PERIOD: 6, AUTO_RESUME: True,
        CHECKPOINT_FILE_PATH: SLOWFAST_16x8_R50.pkl, CHECKPOINT_TYPE: pytorch}
DATA: {NUM_FRAMES: 64, SAMPLING_RATE: 2, TRAIN_JITTER_SCALES: [256, 340], TRAIN_CROP_SIZE: 224, TEST_CROP_SIZE: 256,
       INPUT_CHANNEL_NUM: [3, 3], MULTI_LABEL: True, INV_UNIFORM_SAMPLE: True, ENSEMBLE_METHOD: max,
       REVERSE_INPUT_CHANNEL: True}
SLOWFAST: {ALPHA: 4, BETA_INV: 8, FUSION_CONV_CHANNEL_RATIO: 2, FUSION_KERNEL_SZ: 7}
RESNET: {SPATIAL_STRIDES: [[1, 1], [2, 2], [2, 2], [2, 2]], SPATIAL_DILATIONS: [[1, 1], [1, 1], [1, 1], [1, 1]],
         ZERO_INIT_FINAL_BN: True, WIDTH_PER_GROUP: 64, NUM_GROUPS: 1, DEPTH: 50, TRANS_FUNC: bottleneck_transform,
         STRIDE_1X1: False, NUM_BLOCK_TEMP_KERNEL: [[3, 3], [4, 4], [6, 6], [3, 3]]}
BN: {USE_PRECISE_STATS: True, NUM_BATCHES_PRECISE: 200, MOMENTUM: 0.1, WEIGHT_DECAY: 0.0, NORM_TYPE: sync_batchnorm,
     NUM_SYNC_DEVICES: 4}
SOLVER: {BASE_LR: 0.0375, LR_POLICY: steps_with_relative_lrs, LRS: [1, 0.1, 0.01, 0.001, 0.0001, 0.00001],
         STEPS: [0, 41, 49], MAX_EPOCH: 57, MOMENTUM: 0.9, WEIGHT_DECAY: 1e-4, WARMUP_EPOCHS: 4.0,
         WARMUP_START_LR: 0.0001, OPTIMIZING_METHOD: sgd}
MODEL: {NUM_CLASSES: 157, ARCH: slowfast, LOSS_FUNC: bce_logit, HEAD_ACT: sigmoid, DROPOUT_RATE: 0.5}
TEST: {ENABLE: True, DATASET: charades, BATCH_SIZE: 16, NUM_ENSEMBLE_VIEWS: 10, NUM_SPATIAL_CROPS: 3}
DATA_LOADER: {NUM_WORKERS: 8, PIN_MEMORY: True}
LOG_MODEL_INFO: False
""",
    "AVA/SLOW_8x8_R50_SHORT": MACHINE
    + """
TRAIN: {ENABLE: True, DATASET: ava, BATCH_SIZE: 64, EVAL_PERIOD: 5, CHECKPOINT_PERIOD: 1, AUTO_RESUME: True,
        CHECKPOINT_TYPE: caffe2}
DATA: {NUM_FRAMES: 4, SAMPLING_RATE: 16, TRAIN_JITTER_SCALES: [256, 320], TRAIN_CROP_SIZE: 224, TEST_CROP_SIZE: 256,
       INPUT_CHANNEL_NUM: [3]}
DETECTION: {ENABLE: True, ALIGNED: True}
AVA: {DETECTION_SCORE_THRESH: 0.9, TRAIN_PREDICT_BOX_LISTS: ["ava_train_v2.2.csv", "boxes/train.csv"],
      TEST_PREDICT_BOX_LISTS: ["boxes/val.csv"]}
RESNET: {ZERO_INIT_FINAL_BN: True, WIDTH_PER_GROUP: 64, NUM_GROUPS: 1, DEPTH: 50, TRANS_FUNC: bottleneck_transform,
         STRIDE_1X1: False, NUM_BLOCK_TEMP_KERNEL: [[3], [4], [6], [3]], SPATIAL_DILATIONS: [[1], [1], [1], [2]],
         SPATIAL_STRIDES: [[1], [2], [2], [1]]}
NONLOCAL: {LOCATION: [[[]], [[]], [[]], [[]]], GROUP: [[1], [1], [1], [1]], INSTANTIATION: softmax}
BN: {USE_PRECISE_STATS: False, NUM_BATCHES_PRECISE: 200, MOMENTUM: 0.1, WEIGHT_DECAY: 0.0}
SOLVER: {BASE_LR: 0.1, LR_POLICY: steps_with_relative_lrs, STEPS: [0, 10, 15, 20], LRS: [1, 0.1, 0.01, 0.001],
         MAX_EPOCH: 20, MOMENTUM: 0.9, WEIGHT_DECAY: 1e-7, WARMUP_EPOCHS: 5.0, WARMUP_START_LR: 0.000125,
         OPTIMIZING_METHOD: sgd}
MODEL: {NUM_CLASSES: 80, ARCH: slow, MODEL_NAME: ResNet, LOSS_FUNC: bce, DROPOUT_RATE: 0.5, HEAD_ACT: sigmoid}
TEST: {ENABLE: True, DATASET: ava, BATCH_SIZE: 8}
DATA_LOADER: {NUM_WORKERS: 2, PIN_MEMORY: True}
""",
    "AVA/SLOWFAST_32x2_R50_SHORT": MACHINE
    + SLOWFAST_NONLOCAL
    + """
TRAIN: {ENABLE: True, DATASET: ava, BATCH_SIZE: 64, EVAL_PERIOD: 5, CHECKPOINT_PERIOD: 1, AUTO_RESUME: True,
        CHECKPOINT_TYPE: caffe2}
DATA: {NUM_FRAMES: 32, SAMPLING_RATE: 2, TRAIN_JITTER_SCALES: [256, 320], TRAIN_CROP_SIZE: 224, TEST_CROP_SIZE: 224,
       INPUT_CHANNEL_NUM: [3, 3]}
DETECTION: {ENABLE: True, ALIGNED: True}
AVA: {DETECTION_SCORE_THRESH: 0.8, TRAIN_PREDICT_BOX_LISTS: ["ava_train_v2.2.csv", "boxes/train.csv"],
      TEST_PREDICT_BOX_LISTS: ["boxes/val.csv"]}
SLOWFAST: {ALPHA: 4, BETA_INV: 8, FUSION_CONV_CHANNEL_RATIO: 2, FUSION_KERNEL_SZ: 7}
RESNET: {ZERO_INIT_FINAL_BN: True, WIDTH_PER_GROUP: 64, NUM_GROUPS: 1, DEPTH: 50, TRANS_FUNC: bottleneck_transform,
         STRIDE_1X1: False, NUM_BLOCK_TEMP_KERNEL: [[3, 3], [4, 4], [6, 6], [3, 3]],
         SPATIAL_DILATIONS: [[1, 1], [1, 1], [1, 1], [2, 2]], SPATIAL_STRIDES: [[1, 1], [2, 2], [2, 2], [1, 1]]}
BN: {USE_PRECISE_STATS: False, NUM_BATCHES_PRECISE: 200, MOMENTUM: 0.1, WEIGHT_DECAY: 0.0}
SOLVER: {BASE_LR: 0.1, LR_POLICY: steps_with_relative_lrs, STEPS: [0, 10, 15, 20], LRS: [1, 0.1, 0.01, 0.001],
         MAX_EPOCH: 20, MOMENTUM: 0.9, WEIGHT_DECAY: 1e-7, WARMUP_EPOCHS: 5.0, WARMUP_START_LR: 0.000125,
         OPTIMIZING_METHOD: sgd}
MODEL: {NUM_CLASSES: 80, ARCH: slowfast, MODEL_NAME: SlowFast, LOSS_FUNC: bce, DROPOUT_RATE: 0.5, HEAD_ACT: sigmoid}
TEST: {ENABLE: True, DATASET: ava, BATCH_SIZE: 8}
DATA_LOADER: {NUM_WORKERS: 2, PIN_MEMORY: True}
""",
    "ImageNet/RES_R50": MACHINE
    + """
TRAIN: {ENABLE: True, DATASET: imagenet, BATCH_SIZE: 256, EVAL_PERIOD: 10, CHECKPOINT_PERIOD: 1, AUTO_RESUME: True}
DATA: {MEAN: [0.485, 0.456, 0.406], STD: [0.229, 0.224, 0.225], NUM_FRAMES: 1, TRAIN_CROP_SIZE: 224,
       TEST_CROP_SIZE: 256, INPUT_CHANNEL_NUM: [3], TRAIN_JITTER_SCALES_RELATIVE: [0.08, 1.0],
       TRAIN_JITTER_ASPECT_RELATIVE: [0.75, 1.3333333333333333]}
BN: {USE_PRECISE_STATS: True, NUM_BATCHES_PRECISE: 200}
SOLVER: {BASE_LR: 0.1, LR_POLICY: steps_with_relative_lrs, MAX_EPOCH: 100, STEPS: [0, 30, 60, 90],
         LRS: [1, 0.1, 0.01, 0.001], MOMENTUM: 0.9, WEIGHT_DECAY: 1e-4, WARMUP_EPOCHS: 0.0, WARMUP_START_LR: 0.01,
         OPTIMIZING_METHOD: sgd}
MODEL: {NUM_CLASSES: 1000, ARCH: 2d, MODEL_NAME: ResNet, LOSS_FUNC: cross_entropy, DROPOUT_RATE: 0.5}
TEST: {ENABLE: True, DATASET: imagenet, BATCH_SIZE: 256}
DATA_LOADER: {NUM_WORKERS: 8, PIN_MEMORY: True}
"""
    + SLOW_BODY,
    "Kinetics/C2D_8x8_R50_IN1K, as of release 1.0": KINETICS_TRAIN
    + SLOW_BODY
    + """
DATA: {NUM_FRAMES: 8, SAMPLING_RATE: 8, CROP_SIZE: 224, INPUT_CHANNEL_NUM: [3], PATH_TO_DATA_DIR: lists}
BN: {EPSILON: 1e-5, MOMENTUM: 0.1}
AVA: {TRAIN_PCA_EIGVAL: [0.225, 0.224, 0.229]}
SOLVER: {BASE_LR: 0.01, LR_POLICY: steps_with_relative_lrs, STEPS: [0, 44, 88, 118], LRS: [1, 0.1, 0.01, 0.001],
         MAX_EPOCH: 118, MOMENTUM: 0.9, WEIGHT_DECAY: 1e-4, OPTIMIZING_METHOD: sgd, WARMUP_EPOCHS: 2}
MODEL: {NUM_CLASSES: 400, ARCH: c2d, LOSS_FUNC: cross_entropy, DROPOUT_RATE: 0.5}
""",
}


DETECTION = {"Charades": (False, 1), "AVA": (True, 2)}  # and the dilation of stage 5


def leaves(tree, prefix=""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


@pytest.mark.parametrize("path", OURS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_ours_load_and_survive_a_round_trip(path):
    cfg = load_config(path)
    assert load_config_text(cfg.dump()) == cfg


@pytest.mark.parametrize("name", RECIPES)
def test_official_recipes_load_with_every_value(name, tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text(RECIPES[name])
    cfg = load_config(file)
    for key, value in leaves(yaml.safe_load(RECIPES[name])):
        here = cfg
        for part in key.split("."):
            here = here[part]
        assert here == (float(value) if isinstance(here, float) else value), key
    assert cfg.MUTUALNET.ENABLE is False
    assert load_config_text(cfg.dump()) == cfg


@pytest.mark.parametrize(
    ("file", "space"),
    [
        ("MN_SLOW_8x8", ([142, 178, 224], [3, 5, 8])),
        ("MN_SLOWFAST_4x16", ([142, 178, 224], [2, 3, 4])),
        ("MN_X3D_M", ([142, 160, 192, 224], [6, 9, 12, 16])),
    ],
)
def test_the_papers_ranges(file, space):
    (path,) = [path for path in OURS if path.stem == file and path.parent.name == "Kinetics"]
    cfg = load_config(path)
    assert cfg.MUTUALNET.ENABLE
    assert cfg.MUTUALNET.WIDTH == [0.63, 1.0]
    assert space == (cfg.MUTUALNET.SPATIAL, cfg.MUTUALNET.TEMPORAL)
    assert (cfg.DATA.TRAIN_CROP_SIZE, cfg.DATA.TEST_CROP_SIZE) == (224, 256)


@pytest.mark.parametrize(
    ("path", "widths", "classes", "batch", "rate", "epochs"),
    [
        ("ImageNet/MN_RESNET50", [0.7, 1.0], 1000, 256, 0.1, 120),
        ("ImageNet/MN_RESNET50_BOOST", [0.9, 1.0], 1000, 512, 0.2, 120),
        ("ImageNet/MN_MOBILENET_V1_TRANSFER", [0.25, 1.0], 101, 256, 0.1, 100),
        ("ImageNet/MN_MOBILENET_V1_INDOOR67", [0.25, 1.0], 67, 256, 0.1, 100),
        ("CIFAR/MN_MOBILENET_V1_TRANSFER", [0.25, 1.0], 100, 256, 0.1, 100),
        ("CIFAR/MN_WRN28_10", [0.9, 1.0], 10, 128, 0.1, 200),
    ],
)
def test_the_papers_images(path, widths, classes, batch, rate, epochs):
    (path,) = [each for each in OURS if f"{each.parent.name}/{each.stem}" == path]
    cfg = load_config(path)
    assert (widths, classes) == (cfg.MUTUALNET.WIDTH, cfg.MODEL.NUM_CLASSES)
    assert (batch, rate, epochs) == (cfg.TRAIN.BATCH_SIZE, cfg.SOLVER.BASE_LR, cfg.SOLVER.MAX_EPOCH)
    assert ([20, 24, 28, 32] if "WRN" in path.stem else [128, 160, 192, 224]) == cfg.MUTUALNET.SPATIAL
    assert Path(cfg.TRAIN.CHECKPOINT_FILE_PATH).suffix == (".pyth" if epochs == 100 else "")


@pytest.mark.parametrize(
    ("path", "temporal", "gmacs"),
    [
        ("Charades/MN_SLOW_8x8", [3, 5, 8], 54.5),
        ("Charades/MN_SLOWFAST_16x8", [6, 10, 16], 131.4),
        ("AVA/MN_SLOW_8x8", [3, 5, 8], 83.1),
        ("AVA/MN_SLOWFAST_32x2", [3, 5, 8], 96.9),
    ],
)
def test_the_papers_transfer(path, temporal, gmacs):
    """Plain fine-tuning by default, adaptive by one key; 54.5 GFLOPs for Charades are the paper's."""
    (path,) = [each for each in OURS if f"{each.parent.name}/{each.stem}" == path]
    cfg = load_config(path)
    assert not cfg.MUTUALNET.ENABLE
    assert ([142, 178, 224], temporal) == (cfg.MUTUALNET.SPATIAL, cfg.MUTUALNET.TEMPORAL)
    model = build_model(cfg)
    assert complexity(model, crop=256).gmacs == pytest.approx(gmacs, abs=0.06)
    assert DETECTION[path.parent.name] == (cfg.DETECTION.ENABLE, model.s5.pathway0_res0.branch2.b.dilation[1])
