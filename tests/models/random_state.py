"""Random states of networks, for comparisons."""

import torch


def shake(model, seed=0, shift=0.3):
    """Random weights, affine parameters and statistics: no branch is hidden behind a zero, no two layers are equal.

    ``shift``: mean of biases and running means. Above 0 no single channel dies in a ReLU; a deep network amplifies it.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point():
                tensor.fill_(5)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5, generator=generator)
            elif tensor.ndim > 1:
                tensor.normal_(0.0, (2.0 / tensor[0].numel()) ** 0.5, generator=generator)
            elif name.endswith("weight"):
                tensor.uniform_(0.4, 1.0, generator=generator)
            else:
                tensor.normal_(shift, 0.2, generator=generator)
    return model
