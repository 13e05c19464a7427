from . import packs as packs
from .blob_cache import BlobCache as BlobCache
from .database import NewerDatabase as NewerDatabase
from .database import open_database as open_database
from .database import transaction as transaction
from .packs import Kind as Kind
from .packs import Pack as Pack
