"""Texts to vectors."""

import os

# What the libraries read from the environment, set before any of them is imported. ONNX Runtime's official builds send
# usage data to their maker and keep a device's number in the home folder unless they are told not to; a service tells
# nobody of its work. The hub's client does not look for newer files. Tokenizing is short, and threads of its own for it
# would compete with those of the model. A bar of progress is no line of a log.
os.environ |= {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
}
