"""Networks for the graph's tests: the layers, names and shapes that Keras gives them, without Keras."""

from __future__ import annotations

from mloscope.adaptors.interface import Layer, Parameter

KERNEL_AXES = ("row", "column", "channel", "unit")


class Builder:
    """Layers added one after the other; ``add`` gives the new layer's name back."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []

    def add(self, name, kind, inputs=None, shape=None, *, kernel=0, source="", **settings) -> str:
        if inputs is None:
            inputs = (self.layers[-1].name,) if self.layers else ()
        inputs = (inputs,) if isinstance(inputs, str) else tuple(inputs)
        before = next((layer.output_shape for layer in self.layers if inputs and layer.name == inputs[0]), None)
        shape = shape or before
        parameters = ()
        if kernel and before and shape:
            size = (kernel, kernel, before[-1], shape[-1])
            parameters = (Parameter("kernel", size, KERNEL_AXES), Parameter("bias", size[-1:], ("unit",)))
            settings = {"filters": shape[-1], "kernel_size": [kernel, kernel], **settings}
        elif kind == "dense" and before and shape:
            parameters = (Parameter("kernel", (before[-1], shape[-1]), ("channel", "unit")),)
        self.layers.append(Layer(name, kind, inputs, shape, parameters, settings, source))
        return name

    def done(self) -> tuple[Layer, ...]:
        return tuple(self.layers)


def lenet() -> tuple[Layer, ...]:
    b = Builder()
    b.add("input", "input", (), (28, 28, 1))
    b.add("conv1", "convolution", shape=(24, 24, 6), kernel=5, source="Conv2D", activation="relu")
    b.add("pool1", "max pooling", shape=(12, 12, 6), pool_size=[2, 2], strides=[2, 2])
    b.add("conv2", "convolution", shape=(8, 8, 16), kernel=5, source="Conv2D")
    b.add("pool2", "max pooling", shape=(4, 4, 16), pool_size=[2, 2], strides=[2, 2])
    b.add("flatten", "flatten", shape=(256,))
    b.add("fc1", "dense", shape=(120,), source="Dense", units=120)
    b.add("dropout", "dropout", rate=0.5)
    b.add("fc2", "dense", shape=(84,), source="Dense")
    b.add("probabilities", "dense", shape=(10,), source="Dense")
    return b.done()


def resnet50() -> tuple[Layer, ...]:
    b = Builder()
    b.add("input_layer", "input", (), (224, 224, 3))
    b.add("conv1_pad", "padding", shape=(230, 230, 3))
    b.add("conv1_conv", "convolution", shape=(112, 112, 64), kernel=7, strides=[2, 2])
    b.add("conv1_bn", "normalisation")
    b.add("conv1_relu", "activation")
    b.add("pool1_pad", "padding", shape=(114, 114, 64))
    x = b.add("pool1_pool", "max pooling", shape=(56, 56, 64))
    for stage, (blocks, size) in enumerate(((3, 56), (4, 28), (6, 14), (3, 7)), start=2):
        wide, narrow = (size, size, 64 * 2**stage), (size, size, 16 * 2**stage)
        for block in range(1, blocks + 1):
            name = f"conv{stage}_block{block}"
            y = x
            for i, kernel in ((1, 1), (2, 3)):
                y = b.add(f"{name}_{i}_conv", "convolution", y, narrow, kernel=kernel, source="Conv2D")
                y = b.add(f"{name}_{i}_bn", "normalisation", y)
                y = b.add(f"{name}_{i}_relu", "activation", y, activation="relu")
            if block == 1:
                x = b.add(f"{name}_0_conv", "convolution", x, wide, kernel=1, source="Conv2D")
            y = b.add(f"{name}_3_conv", "convolution", y, wide, kernel=1, source="Conv2D")
            if block == 1:
                x = b.add(f"{name}_0_bn", "normalisation", x)
            y = b.add(f"{name}_3_bn", "normalisation", y)
            b.add(f"{name}_add", "add", (x, y), wide, source="Add")
            x = b.add(f"{name}_out", "activation", activation="relu")
    b.add("avg_pool", "global pooling", shape=(2048,))
    b.add("predictions", "dense", shape=(1000,))
    return b.done()


def mobilenet_v2() -> tuple[Layer, ...]:
    b = Builder()

    def cell(name, kind, shape, kernel, norm, relu=None):
        b.add(name, kind, shape=shape, kernel=kernel)
        b.add(norm, "normalisation")
        return b.add(relu, "activation", source="ReLU") if relu else norm

    b.add("input_layer", "input", (), (224, 224, 3))
    cell("Conv1", "convolution", (112, 112, 32), 3, "bn_Conv1", "Conv1_relu")
    name = "expanded_conv"
    cell(
        f"{name}_depthwise",
        "depthwise convolution",
        None,
        3,
        f"{name}_depthwise_BN",
        f"{name}_depthwise_relu",
    )
    x = cell(f"{name}_project", "convolution", (112, 112, 16), 1, f"{name}_project_BN")
    size, channels, block = 112, 16, 0
    for units, repeats, stride in ((24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)):
        for repeat in range(repeats):
            block += 1
            name, entry, skip = f"block_{block}", x, repeat > 0
            wide = (size, size, channels * 6)
            cell(f"{name}_expand", "convolution", wide, 1, f"{name}_expand_BN", f"{name}_expand_relu")
            if not repeat and stride == 2:
                b.add(f"{name}_pad", "padding", shape=(size + 1, size + 1, channels * 6))
                size //= 2
            wide = (size, size, channels * 6)
            deep = f"{name}_depthwise"
            cell(deep, "depthwise convolution", wide, 3, f"{deep}_BN", f"{deep}_relu")
            x = cell(f"{name}_project", "convolution", (size, size, units), 1, f"{name}_project_BN")
            if skip:
                x = b.add(f"{name}_add", "add", (entry, x))
            channels = units
    cell("Conv_1", "convolution", (7, 7, 1280), 1, "Conv_1_bn", "out_relu")
    b.add("global_average_pooling2d", "global pooling", shape=(1280,))
    b.add("predictions", "dense", shape=(1000,))
    return b.done()


def inception(blocks: int = 6) -> tuple[Layer, ...]:
    """Names as Keras gives them by itself: only the merges have one of their own."""
    b = Builder()
    count = 0

    def cell(x, units, size):
        nonlocal count
        count += 1
        b.add(f"conv2d_{count}", "convolution", x, (size, size, units), kernel=3, source="Conv2D")
        b.add(f"batch_normalization_{count}", "normalisation", source="BatchNormalization")
        return b.add(f"activation_{count}", "activation", source="Activation")

    b.add("input_1", "input", (), (35, 35, 3))
    x = cell("input_1", 32, 35)
    for i in range(blocks):
        ends = [cell(x, 64, 35), cell(cell(x, 48, 35), 64, 35), cell(cell(cell(x, 64, 35), 96, 35), 96, 35)]
        pooled = b.add(f"average_pooling2d_{i}", "average pooling", x, (35, 35, b.layers[-1].output_shape[-1]))
        ends.append(cell(pooled, 32, 35))
        x = b.add(f"mixed{i}", "concatenate", ends, (35, 35, 256), source="Concatenate")
    b.add("predictions", "dense", shape=(10,))
    return b.done()


def densenet(blocks: int = 8) -> tuple[Layer, ...]:
    b = Builder()
    b.add("input_1", "input", (), (56, 56, 3))
    x = b.add("pool1", "max pooling", shape=(56, 56, 64))
    for stage in (2, 3):
        for i in range(1, blocks + 1):
            name, channels = f"conv{stage}_block{i}", 64 + 32 * i
            b.add(f"{name}_0_bn", "normalisation", x)
            b.add(f"{name}_0_relu", "activation")
            b.add(f"{name}_1_conv", "convolution", shape=(56, 56, 128), kernel=1)
            b.add(f"{name}_1_bn", "normalisation")
            b.add(f"{name}_1_relu", "activation")
            y = b.add(f"{name}_2_conv", "convolution", shape=(56, 56, 32), kernel=3)
            x = b.add(f"{name}_concat", "concatenate", (x, y), (56, 56, channels))
        x = b.add(f"pool{stage}", "average pooling", x)
    b.add("predictions", "dense", shape=(10,))
    return b.done()


def plain(layers: int) -> tuple[Layer, ...]:
    b = Builder()
    b.add("input", "input", (), (32, 32, 3))
    for i in range(1, layers):
        b.add(f"conv_{i}", "convolution", shape=(32, 32, 8), kernel=3)
    return b.done()


def u_net(depth: int = 6) -> tuple[Layer, ...]:
    """Every level of the way down is carried over to the way up: no layer everything passes through."""
    b = Builder()
    x = b.add("input", "input", (), (64, 64, 3))
    kept = []
    for i in range(depth):
        for k in (1, 2):
            b.add(f"down{i}_{k}", "convolution", shape=(64 >> i, 64 >> i, 16), kernel=3)
            x = b.add(f"down{i}_act{k}", "activation")
        kept.append(x)
        x = b.add(f"down{i}_pool", "max pooling", shape=(32 >> i, 32 >> i, 16))
    for i in reversed(range(depth)):
        x = b.add(f"up{i}", "upsampling", shape=(64 >> i, 64 >> i, 16))
        b.add(f"up{i}_join", "concatenate", (x, kept[i]), (64 >> i, 64 >> i, 32))
        for k in (1, 2):
            b.add(f"up{i}_{k}", "convolution", shape=(64 >> i, 64 >> i, 16), kernel=3)
            b.add(f"up{i}_act{k}", "activation")
    return b.done()
