"""The layout network as data, and as a model for ONNX Runtime and torch."""
