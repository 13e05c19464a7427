from . import exports as exports
from . import page as page
from .exports import export as export
from .exports import python_code as python_code
from .page import document as document
from .written import WrittenFiles as WrittenFiles
from .written import WrittenReport as WrittenReport
