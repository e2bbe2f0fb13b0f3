"""Golden cases of convolution, pooling, interpolation and padding modes."""

import torch.nn.functional as F

from golden import Suite, flat_pads, normal, values

suite = Suite("spatial")


def convolutions():
    conv = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}

    def add(label, x, weight, bias=False, **attrs):
        rank = len(x) - 2
        inputs = {"x": normal(*x), "weight": normal(*weight)}
        if bias:
            inputs["bias"] = normal(weight[0])
        suite.add(f"conv{rank}d", label, conv[rank], inputs, attrs)

    add("", (2, 3, 9), (4, 3, 3), bias=True)
    add("stride 2, padding 1", (2, 3, 9), (4, 3, 3), stride=2, padding=1)
    add("dilation 2", (1, 2, 10), (3, 2, 3), dilation=2, padding=2)
    add("depthwise", (1, 4, 8), (4, 1, 3), bias=True, groups=4, padding=1)
    add("", (2, 3, 5, 6), (4, 3, 3, 3), bias=True)
    add("1x1", (2, 5, 4, 3), (6, 5, 1, 1), bias=True)
    add("1x1 stride 2", (2, 3, 5, 6), (4, 3, 1, 1), stride=2)
    add("padding 1", (2, 2, 5, 5), (3, 2, 3, 3), padding=1)
    add("stride 2, padding 1", (2, 2, 6, 7), (3, 2, 3, 3), bias=True, stride=2, padding=1)
    add("unread border", (1, 2, 8, 8), (3, 2, 3, 3), stride=3)
    add("stride past the kernel", (1, 2, 7, 7), (2, 2, 2, 2), stride=3)
    add("uneven", (1, 2, 6, 9), (3, 2, 2, 5), stride=[1, 2], padding=[0, 2], dilation=[2, 1])
    add("dilation 2", (1, 2, 7, 8), (3, 2, 3, 3), dilation=2, padding=2)
    add("same", (1, 2, 5, 6), (2, 2, 2, 3), padding="same", dilation=[3, 2])
    add("groups", (2, 4, 5, 5), (6, 2, 3, 3), bias=True, groups=2, padding=1)
    add("depthwise", (1, 3, 6, 5), (3, 1, 3, 3), groups=3, padding=1, stride=2)
    add("depthwise multiplier", (1, 2, 5, 5), (4, 1, 3, 3), bias=True, groups=2)
    add("kernel covers input", (2, 3, 4, 4), (5, 3, 4, 4), bias=True)
    add("past the tile", (1, 7, 6, 6), (19, 7, 3, 3), padding=1)
    add("", (1, 2, 4, 5, 4), (3, 2, 2, 3, 2), bias=True)
    add("stride 2, padding 1", (1, 2, 4, 5, 5), (2, 2, 3, 3, 3), stride=2, padding=1)
    add("groups, dilation", (1, 2, 5, 4, 5), (4, 1, 2, 2, 2), groups=2, dilation=[2, 1, 2])
    suite.add(
        "padConv2d",
        "asymmetric",
        lambda x, weight, pads, stride: F.conv2d(F.pad(x, flat_pads(pads)), weight, stride=stride),
        {"x": normal(1, 2, 5, 5), "weight": normal(3, 2, 3, 3)},
        {"pads": [[0, 0], [0, 0], [0, 1], [1, 2]], "stride": 2},
    )

    transposed = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}

    def add_transposed(label, x, weight, bias=None, **attrs):
        rank = len(x) - 2
        inputs = {"x": normal(*x), "weight": normal(*weight)}
        if bias:
            inputs["bias"] = normal(bias)
        suite.add(f"convTranspose{rank}d", label, transposed[rank], inputs, attrs)

    add_transposed("", (2, 3, 5), (3, 2, 3), bias=2)
    add_transposed("stride 2, output padding", (1, 2, 4), (2, 3, 3), stride=2, padding=1, outputPadding=1)
    add_transposed("", (2, 3, 3, 4), (3, 2, 3, 3), bias=2)
    add_transposed("stride 2", (1, 3, 3, 3), (3, 2, 2, 2), bias=2, stride=2)
    add_transposed("stride 2, output padding", (1, 2, 3, 4), (2, 3, 3, 3), stride=2, padding=1, outputPadding=1)
    add_transposed("dilation, groups", (1, 4, 3, 4), (4, 2, 2, 3), bias=4, groups=2, dilation=2, padding=1)
    add_transposed("uneven", (1, 2, 3, 4), (2, 2, 3, 2), stride=[3, 2], padding=[1, 0], outputPadding=[2, 1])
    add_transposed("", (1, 2, 3, 2, 3), (2, 2, 2, 3, 2), bias=2, stride=2, padding=[0, 1, 0])


