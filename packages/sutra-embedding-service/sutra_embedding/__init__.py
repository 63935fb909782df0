"""Text embeddings."""

import os

# The libraries read these variables on import. ONNX Runtime's official builds send telemetry by default and store a
# device ID in the home folder. The Hugging Face Hub client would check for updates. Tokenizer threads would compete
# with the model's threads. Progress bars do not belong in logs.
os.environ |= {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
}
