"""NVIDIA's TensorRT on the board: engines built, proven and put beside their bundles."""