def pooling():
    largest = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
    average = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
    adaptive_average = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
    adaptive_largest = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}

    def add(kind, table, label, x, indices=False, **attrs):
        rank = len(x) - 2
        extra = {"return_indices": True} if indices else {}
        suite.add(f"{kind}{rank}d", label, lambda x, **kw: table[rank](x, **kw, **extra), {"x": normal(*x)}, attrs)

    def add_max(label, x, **attrs):
        add("maxPool", largest, label, x, indices=True, **attrs)

    add_max("", (2, 2, 8), kernelSize=2)
    add_max("overlapping", (1, 2, 9), kernelSize=3, stride=2, padding=1)
    add_max("", (2, 2, 4, 6), kernelSize=2)
    add_max("overlapping", (1, 2, 7, 7), kernelSize=3, stride=2, padding=1)
    add_max("dilation", (1, 2, 7, 6), kernelSize=[2, 3], stride=1, dilation=2)
    add_max("ceil mode", (1, 2, 6, 7), kernelSize=3, stride=2, ceilMode=True)
    add_max("", (1, 2, 4, 4, 6), kernelSize=2)
    add_max("overlapping", (1, 1, 5, 5, 4), kernelSize=3, stride=2, padding=1)
    suite.add(
        "maxPool2d",
        "first of ties",
        lambda x, **kw: F.max_pool2d(x, **kw, return_indices=True),
        {"x": values([[[[1.0, 1.0, 2.0, 0.0], [1.0, 1.0, 2.0, 2.0]]]])},
        {"kernelSize": 2},
    )

    inverse = {1: F.max_unpool1d, 2: F.max_unpool2d, 3: F.max_unpool3d}

    def add_unpool(label, x, **attrs):
        rank = len(x) - 2

        def unpool(x, kernel_size, stride=None, padding=0):
            y, where = largest[rank](x, kernel_size, stride, padding, return_indices=True)
            return inverse[rank](y * y, where, kernel_size, stride, padding, x.shape[2:])

        suite.add(f"maxUnpool{rank}d", label, unpool, {"x": normal(*x)}, attrs)

    add_unpool("", (1, 2, 6), kernelSize=2)
    add_unpool("", (2, 2, 4, 6), kernelSize=2)
    add_unpool("output size", (1, 2, 5, 7), kernelSize=2)
    add_unpool("stride, padding", (1, 2, 7, 6), kernelSize=2, stride=3, padding=1)
    add_unpool("", (1, 1, 4, 2, 4), kernelSize=2)

    def add_avg(label, x, **attrs):
        add("avgPool", average, label, x, **attrs)

    add_avg("", (2, 2, 8), kernelSize=2)
    add_avg("", (2, 2, 4, 6), kernelSize=2)
    add_avg("padding counted", (1, 2, 5, 7), kernelSize=3, stride=2, padding=1)
    add_avg("padding not counted", (1, 2, 5, 7), kernelSize=3, stride=2, padding=1, countIncludePad=False)
    add_avg("ceil mode", (1, 2, 6, 7), kernelSize=3, stride=2, ceilMode=True)
    add_avg("ceil mode, padding", (1, 2, 6, 8), kernelSize=3, stride=2, padding=1, ceilMode=True)
    add_avg(
        "ceil mode, padding not counted",
        (1, 2, 6, 8),
        kernelSize=3,
        stride=2,
        padding=1,
        ceilMode=True,
        countIncludePad=False,
    )
    add_avg("", (1, 2, 4, 4, 6), kernelSize=[2, 2, 3])

    add_avg("divisor", (1, 2, 5, 4), kernelSize=2, padding=1, divisorOverride=3)

    add("adaptiveAvgPool", adaptive_average, "", (1, 2, 7), outputSize=3)
    add("adaptiveAvgPool", adaptive_average, "global", (2, 3, 4, 5), outputSize=1)
    add("adaptiveAvgPool", adaptive_average, "uneven", (1, 2, 7, 5), outputSize=[3, 2])
    add("adaptiveAvgPool", adaptive_average, "to larger", (1, 1, 3, 4), outputSize=[5, 6])
    add("adaptiveAvgPool", adaptive_average, "", (1, 2, 4, 5, 3), outputSize=[2, 3, 1])
    add("adaptiveMaxPool", adaptive_largest, "", (1, 2, 7), indices=True, outputSize=3)
    add("adaptiveMaxPool", adaptive_largest, "uneven", (1, 2, 7, 5), indices=True, outputSize=[3, 2])
    add("adaptiveMaxPool", adaptive_largest, "global", (2, 2, 3, 4), indices=True, outputSize=1)


