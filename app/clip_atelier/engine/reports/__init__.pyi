from . import exports as exports
from . import page as page
from .code_export import python_code as python_code
from .exports import export as export
from .merging import merged_as_base as merged_as_base
from .page import document as document
from .written import WrittenFiles as WrittenFiles
from .written import WrittenReport as WrittenReport
