# %% [markdown]
# # Seeing the chain rule
#
# You will be able to step through a gradient with its numbers, and to say why the graph has to be walked in
# topological order, and what comes out if it is not.

# %%
import numpy as np

from tinygrad_lr import record, tensor
from tinygrad_lr_viz import explain
from tinygrad_lr_viz.graph import draw_graph

# %% [markdown]
# ## One neuron
#
# `explain` walks forward through the values and backward through the gradients. Each step is the line of
# NumPy that computes it, in the names of this program. In a notebook and with `.save("neuron.html")` it is
# a page to step through with the arrow keys; printed it is text.

# %%
w, b = tensor(0.5), tensor(-0.2)
w.attach_grad()
b.attach_grad()
x, truth = tensor(2.0), tensor(1.0)
with record():
    y = np.tanh(w * x + b)
    loss = (y - truth) ** 2 / 2
print(explain(loss))

# %%
explain(loss)

# %% [markdown]
# On paper: $\partial L/\partial y = y - 1$, then $\tanh' = 1 - y^2$, then $x$ for $w$ and $1$ for $b$.
# Their product:

# %%
loss.backward()
value = y.item()
print(w.grad, (value - 1) * (1 - value**2) * 2.0)

# %% [markdown]
# ## A value that is used twice
#
# Here `a` reaches `c` on four ways, and the derivative of `c` is 4: every way counts. No engine walks all
# the ways, as there are $2^n$ of them after $n$ such lines. It goes through each operation once.

# %%
a = tensor(1.0)
a.attach_grad()
with record():
    b = a + a
    c = b + b
draw_graph(c, legend=False)

# %% [markdown]
# But when? An operation passes its gradient on *once*, so its gradient must be complete by then: everything
# that used its result must have had its turn. Two walks that do not see to that, on the recorded graph
# (`origin` is the call that made a tensor). The rule of an addition passes on what it gets:


# %%
def first_come_first_served(head):
    gradient, queue = {head.node: 1.0}, [head]
    while queue:
        t = queue.pop(0)
        for parent in t.origin.arguments if t.origin else ():
            gradient[parent.node] = gradient.get(parent.node, 0.0) + gradient[t.node]
            queue.append(parent)  # once for each use: it passes on again what it has passed on already
    return gradient


def as_soon_as_reached(head):
    gradient, done = {head.node: 1.0}, set()

    def visit(t):
        done.add(t.node)
        for parent in t.origin.arguments if t.origin else ():
            gradient[parent.node] = gradient.get(parent.node, 0.0) + gradient[t.node]
            if parent.node not in done:
                visit(parent)  # too early: what comes to the parent on other ways never goes on

    visit(head)
    return gradient


print("first come, first served:", first_come_first_served(c)[a.node])
print("as soon as reached:      ", as_soon_as_reached(c)[a.node])

# %% [markdown]
# 8 and 2, and both walks look reasonable. In topological order, the youngest operation first, it is right.
# A program computes arguments before results, so the order in which the calls were made, backwards, is such
# an order; the engine's tape is nothing else.


# %%
def youngest_first(head):
    gradient, waiting = {head.node: 1.0}, {head.node: head}
    while waiting:
        t = waiting.pop(max(waiting))  # nodes are numbered in the order of computation
        for parent in t.origin.arguments if t.origin else ():
            gradient[parent.node] = gradient.get(parent.node, 0.0) + gradient[t.node]
            waiting[parent.node] = parent
    return gradient


print("youngest first:", youngest_first(c)[a.node])
c.backward()
print("the engine:    ", a.grad)

# %% [markdown]
# ## Exercises
#
# Write your answers in the first cell, then run both.
#
# 1. One more line, `d = c + c`. What does *as soon as reached* find for `a`? (Paper first.)
# 2. And *first come, first served*?
# 3. What is the derivative of `d` with respect to `a` if the second line is `b = a * a` instead, at `a =
#    3`?

# %%
answers = {1: ..., 2: ..., 3: ...}

# %%
a, p = tensor(1.0), tensor(3.0)
a.attach_grad()
p.attach_grad()
with record():
    b = a + a
    c = b + b
    d = c + c
    q = p * p
    r = q + q
    s = r + r
s.backward()
checks = {
    1: lambda answer: answer == as_soon_as_reached(d)[a.node],
    2: lambda answer: answer == first_come_first_served(d)[a.node],
    3: lambda answer: answer == p.grad.item(),
}
for number, check in checks.items():
    answer = answers[number]
    print(number, "not answered yet" if answer is ... else "right" if check(answer) else "not yet right")

# %% [markdown]
# <details><summary>Answers</summary>
#
# ```python
# answers = {1: 2, 2: 64, 3: 24}
# ```
#
# </details>
