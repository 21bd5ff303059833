"""PyTorch generators as people write them; each function returns a module and its example inputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


class UNet(nn.Module):
    def __init__(self, width: int = 8) -> None:
        super().__init__()
        sizes = [(3, width), (width, 2 * width), (2 * width, 4 * width)]
        self.down = nn.ModuleList([nn.Conv2d(a, b, 4, 2, 1) for a, b in sizes])
        self.norms = nn.ModuleList([nn.BatchNorm2d(b) for _, b in sizes])
        self.up = nn.ModuleList(
            [nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1), nn.ConvTranspose2d(4 * width, width, 4, 2, 1)]
        )
        self.last = nn.ConvTranspose2d(2 * width, 3, 4, 2, 1)

    def forward(self, photo: Any) -> Any:
        skips = [self.norms[0](self.down[0](photo))]
        for conv, norm in zip(self.down[1:], self.norms[1:], strict=True):
            skips.append(norm(conv(functional.leaky_relu(skips[-1], 0.2))))
        x = skips.pop()
        for conv in self.up:
            x = torch.cat([conv(functional.relu(x)), skips.pop()], 1)
        return torch.tanh(self.last(functional.relu(x)))


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        layers = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
        self.body = nn.Sequential(*layers, nn.ReLU(), nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3))

    def forward(self, x: Any) -> Any:
        return x + self.body(x)


class Noisy(nn.Module):
    """A synthesis with noise in every map, as StyleGAN's is, and a latent that it draws itself, as a VAE does."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.deviation = nn.Linear(8, 32), nn.Linear(8, 32)
        self.up = nn.ModuleList([nn.ConvTranspose2d(32, 16, 4), nn.ConvTranspose2d(16, 8, 4, 2, 1)])
        self.strengths = nn.ParameterList([torch.full((1, width, 1, 1), 0.3) for width in (16, 8)])
        self.last = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, wish: Any) -> Any:
        mean = self.mean(wish)
        x = (mean + torch.randn_like(mean) * torch.exp(self.deviation(wish) / 4))[:, :, None, None]
        for conv, strength in zip(self.up, self.strengths, strict=True):
            x = conv(x)
            x = functional.leaky_relu(x + strength * torch.randn(1, 1, *x.shape[2:]), 0.2)
        x = self.last(x) + 0.1 * torch.empty(1, 3, 1, 1).normal_(0.5, 2.0)
        return torch.tanh(x * (0.5 + torch.rand(1, 1, 8, 8)))


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.cell, self.out = nn.Embedding(50, 16), nn.GRU(16, 24, 2, batch_first=True), nn.Linear(24, 50)

    def forward(self, tokens: Any, state: Any) -> tuple[Any, Any]:
        made, state = self.cell(self.table(tokens), state)
        return self.out(made), state


class Deciding(nn.Module):
    def forward(self, latent: Any) -> Any:
        return latent if latent.sum() > 0 else latent * 2


class Decomposing(nn.Module):
    def forward(self, latent: Any) -> Any:
        return torch.linalg.svd(latent)[1]


class Spectral(nn.Module):
    def forward(self, latent: Any) -> Any:
        return torch.fft.rfft(latent).abs()


def seeded(module: Any) -> Any:
    torch.manual_seed(1)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.1)
    return module


def dcgan() -> tuple[Any, Any]:
    layers: list[Any] = [nn.ConvTranspose2d(32, 64, 4, 1, 0, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    layers += [nn.ConvTranspose2d(64, 32, 4, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(inplace=True)]
    return seeded(nn.Sequential(*layers, nn.ConvTranspose2d(32, 3, 4, 2, 1), nn.Tanh())), torch.randn(1, 32, 1, 1)


def dcgan_alone() -> Any:
    return dcgan()[0]


def unet() -> tuple[Any, Any]:
    return seeded(UNet()), (torch.randn(1, 3, 32, 32),)


def cyclegan() -> tuple[Any, Any]:
    layers: list[Any] = [nn.ReflectionPad2d(3), nn.Conv2d(3, 8, 7), nn.InstanceNorm2d(8), nn.ReLU()]
    layers += [nn.Conv2d(8, 16, 3, 2, 1), nn.InstanceNorm2d(16), nn.ReLU(), Block(16), Block(16)]
    layers += [nn.ConvTranspose2d(16, 8, 3, 2, 1, output_padding=1), nn.InstanceNorm2d(8), nn.ReLU()]
    return seeded(nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(8, 3, 7), nn.Tanh())), torch.randn(
        1, 3, 32, 32
    )


def words() -> tuple[Any, Any]:
    return seeded(Words()), (torch.randint(0, 50, (1, 1)), torch.zeros(2, 1, 24))


def deciding() -> tuple[Any, Any]:
    return Deciding(), torch.randn(1, 4)


def decomposing() -> tuple[Any, Any]:
    return Decomposing(), torch.randn(1, 4, 4)


def spectral() -> tuple[Any, Any]:
    return Spectral(), torch.randn(1, 4, 4)


def diverged() -> tuple[Any, Any]:
    module, example = dcgan()
    with torch.no_grad():
        module[0].weight[0, 0, 0, 0] = float("nan")
    return module, example


def noisy() -> tuple[nn.Module, tuple[Any, ...]]:
    torch.manual_seed(6)
    return Noisy(), (torch.randn(1, 8),)
