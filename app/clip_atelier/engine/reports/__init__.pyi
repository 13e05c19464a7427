from . import exports as exports
from . import page as page
from .exports import export as export
from .exports import python_code as python_code
from .page import document as document
