# The probe as Apache loads it.
from tests.support.probe import site

application = site()
