"""The suite's generators at their published sizes; one file a family, each written once for Keras and PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generators.cyclegan import CYCLEGAN
from generators.dcgan import DCGAN
from generators.esrgan import ESRGAN
from generators.gru import GRU
from generators.hifigan import HIFIGAN
from generators.pix2pix import PIX2PIX
from generators.stylegan2 import STYLEGAN2
from generators.transformer import TRANSFORMER
from generators.vae import VAE
from generators.vqvae import VQVAE
from generators.wavegan import WAVEGAN
from generators.wgan import WGAN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generators.net import Net

NETS: Mapping[str, Net] = {
    net.name: net
    for net in (
        DCGAN,
        WGAN,
        STYLEGAN2,
        CYCLEGAN,
        PIX2PIX,
        ESRGAN,
        VAE,
        VQVAE,
        WAVEGAN,
        HIFIGAN,
        GRU,
        TRANSFORMER,
    )
}

__all__ = ["NETS"]
