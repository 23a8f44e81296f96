"""Options of the network: its layers, first values, normalization, dropout and noise."""

from __future__ import annotations

from skdeep.activations import ACTIVATIONS
from skdeep.building.options.option import (
    AUTOENCODER,
    CLASSIFIER,
    MULTITASK,
    NOT_NEGATIVE,
    POSITIVE,
    REGRESSOR,
    SHARE,
    UNIT,
    ByLayer,
    Option,
    WarmStart,
    WithLayers,
    listed,
)

_TRAINING_ONLY = "There is no noise at prediction."
_LINEAR = "`()` makes a linear model."

NETWORK = (
    Option(
        name="hidden_layer_sizes",
        text="The numbers of units of the hidden layers. An int stands for one layer. "
        'The text of a tuple is allowed too: "(64, 32)".',
        also={
            CLASSIFIER: _LINEAR,
            REGRESSOR: _LINEAR,
            MULTITASK: _LINEAR,
            AUTOENCODER: "The numbers are those of the encoder, whose last layer is the code. The "
            "decoder mirrors the encoder.",
        },
        type="int or sequence of int",
        warm_start=WarmStart.STRUCTURE,
        with_layers=WithLayers.REFUSED,
        from_pretrained=True,
    ),
    Option(
        name="activation",
        text="The activation of the hidden layers: a name or an instance from "
        f"`skdeep.activations`. Names: {listed(ACTIVATIONS)}.",
        page="See [activations](families/activations.md).",
        type="str, Activation or sequence",
        by_layer=ByLayer.HIDDEN,
        warm_start=WarmStart.STRUCTURE,
        with_layers=WithLayers.REFUSED,
        from_pretrained=True,
    ),
    Option(
        name="layers",
        text="The hidden layers as a list of instances from `skdeep.layers`, instead of "
        "`hidden_layer_sizes` and the options that describe hidden layers. The output layer is "
        "added to them. `bias_initializer`, `bias_regularizer`, `kernel_constraint` and "
        "`bias_constraint` are then for the output layer alone. An `Output` at the end of the list "
        "describes the output layer instead.",
        page="See [networks](networks.md).",
        type="list of Layer or None",
        estimators=(CLASSIFIER, REGRESSOR, MULTITASK),
        warm_start=WarmStart.STRUCTURE,
        from_pretrained=True,
    ),
    Option(
        name="tied_weights",
        text="Whether the weights of the decoder are those of the encoder, transposed.",
        estimators=(AUTOENCODER,),
        switch=True,
        warm_start=WarmStart.STRUCTURE,
    ),
    Option(
        name="initializer",
        text="The first values of the weights: a name or an instance from `skdeep.initializers`. "
        "One value is for all hidden layers, and the output layer then has "
        '"auto". "auto" is uniform with variance 0.1 / fan_in in the first hidden layer, divided '
        "by the standard deviations of the columns. In higher hidden layers it is He's initializer "
        "for the ReLU family, and Glorot's for other activations. With SELU it is LeCun's normal "
        'distribution in all hidden layers. "data" fits the weights to a sample of the rows: the '
        "weighted sum of each unit begins with variance 1.",
        page="See [the rule](families/initializers.md#the-rule-of-auto).",
        type="str, Initializer or sequence",
        by_layer=ByLayer.AND_OUTPUT,
        of_output="auto",
        with_layers=WithLayers.REFUSED,
    ),
    Option(
        name="bias_initializer",
        text="The first values of all biases: a name or an instance from `skdeep.initializers`. "
        '"auto" is uniform in [-0.3, 0.3] in hidden layers. It is 0 in hidden layers with SELU or '
        "with a batch normalization after them. The biases of the first hidden layer also make up "
        'for the means of the columns. In the output layer, "auto" is the best constant '
        'prediction. "data" sets the biases so that the weighted sum of each unit is 0 at a random '
        "mixture of 5 rows, in the output layer too.",
        page="See [the rule](families/initializers.md#the-rule-of-auto).",
        type="str, Initializer or sequence",
        by_layer=ByLayer.EVERY,
        of_output="auto",
        with_layers=WithLayers.OUTPUT,
    ),
    Option(
        name="batch_norm",
        text="Batch normalization in every hidden layer, before or after the activation. With "
        '"before", the dense layers have no biases, as the normalization has its own.',
        choices=(None, "before", "after"),
        by_layer=ByLayer.HIDDEN,
        warm_start=WarmStart.STRUCTURE,
        with_layers=WithLayers.REFUSED,
        from_pretrained=True,
    ),
    Option(
        name="batch_norm_input",
        text="Whether the inputs go through a batch normalization.",
        switch=True,
        warm_start=WarmStart.STRUCTURE,
        from_pretrained=True,
    ),
    Option(
        name="batch_norm_momentum",
        text="The share of the running statistics of batch normalization that is kept at each "
        "batch.",
        limit=UNIT,
        warm_start=WarmStart.LAYERS,
    ),
    Option(
        name="batch_norm_epsilon",
        text="The number that batch normalization adds to variances before it divides by their "
        "square roots.",
        limit=POSITIVE,
        warm_start=WarmStart.LAYERS,
    ),
    Option(
        name="dropout",
        text="The share of the outputs of the hidden layers that is set to 0 in training. The "
        "other outputs are scaled up. There is no dropout at prediction.",
        limit=SHARE,
        by_layer=ByLayer.HIDDEN,
        warm_start=WarmStart.LAYERS,
        with_layers=WithLayers.REFUSED,
        not_for_lbfgs=True,
        scheduled=True,
    ),
    Option(
        name="input_dropout",
        text="The share of the inputs that is set to 0 in training. The other inputs are scaled "
        "up. There is no dropout at prediction.",
        also={AUTOENCODER: "Dropout of the inputs makes a denoising autoencoder."},
        limit=SHARE,
        warm_start=WarmStart.LAYERS,
        not_for_lbfgs=True,
        scheduled=True,
    ),
    Option(
        name="input_noise",
        text="The standard deviation of Gaussian noise that is added to the inputs in training. "
        f"{_TRAINING_ONLY}",
        also={
            AUTOENCODER: "Noise on the inputs makes a denoising autoencoder: its targets are the "
            "inputs without noise."
        },
        limit=NOT_NEGATIVE,
        warm_start=WarmStart.LAYERS,
        not_for_lbfgs=True,
        scheduled=True,
    ),
    Option(
        name="pre_activation_noise",
        text="The standard deviation of Gaussian noise that is added in training before the "
        f"activations of the hidden layers. {_TRAINING_ONLY}",
        limit=NOT_NEGATIVE,
        by_layer=ByLayer.HIDDEN,
        warm_start=WarmStart.LAYERS,
        with_layers=WithLayers.REFUSED,
        not_for_lbfgs=True,
        scheduled=True,
    ),
    Option(
        name="activation_noise",
        text="The standard deviation of Gaussian noise that is added in training after the "
        f"activations of the hidden layers. {_TRAINING_ONLY}",
        limit=NOT_NEGATIVE,
        by_layer=ByLayer.HIDDEN,
        warm_start=WarmStart.LAYERS,
        with_layers=WithLayers.REFUSED,
        not_for_lbfgs=True,
        scheduled=True,
    ),
    Option(
        name="weight_noise",
        text="The standard deviation of Gaussian noise on the weights of the dense layers in "
        "training. The noise is drawn again for each batch. One value is for all dense layers, "
        f"the output layer included. {_TRAINING_ONLY}",
        limit=NOT_NEGATIVE,
        by_layer=ByLayer.EVERY,
        of_output=0.0,
        warm_start=WarmStart.LAYERS,
        with_layers=WithLayers.REFUSED,
        not_for_lbfgs=True,
        scheduled=True,
    ),
    Option(
        name="gradient_noise",
        text="The standard deviation of Gaussian noise that is added to the gradient of each "
        "batch, before clipping.",
        limit=NOT_NEGATIVE,
        not_for_lbfgs=True,
        scheduled=True,
    ),
)
