"""The original image's output for the tiny checkpoint (see record_reference.py)."""

import json
from pathlib import Path
from typing import Any

RECORD: dict[str, Any] = json.loads(
    Path(__file__).parent.parent.joinpath("data/reference.json").read_text(encoding="utf-8")
)
