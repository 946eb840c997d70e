"""The table of derivatives: one row for each NumPy function that a gradient can flow back through.

A row is the function, then one rule for each of its array arguments:

    derivative(np.multiply, lambda g, y, a, b: g * b,
                            lambda g, y, a, b: g * a)

In every rule `g` is the gradient that arrives at the output, `y` is the output, and then come exactly the
call's own arguments and keywords, under NumPy's names. The rule returns the gradient for its argument.

What a rule may rely on, and what it must keep to:

- It is plain NumPy. It gets arrays, or Tensors when the gradient itself is to be differentiated; then what
  it computes is recorded like anything else, and so the row serves derivatives of every order.
- It never writes into what it was given.
- Broadcasting is not its business, in either direction. Where an argument was broadcast, the sweep sums. And
  a gradient may be smaller than what it belongs to, as long as it broadcasts to it: the gradient of
  `np.sum(a)` is `g` itself, one number, however large `a` is. Rules of elementwise functions get such small
  gradients as they are; all others get `g` in the full shape of `y`.
- A rule that is None says that the function is piecewise constant in that argument. An argument without a
  rule, or with `...` for one, is an error when it needs a gradient: no derivative is known there. So is one
  with a text for a rule, which the error ends with: it says what to write instead.
- The keywords of ufuncs, such as dtype= and casting=, do not concern the rules of elementwise functions, and
  they do not get them. Other rules can take them as `**ufunc`.
- Where a function takes a list of arrays (`np.concatenate`), the rule names it `arrays` and returns a list
  of gradients. Where it takes any number of arrays (`np.einsum`), `each(rule)` makes a rule for every one of
  them. Where it has several results (`np.split`), `g` and `y` are tuples.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial, update_wrapper
from inspect import CO_VARKEYWORDS
from itertools import takewhile
from types import EllipsisType
from typing import Any

import numpy as np

Rule = Callable[..., Any]
Rules = Rule | EllipsisType | str | None  # what can stand in place of a rule
#: keywords of ufuncs that are of no concern to a derivative
UFUNC_OPTIONS = {"casting", "dtype", "order", "signature", "subok"}
#: the position of an argument that a function does not take by position: beyond any number of arguments
NOWHERE = sys.maxsize


class Derivative:
    """A row of the table."""

    __slots__ = (
        "elementwise",
        "follows",
        "function",
        "into",
        "known",
        "later",
        "like",
        "moves",
        "named_rules",
        "names",
        "options",
        "out",
        "ruled",
        "rules",
        "selects",
        "target",
        "usual",
        "where",
        "written",
        "written_for",
    )

    def __init__(
        self,
        function: Callable[..., Any],
        rules: tuple[Rules, ...],
        named_rules: dict[str, Rule] | None = None,
    ) -> None:
        self.function = function
        self.rules = rules
        #: so many of its first arguments have a derivative, whatever the others are
        self.known = len(list(takewhile(callable, rules)))
        #: the rules of arguments that are given by name only
        self.named_rules = named_rules or {}
        self.elementwise = (
            isinstance(function, np.ufunc) and function.signature is None and function.nout == 1
        )
        #: elementwise, and not known to select: the sweep has nothing more to ask
        self.usual = self.elementwise and bool(rules)
        #: whether the rules only move elements of the gradient, or leave them out: see `moving`
        self.moves = self.selects = False
        #: whether they do so, or else tell by NaN where an element goes: see `spreading`
        self.follows = False
        #: what is asked in place of the rules then
        self.like: Callable[..., Any] | None = None
        #: adds the gradient of the first argument to an array in place: see `adds_into`
        self.into: Callable[..., None] | None = None
        #: the name of the argument that it writes into, and when it does: see `writes`
        self.target = TARGETS.get(function)
        #: the function as a program of others: see `composed`
        self.written: Callable[..., Any] | None = None
        #: the only keywords with which it is; None if it always is
        self.written_for: set[str] | None = None
        rule: Any = next(filter(callable, rules), None)
        first = 2  # after g and y
        if rule is None:
            rule, first = getattr(function, "__wrapped__", None), 0  # NumPy's own
        elif isinstance(rule, partial):  # made by `each`
            rule, first = rule.func, 3
        code = getattr(rule, "__code__", (lambda: None).__code__)
        #: what can be given by position, as the rules name it
        self.names = code.co_varnames[first : code.co_argcount]
        #: all that can be given by name
        self.options = {*self.names, *code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]}
        if self.elementwise or code.co_flags & CO_VARKEYWORDS:
            self.options |= UFUNC_OPTIONS
        of_names = zip(self.names, rules, strict=False)
        #: the names of arguments that have a rule, or a text for one
        self.ruled = {*(name for name, rule in of_names if rule), *self.named_rules}
        #: the position of the first of them that is not among the `known`
        self.later = next((i for i, rule in enumerate(rules) if i >= self.known and rule), NOWHERE)
        #: the position of `out`, in functions that take it by position
        self.out = self.names.index("out") if "out" in self.names else NOWHERE
        #: and that of `where`, the mask of what is summed
        self.where = self.names.index("where") if "where" in self.names else NOWHERE

    def follow(self, moves: bool, selects: bool, like: Callable[..., Any] | None = None) -> None:
        """Have the sweep follow what was left out: see `moving` and `spreading`."""
        self.moves, self.selects, self.follows, self.like = moves, selects, True, like
        self.usual = self.usual and not selects

    def rule_of(self, argument: int | str) -> Rules:
        """The rule of an argument, given by its position or its name; `...` or a text if none is known."""
        if isinstance(argument, int):
            return self.rules[argument] if argument < len(self.rules) else ...
        by_name = argument not in self.names
        return self.named_rules.get(argument, ...) if by_name else self.rule_of(self.names.index(argument))

    def written_by(self, args: Sequence[Any], options: dict[str, Any]) -> Any:
        """The argument that a call writes into; None for most calls."""
        out = args[self.out] if len(args) > self.out else options.get("out")
        if self.target is not None:
            name, when = self.target
            if when(*args, **options):
                if out is not None:
                    raise ValueError(
                        f"np.{self.function.__name__} would write into out= and into its argument {name}: "
                        "leave overwrite_input=True away, the result is the same"
                    )
                return args[0] if args else options[name]
        return out


DERIVATIVES: dict[Any, Derivative] = {}
#: what to write instead of functions without a row, where there is more to say than that
INSTEAD: dict[Any, str] = {}
#: functions that write into their first argument: its name, and when they do
TARGETS: dict[Any, tuple[str, Callable[..., Any]]] = {}


def derivative(function: Callable[..., Any], *rules: Rules, **named_rules: Rule) -> None:
    """Add (or replace) the row of a function: one rule per array argument, in order.

    Arguments that can be given by name only have their rules by name.

    `function` is anything that answers NumPy's protocols, such as a NumPy or SciPy ufunc. For a function of
    your own see `differentiable`.

    >>> import numpy as np
    >>> from tinygrad_lr import derivative, record, tensor
    >>> derivative(np.cbrt, lambda g, y, x: g / (3 * y * y))
    >>> x = tensor(8.0)
    >>> x.attach_grad()
    >>> with record():
    ...     y = np.cbrt(x)
    >>> y.backward()
    >>> print(f"{x.grad:.4f}")
    0.0833
    """
    row = DERIVATIVES.setdefault(function, Derivative(function, ()))
    row.__init__(function, rules, named_rules)  # type: ignore[misc]  # in place, for the operators that hold it


def each(rule: Rule, number: int = 64) -> list[Rule]:
    """The rules of a function of any number of arrays, made of one that also gets the argument's number.

        derivative(np.einsum, *each(lambda i, g, y, *operands, optimize=False: ...))

    Returns as many rules as NumPy's functions take arrays at most, if no other number is given.
    """
    return [partial(rule, i) for i in range(number)]


def moving(*functions: Callable[..., Any], selects: bool = False) -> None:
    """Say that the rules of some functions only move the elements of a gradient; or select among them.

    They may also negate them and multiply them by positive numbers that do not depend on the arguments. So
    where the rule of a selection makes a zero of a gradient without zeros, the result does not depend on that
    element at all. The sweep remembers it, and keeps the gradient there at zero when it comes to a function
    whose own derivative is infinite there: in `np.where(x > 0, np.sqrt(x), 0)` at x = 0, where 0 * inf would
    be NaN.
    """
    for function in functions:
        DERIVATIVES[function].follow(moves=True, selects=selects)


def spreading(
    *functions: Callable[..., Any], selects: bool = False, like: Callable[..., Any] | None = None
) -> None:
    """Say that the rules of some functions only add and multiply the elements of a gradient, and leave out
    those that the call's `where=` does.

    Then NaN, which comes of whatever has NaN in it, tells where an element goes: so the sweep remembers what
    a later selection left out, as in `np.prod(np.sqrt(x), axis=1)[1:]`. It asks the rules with ones for the
    arguments, so that not even a library that skips products with 0 hides a NaN; or with the arguments
    themselves if they decide what the function selects. Where a rule does more, another that spreads elements
    `like` it is asked.

    A gradient of a gradient is not followed as far: in that of `(y @ y.T)[1, 1]` the first row of y counts as
    used, as it is a factor of what the first gradient left out.
    """
    for function in functions:
        DERIVATIVES[function].follow(moves=False, selects=selects, like=like)


def adds_into(function: Callable[..., Any], into: Callable[..., None]) -> None:
    """Give a function that takes a part of an array a way to add its gradient to that of the whole in place.

    `into(total, g, y, *arguments)` does `total += rule(g, y, *arguments)` without making the array that the
    rule makes, most of which is zeros. The rule must make a new array.
    """
    DERIVATIVES[function].into = into


def writes(
    argument: str, *functions: Callable[..., Any], when: Callable[..., Any] = lambda *_, **__: True
) -> None:
    """Say that functions write into their first argument, which has the given name; some only `when(...)`."""
    for function in functions:
        TARGETS[function] = argument, when
        if function in DERIVATIVES:
            DERIVATIVES[function].target = TARGETS[function]


def composed(function: Callable[..., Any], written: Callable[..., Any], *keywords: str) -> None:
    """Have a function that takes functions, such as np.piecewise, done by others when a gradient is wanted.

    No rule can know the derivative of the functions it is given. `written` takes the same arguments, and
    returns NotImplemented for a call that the function's own row, if it has one, is to differentiate. It is
    asked for calls with one of the keywords only, if there are any.
    """
    row = DERIVATIVES.setdefault(function, Derivative(function, ()))
    row.written, row.written_for = written, set(keywords) or None


def constant(*functions: Callable[..., Any]) -> None:
    """Declare functions that are piecewise constant, or whose result is nothing to differentiate.

    Called with a tensor that is being differentiated they return a constant. Without a row at all they would
    raise, as no gradient is to be lost in silence.

    >>> import numpy as np
    >>> from tinygrad_lr import constant, record, tensor
    >>> constant(np.floor)
    >>> x = tensor(2.5)
    >>> x.attach_grad()
    >>> with record():
    ...     y = x - np.floor(x)
    >>> y.backward()
    >>> x.grad
    tensor(1.)
    """
    for function in functions:
        derivative(function)


def differentiable(*rules: Rules, **named_rules: Rule) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a function of arrays with its derivative: one rule per array argument.

    The function itself gets plain arrays. Called with a Tensor it goes through NumPy's protocol like any
    NumPy function, so `backward`, higher derivatives and drawing work at once.

    >>> import numpy as np
    >>> from tinygrad_lr import differentiable, record, tensor
    >>> @differentiable(lambda g, y, x: g * np.where(x > 0, 1.0, 0.1))
    ... def leaky_relu(x):
    ...     return np.where(x > 0, x, 0.1 * x)
    >>> x = tensor([-1.0, 2.0])
    >>> x.attach_grad()
    >>> with record():
    ...     y = leaky_relu(x)
    >>> y.backward()
    >>> x.grad
    tensor([0.1, 1. ])
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            for value in (*args, *options.values()):
                for part in value if isinstance(value, (list, tuple)) else (value,):
                    if getattr(part, "is_tensor", False):
                        return part.__array_function__(call, (type(part),), args, options)
            return function(*args, **options)

        update_wrapper(call, function)
        derivative(call, *rules, **named_rules)
        return call

    return decorate
