"""ONNX graphs translated to the flatbuffer graph, channels last from the start; one file a family of operators."""
