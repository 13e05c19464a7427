from .library import Collection as Collection
from .library import Embedder as Embedder
from .library import evaluate as evaluate
from .library import load as load
from .library import search as search
from .library import train as train

__version__: str
