"""The ONNX form of a generator, which accelerators compile where they are."""
