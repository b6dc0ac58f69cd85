"""validate.py as a process."""

import mindspore as ms
import numpy as np
import pytest
from PIL import Image

from mindcv.config import Config
from mindcv.files.checkpoint_file import write_checkpoint
from mindcv.models import create_model
from tests.support.programs import ROOT, run


@pytest.mark.slow
@pytest.mark.hostile
def test_a_network_of_nan_gets_no_score_without_a_word(tmp_path):
    for name in ("cat", "dog"):
        folder = tmp_path / "images" / "val" / name
        folder.mkdir(parents=True)
        Image.new("RGB", (40, 40)).save(folder / "1.png")
    network = create_model("mnasnet_small", num_classes=2)
    bias = network.classifier.bias
    bias.set_data(ms.Tensor(np.full(bias.shape, np.nan, np.float32)))
    config = Config.from_options({"model": "mnasnet_small", "image_resize": 32, "num_classes": 2})
    metadata = {"config": config.options(), "classes": ["cat", "dog"]}
    write_checkpoint(tmp_path / "a.ckpt", network.parameters_dict(), metadata)
    done = run(ROOT / "validate.py", "--ckpt_path", "a.ckpt", "--data_dir", "images", cwd=tmp_path)
    assert done.status == 2
    assert done.output.endswith("loss nan\n")
    assert done.errors[-1] == (
        "error: a.ckpt: the loss is NaN or infinite, so the score means nothing: use another checkpoint"
    )
