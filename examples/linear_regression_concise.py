"""Linear regression in two lines: linear_regression_scratch.py again, with a layer and a loss ready-made.

Run it:

    python examples/linear_regression_concise.py
"""

import tinygrad_lr as d2l
from tinygrad_lr import nn


# What the other program writes out: the parameters and the prediction are a layer, which learns the number
# of features from the first minibatch; the mean squared error is a loss; and a model with a learning rate
# `lr` is trained by minibatch SGD.
class LinearRegression(d2l.Module):
    def __init__(self, lr):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.LazyLinear(1)

    def loss(self, y_hat, y):
        return nn.MSELoss()(y_hat, y)


model = LinearRegression(lr=0.03)
data = d2l.SyntheticRegressionData(w=d2l.tensor([2, -3.4]), b=4.2)
trainer = d2l.Trainer(max_epochs=10)
trainer.fit(model, data)

print(model)
print(f"error in estimating w: {data.w - d2l.reshape(model.net.weight, data.w.shape)}")
print(f"error in estimating b: {data.b - model.net.bias}")
