"""CLIP Atelier: teach CLIP an artist's own hand, on your own machine.

As a library it offers `Collection`, `train`, `evaluate`, `search` and `load`. Importing it loads nothing heavy and changes
nothing in the process; torch is imported when a model is first needed. Nothing is ever fetched.
"""

import lazy_loader

__version__ = "0.1.0"

# What is offered is named in `__init__.pyi` and loaded when it is first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
