"""CLIP Atelier: teach CLIP an artist's own hand, on your own machine."""

__version__ = "0.1.0"
