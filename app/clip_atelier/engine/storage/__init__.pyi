from . import packs as packs
from .blob_cache import BlobCache as BlobCache
from .packs import Kind as Kind
from .packs import Pack as Pack
