"""What runs the layout network: ONNX Runtime on the CPU, torch on a GPU or the CPU."""
