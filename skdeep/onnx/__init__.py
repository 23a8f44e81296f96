"""Models in ONNX, by way of skl2onnx: `import skdeep.onnx` teaches it skdeep's estimators.

After this import, `skl2onnx.to_onnx` and `convert_sklearn` convert them, alone, in a Pipeline or
in a meta-estimator of scikit-learn. The ONNX model computes in float32, whatever the dtype of
training. If a model can't be converted exactly, NotImplementedError is raised.
"""

from skdeep._component import needs

try:
    import skl2onnx  # noqa: F401
except ImportError as error:
    raise ImportError(f"{needs('skdeep.onnx', 'skl2onnx', 'onnx')} ({error})") from error

from skdeep.onnx.converters import register_networks
from skdeep.onnx.meta import register_meta_estimators
from skdeep.onnx.tasks import register_tasks

register_networks()
register_tasks()
register_meta_estimators()
