from unittest import SkipTest

from tests.builds import COMPILED

if COMPILED:
    raise SkipTest("what is explored is plain Python")
