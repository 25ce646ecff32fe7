"""Plug-ins for any system with modality encoders: CLEAR and SEA."""

from mmgraph.models.plugins.base import Plugin
from mmgraph.models.plugins.clear import CLEARPlugin
from mmgraph.models.plugins.sea import SEAPlugin

__all__ = ["CLEARPlugin", "Plugin", "SEAPlugin"]
