"""PySlowFast's config, extended: ``load_config`` builds it, ``check_config`` refuses what cannot be meant."""

from mutualnet3d.config.defaults import get_cfg
from mutualnet3d.config.load import load_config, load_config_text
from mutualnet3d.config.validate import check_config

__all__ = ["check_config", "get_cfg", "load_config", "load_config_text"]
