r"""
Images of clothes with leaky ReLU
=================================

A unit with a rectifier, :math:`\max(0, z)`, can end up with negative sums in every row. Its
gradient is then 0, and it never learns again. The leaky rectifier keeps a small slope for negative
sums: :math:`\max(\alpha z, z)` with :math:`0 < \alpha < 1`. He's normal distribution, of variance
:math:`2 / \text{inputs}`, is the usual start for units of this kind.

The lecture trains a network with two such hidden layers on Fashion-MNIST. Here, the same network is
trained in the same way, and compared with the lecture in each epoch.

The user guide explains :doc:`activations </families/activations>`.
"""

import matplotlib.pyplot as plt

from skdeep import MLPClassifier
from skdeep.activations import LeakyReLU
from skdeep.datasets import fetch_fashion_mnist
from skdeep.plotting import TrainingCurveDisplay

# %%
# The data
# --------
# The first 5,000 of the 60,000 training images are for validation, and the other 55,000 are for
# training. There are 10,000 test images.

X, y, X_test, y_test = fetch_fashion_mnist()
X_val, X_train, y_val, y_train = X[:5000], X[5000:], y[:5000], y[5000:]
KINDS = ["T-shirt", "trousers", "pullover", "dress", "coat"]
KINDS += ["sandal", "shirt", "sneaker", "bag", "boot"]

figure, axes = plt.subplots(3, 10, figsize=(10, 3.6), layout="constrained")
figure.suptitle("Three images of each kind of clothes in Fashion-MNIST")
for kind, column in enumerate(axes.T):
    column[0].set_title(KINDS[kind], fontsize="medium")
    for axis, image in zip(column, X_train[y_train == kind], strict=False):
        axis.imshow(image.reshape(28, 28), cmap="gray_r")
        axis.set_axis_off()

# %%
# The network
# -----------
# These are the lecture's settings: hidden layers of 300 and 100 units, gradient descent with a
# learning rate of 0.001 and without momentum, batches of 32 rows, and 10 epochs. The lecture uses
# Keras, where the slope of ``LeakyReLU`` is 0.3, all biases start from 0, the output layer starts
# from Glorot's uniform distribution, and there is no penalty on the weights.

mlp = MLPClassifier(
    (300, 100),
    activation=LeakyReLU(0.3),
    initializer=["he_normal", "he_normal", "glorot_uniform"],
    bias_initializer="zeros",
    alpha=0,
    solver="sgd",
    momentum=0,
    learning_rate_init=0.001,
    batch_size=32,
    max_iter=10,
    metrics=["accuracy"],
    random_state=0,
)
mlp.fit(X_train, y_train, X_val=X_val, y_val=y_val)

# %%
# Epoch by epoch
# --------------
# These are the lecture's figures on its validation images.

lecture_loss = [0.8886, 0.7130, 0.6427, 0.5900, 0.5582, 0.5350, 0.5157, 0.5079, 0.4895, 0.4816]
lecture_accuracy = [0.7160, 0.7656, 0.7898, 0.8066, 0.8200, 0.8236, 0.8304, 0.8286, 0.8390, 0.8394]
loss, accuracy = mlp.history_["val_loss"], mlp.history_["val_accuracy"]

print("           validation loss     validation accuracy")
print("epoch     lecture    skdeep     lecture    skdeep")
for row in zip(range(1, 11), lecture_loss, loss, lecture_accuracy, accuracy, strict=True):
    print("{:5d}  {:10.4f}{:10.4f}  {:10.4f}{:10.4f}".format(*row))

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
figure.suptitle("Leaky ReLU on Fashion-MNIST: the curves of the lecture and of skdeep")
TrainingCurveDisplay.from_estimator(mlp, metric="accuracy", ax=axes)
for axis, values in zip(axes, [lecture_loss, lecture_accuracy], strict=True):
    axis.plot(range(1, 11), values, "kx", label="validation, lecture")
    axis.legend()

# %%
# The result
# ----------
# The lecture's figures may be for other validation images, as the order of the rows differs between
# copies of the data. On this split, Keras reaches a validation accuracy of 0.8306 and a loss of
# 0.486. The accuracy of skdeep is within one point of both.

print(f"{'':20} lecture    Keras    skdeep")
print(f"{'validation accuracy':20}  0.8394   0.8306    {accuracy[-1]:.4f}")
print(f"{'validation loss':20}  0.4816   0.4860    {loss[-1]:.4f}")
print(f"{'test accuracy':20}       -        -    {mlp.score(X_test, y_test):.4f}")

assert abs(accuracy[-1] - 0.8306) < 0.01
assert abs(accuracy[-1] - 0.8394) < 0.02
