from .grid import DEFAULT_GRID as DEFAULT_GRID
from .grid import Grid as Grid
from .grid import fill as fill
from .grid import table as table
from .unfinished_grids import Unfinished as Unfinished
from .unfinished_grids import forget as forget
from .unfinished_grids import unfinished as unfinished