def resampling():
    def add(label, x, **attrs):
        suite.add("interpolate", label, lambda x, **kw: F.interpolate(x, **kw), {"x": normal(*x)}, attrs)

    add("nearest x2", (1, 2, 3, 4), scaleFactor=2, mode="nearest")
    add("nearest to size", (1, 2, 3, 4), size=[5, 7], mode="nearest")
    add("nearest down", (1, 2, 7, 5), size=[3, 2], mode="nearest")
    add("nearest 1-D", (1, 2, 5), size=[8], mode="nearest")
    for align in [False, True]:
        suffix = ", aligned" if align else ""
        add(f"linear{suffix}", (1, 2, 5), size=[8], mode="linear", alignCorners=align)
        add(f"trilinear{suffix}", (1, 1, 2, 3, 2), size=[3, 2, 4], mode="trilinear", alignCorners=align)
    add("nearest 3-D", (1, 1, 2, 3, 2), scaleFactor=2, mode="nearest")
    for mode in ["bilinear", "bicubic"]:
        for align in [False, True]:
            suffix = f"{mode}, aligned" if align else mode
            add(f"{suffix} x2", (1, 2, 3, 4), scaleFactor=2, mode=mode, alignCorners=align)
            add(f"{suffix} to size", (1, 2, 4, 3), size=[7, 5], mode=mode, alignCorners=align)
            add(f"{suffix} down", (1, 2, 7, 5), size=[3, 2], mode=mode, alignCorners=align)

    def pad_mode(x, pads, mode):
        return F.pad(x, flat_pads(pads), mode=mode)

    for mode in ["reflect", "replicate", "circular"]:
        suite.add("padMode", f"{mode} 1-D", pad_mode, {"x": normal(1, 2, 5)}, {"pads": [[2, 1]], "mode": mode})
        suite.add(
            "padMode", f"{mode} 2-D", pad_mode, {"x": normal(1, 2, 4, 5)}, {"pads": [[1, 2], [3, 0]], "mode": mode}
        )
    suite.add(
        "padMode",
        "replicate 3-D",
        pad_mode,
        {"x": normal(1, 1, 2, 3, 2)},
        {"pads": [[1, 0], [0, 2], [1, 1]], "mode": "replicate"},
    )


if __name__ == "__main__":
    convolutions()
    pooling()
    resampling()
    suite.write()
