"""Keys of PySlowFast's current schema that release 1.0 on the package index lacks, with their default values.

Names and values are those of PySlowFast's public repository, so its YAML files load unchanged. Two exceptions:
``DATA.DECODING_BACKEND`` is ours (PyAV), and the AVA folders are empty instead of naming somebody's disk.
"""

# YAML, one node after the other; a key that release 1.0 has as well is here because its default or its type changed.
ADDED_KEYS = """
TASK: ""                               # prefix of the checkpoint files; "" for none
OUTPUT_DIR: "."                        # folder of checkpoints, logs and results
LOG_MODEL_INFO: True

BN:
  NORM_TYPE: batchnorm                 # batchnorm | sub_batchnorm | sync_batchnorm
  NUM_SPLITS: 1
  NUM_SYNC_DEVICES: 1
  GLOBAL_SYNC: False

TRAIN:
  EVAL_PERIOD: 10                      # epochs
  CHECKPOINT_PERIOD: 10                # epochs
  CHECKPOINT_EPOCH_RESET: False        # True: load the weights of a checkpoint, start at epoch 0
  CHECKPOINT_CLEAR_NAME_PATTERN: []    # texts that are removed from the names in a checkpoint
  CHECKPOINT_IN_INIT: False
  MIXED_PRECISION: False
  KILL_LOSS_EXPLOSION_FACTOR: 0.0      # 0: never

TEST:
  SAVE_RESULTS_PATH: ""
  NUM_TEMPORAL_CLIPS: []               # several numbers of temporal views, tested one after another

RESNET: {ZERO_INIT_FINAL_CONV: False}

X3D:
  WIDTH_FACTOR: 1.0
  DEPTH_FACTOR: 1.0
  BOTTLENECK_FACTOR: 1.0
  DIM_C1: 12                           # channels of the stem before WIDTH_FACTOR
  DIM_C5: 2048                         # channels before the classifier
  SCALE_RES2: False
  BN_LIN5: False
  CHANNELWISE_3x3x3: True

MODEL:
  MODEL_NAME: SlowFast
  SINGLE_PATHWAY_ARCH: [2d, c2d, i3d, slow, slowonly, x3d, mvit, maskmvit]
  DROPCONNECT_RATE: 0.0
  HEAD_ACT: softmax                    # softmax | sigmoid
  ACT_CHECKPOINT: False
  DETACH_FINAL_FC: False
  FROZEN_BN: False
  FP16_ALLREDUCE: False

DATA:
  PATH_LABEL_SEPARATOR: " "
  PATH_TO_PRELOAD_IMDB: ""
  TRAIN_PCA_EIGVAL: [0.225, 0.224, 0.229]
  TRAIN_PCA_EIGVEC: [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
  TRAIN_JITTER_SCALES_RELATIVE: []     # range of the crop's area; if given, TRAIN_JITTER_SCALES is not used
  TRAIN_JITTER_ASPECT_RELATIVE: []
  TRAIN_JITTER_MOTION_SHIFT: False
  TRAIN_JITTER_FPS: 0.0
  TRAIN_CROP_NUM_TEMPORAL: 1
  TRAIN_CROP_NUM_SPATIAL: 1
  USE_OFFSET_SAMPLING: False
  TARGET_FPS: 30                       # frames per second that SAMPLING_RATE counts in
  DECODING_BACKEND: pyav               # pyav | decord; the value torchvision is read as pyav
  DECODING_SHORT_SIZE: 256
  INV_UNIFORM_SAMPLE: False            # True: the inverse of the short side is drawn uniformly
  RANDOM_FLIP: True
  MULTI_LABEL: False
  ENSEMBLE_METHOD: sum                 # sum | max, over the views of a video
  REVERSE_INPUT_CHANNEL: False         # clips are RGB here at either value, which Charades' recipe asks for by True
  COLOR_RND_GRAYSCALE: 0.0
  LOADER_CHUNK_SIZE: 0
  LOADER_CHUNK_OVERALL_SIZE: 0
  SKIP_ROWS: 0
  TIME_DIFF_PROB: 0.0
  SSL_COLOR_JITTER: False
  SSL_COLOR_BRI_CON_SAT: [0.4, 0.4, 0.4]
  SSL_COLOR_HUE: 0.1
  SSL_MOCOV2_AUG: False
  SSL_BLUR_SIGMA_MIN: [0.0, 0.1]
  SSL_BLUR_SIGMA_MAX: [0.0, 2.0]
  IN22K_TRAINVAL: False
  IN22k_VAL_IN1K: ""
  IN_VAL_CROP_RATIO: 0.875
  DUMMY_LOAD: False

SOLVER:
  WARMUP_EPOCHS: 0.0                   # a float here, an int in release 1.0
  BASE_LR_SCALE_NUM_SHARDS: False      # True: the learning rates are those of one machine
  COSINE_END_LR: 0.0
  COSINE_AFTER_WARMUP: False
  CLIP_GRAD_VAL: null
  CLIP_GRAD_L2NORM: null
  ZERO_WD_1D_PARAM: False
  LAYER_DECAY: 1.0
  LARS_ON: False
  BETAS: [0.9, 0.999]

AVA: {FRAME_DIR: "", FRAME_LIST_DIR: "", ANNOTATION_DIR: ""}

AUG:
  {ENABLE: False, NUM_SAMPLE: 1, COLOR_JITTER: 0.4, AA_TYPE: rand-m9-mstd0.5-inc1, INTERPOLATION: bicubic,
   RE_PROB: 0.25, RE_MODE: pixel, RE_COUNT: 1, RE_SPLIT: False, GEN_MASK_LOADER: False, MASK_TUBE: False,
   MASK_FRAMES: False, MASK_WINDOW_SIZE: [8, 7, 7], MASK_RATIO: 0.0, MAX_MASK_PATCHES_PER_BLOCK: null}
MIXUP: {ENABLE: False, ALPHA: 0.8, CUTMIX_ALPHA: 1.0, PROB: 1.0, SWITCH_PROB: 0.5, LABEL_SMOOTH_VALUE: 0.1}
MULTIGRID:
  {EPOCH_FACTOR: 1.5, SHORT_CYCLE: False, SHORT_CYCLE_FACTORS: [0.5, 0.7071067811865476], LONG_CYCLE: False,
   LONG_CYCLE_FACTORS: [[0.25, 0.7071067811865476], [0.5, 0.7071067811865476], [0.5, 1], [1, 1]], BN_BASE_SIZE: 8,
   EVAL_FREQ: 3, LONG_CYCLE_SAMPLING_RATE: 0, DEFAULT_B: 0, DEFAULT_T: 0, DEFAULT_S: 0}
BENCHMARK: {NUM_EPOCHS: 5, LOG_PERIOD: 100, SHUFFLE: True}
VIS_MASK: {ENABLE: False}
TENSORBOARD:
  {ENABLE: False, PREDICTIONS_PATH: "", LOG_DIR: "", CLASS_NAMES_PATH: "", CATEGORIES_PATH: "",
   CONFUSION_MATRIX: {ENABLE: False, FIGSIZE: [8, 8], SUBSET_PATH: ""},
   HISTOGRAM: {ENABLE: False, SUBSET_PATH: "", TOPK: 10, FIGSIZE: [8, 8]},
   MODEL_VIS: {ENABLE: False, MODEL_WEIGHTS: False, ACTIVATIONS: False, INPUT_VIDEO: False, LAYER_LIST: [],
               TOPK_PREDS: 1, COLORMAP: Pastel2,
               GRAD_CAM: {ENABLE: True, LAYER_LIST: [], USE_TRUE_LABEL: False, COLORMAP: viridis}},
   WRONG_PRED_VIS: {ENABLE: False, TAG: Incorrectly classified videos., SUBSET_PATH: ""}}
DEMO: {ENABLE: False}
CONTRASTIVE: {}
MASK: {ENABLE: False}
MVIT: {}
"""

# Nodes of networks and programs that this package does not have: any key is accepted in them, and none is read.
OPEN_NODES = ("CONTRASTIVE", "DEMO", "MASK", "MVIT")
