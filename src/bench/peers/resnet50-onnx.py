"""Writes torchvision's ResNet-50, untrained, in ONNX form: resnet50-onnx.py FILE BATCH"""
import sys

try:
    import onnx  # noqa: F401
    import onnxscript  # noqa: F401
    import torch
    import torchvision
except ImportError as error:
    sys.exit(f"python3: {error}; pip install torch torchvision onnx onnxscript")

torch.manual_seed(0)
x = torch.randn(int(sys.argv[2]), 3, 224, 224)
torch.onnx.export(torchvision.models.resnet50().eval(), (x,), sys.argv[1], input_names=["x"], output_names=["y"])
