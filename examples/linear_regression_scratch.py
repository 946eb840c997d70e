"""Linear regression from scratch: a model, a loss, an optimizer and a training loop, and nothing else.

Each part is written here although the package has it too, so that all that happens can be read on one page.
Run it:

    python examples/linear_regression_scratch.py
"""

import tinygrad_lr as d2l
from tinygrad_lr import autograd


# The model is its parameters. Weights start small and random, the bias starts at zero. `attach_grad` gives
# each of them a place for its gradient, and that makes it a parameter.
class LinearRegression(d2l.Module):
    def __init__(self, num_inputs, lr, sigma=0.01):
        super().__init__()
        self.save_hyperparameters()  # self.num_inputs, self.lr and self.sigma
        self.w = d2l.normal(0, sigma, (num_inputs, 1))
        self.b = d2l.zeros(1)
        self.w.attach_grad()
        self.b.attach_grad()


# The prediction for all rows of a minibatch at once: one matrix product, and a bias that is broadcast.
@d2l.add_to_class(LinearRegression)
def forward(self, X):
    return d2l.matmul(X, self.w) + self.b


# Half the squared error. Its derivative is the error itself, hence the half; the mean makes the size of a
# step independent of the size of the minibatch.
@d2l.add_to_class(LinearRegression)
def loss(self, y_hat, y):
    return d2l.reduce_mean((y_hat - y) ** 2 / 2)


# The gradient points uphill, so each parameter takes a small step against its own. `-=` writes into the
# parameter itself; that is allowed here, because nothing is being recorded.
class MinibatchSGD(d2l.HyperParameters):
    def __init__(self, params, lr):
        self.save_hyperparameters()

    def step(self, _):
        for param in self.params:
            param -= self.lr * param.grad


@d2l.add_to_class(LinearRegression)
def configure_optimizers(self):
    return MinibatchSGD([self.w, self.b], self.lr)


# What becomes of a minibatch before the model sees it. The numbers are in place already: nothing.
@d2l.add_to_class(d2l.Trainer)
def prepare_batch(self, batch):
    return batch


# One epoch. Under `record()` the computation of the loss is remembered, and `backward` goes through it in
# reverse to get the gradients. The validation data is only looked at: nothing is recorded, nothing changes.
@d2l.add_to_class(d2l.Trainer)
def fit_epoch(self):
    for batch in self.train_dataloader:
        with autograd.record():
            loss = self.model.training_step(self.prepare_batch(batch))
        loss.backward()
        if self.gradient_clip_val > 0:
            self.clip_gradients(self.gradient_clip_val, self.model)
        self.optim.step(1)
        self.train_batch_idx += 1
    if self.val_dataloader is None:
        return
    for batch in self.val_dataloader:
        self.model.validation_step(self.prepare_batch(batch))
        self.val_batch_idx += 1


# The data is made from known parameters, so that what is learned can be compared with the truth.
model = LinearRegression(2, lr=0.03)
data = d2l.SyntheticRegressionData(w=d2l.tensor([2, -3.4]), b=4.2)
trainer = d2l.Trainer(max_epochs=10)
trainer.fit(model, data)

print(f"error in estimating w: {data.w - d2l.reshape(model.w, data.w.shape)}")
print(f"error in estimating b: {data.b - model.b}")
