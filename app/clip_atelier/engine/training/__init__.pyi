from .batches import step_count as step_count
from .distributed.group import Group as Group
from .distributed.group import joined as joined
from .distributed.trainer import follow as follow
from .estimation import estimate as estimate
from .run import Plan as Plan
from .run import resume as resume
from .run import train as train
