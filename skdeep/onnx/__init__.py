"""Models in ONNX, by way of skl2onnx: `import skdeep.onnx` teaches it skdeep's estimators.

After that `skl2onnx.to_onnx` and `convert_sklearn` convert them, alone, in a Pipeline or within a
meta-estimator of scikit-learn. Networks are computed in float32 there, whatever they were trained
in. What can't be converted exactly raises NotImplementedError.
"""

from skdeep._component import needs

try:
    import skl2onnx  # noqa: F401
except ImportError as error:
    raise ImportError(f"{needs('skdeep.onnx', 'skl2onnx', 'onnx')} ({error})") from error

from skdeep.onnx.converters import register_networks
from skdeep.onnx.meta import register_meta_estimators

register_networks()
register_meta_estimators()
