"""`pages`: the README and the guides, taken apart. See pages.py for the rules they keep."""

import importlib.util
import sys
from pathlib import Path

for name in ("pages", "names", "shell"):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
