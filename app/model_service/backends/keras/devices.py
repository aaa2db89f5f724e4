"""The devices that TensorFlow computes on. Imports TensorFlow and Keras: where either cannot be loaded, this cannot."""

from __future__ import annotations

import keras  # noqa: F401 - a TensorFlow without Keras evaluates nothing
import tensorflow as tf


def configure_devices(gpu_memory_bytes: int | None = None) -> str:
    """Prepare the GPUs, where there are any, and name the device used. To be called before anything else runs.

    Without a cap TensorFlow takes GPU memory as it needs it, instead of all at once; with one it never takes more."""
    gpus = tf.config.list_physical_devices("GPU")
    # TensorFloat-32 keeps 10 bits of a number; maps shown with their exact values need all 23.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    for gpu in gpus:
        if gpu_memory_bytes is None:
            tf.config.experimental.set_memory_growth(gpu, True)
        else:
            megabytes = max(1, gpu_memory_bytes // 2**20)
            tf.config.set_logical_device_configuration(
                gpu, [tf.config.LogicalDeviceConfiguration(memory_limit=megabytes)]
            )
    if not gpus:
        return "CPU"
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name))
