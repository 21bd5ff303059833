"""The host: a trained generator in, a bundle for one device out."""
