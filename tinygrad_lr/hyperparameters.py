"""Two conveniences of the book: arguments that become attributes, and classes that are written in pieces."""

import inspect
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


def add_to_class(cls: type) -> Callable[[T], T]:
    """A decorator that makes a function a method of an existing class, under the function's own name.

    It replaces a method of that name, also for the objects that exist already. The class can so be written
    in pieces, with text or trials in between.

    Raises TypeError if `cls` is not a class.

    >>> from tinygrad_lr.hyperparameters import add_to_class
    >>> class Greeter:
    ...     name = "gradient"
    >>> greeter = Greeter()
    >>> @add_to_class(Greeter)
    ... def greet(self):
    ...     return f"hello, {self.name}"
    >>> greeter.greet()
    'hello, gradient'
    """
    if not isinstance(cls, type):
        raise TypeError(
            f"add_to_class needs a class, not an object of type {type(cls).__name__}: "
            f"write @add_to_class({type(cls).__name__})"
        )

    def add(method: T) -> T:
        named: Any = getattr(method, "fget", method)  # a property has no name of its own before Python 3.13
        setattr(cls, named.__name__, method)
        return method

    return add


def missing_method(of: object, signature: str, result: str) -> NotImplementedError:
    """The error for the method of `of` that its class has to write: it says what to write.

    >>> from tinygrad_lr.hyperparameters import missing_method
    >>> class Shape:
    ...     def area(self):
    ...         raise missing_method(self, "area(self)", "the area")
    >>> class Circle(Shape):
    ...     pass
    >>> Circle().area()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    NotImplementedError: Circle has no method area. Write `def area(self):` in the class, or ...
    """
    cls = type(of).__name__
    return NotImplementedError(
        f"{cls} has no method {signature.partition('(')[0]}. Write `def {signature}:` in the class, or after "
        f"@add_to_class({cls}); it returns {result}."
    )


class HyperParameters:
    """A class whose `__init__` can turn its arguments into attributes."""

    hparams: dict[str, Any]

    def save_hyperparameters(self, ignore: Iterable[str] = ()) -> None:
        """Make an attribute of every argument of the method that calls this, usually `__init__`.

        They are also collected in the dict `self.hparams`, together with those that a base class saved.
        Arguments that start with an underscore, and those named in `ignore`, are left out.

        Raises RuntimeError if the caller is not a method of this object.

        >>> from tinygrad_lr.hyperparameters import HyperParameters
        >>> class Model(HyperParameters):
        ...     def __init__(self, num_inputs, lr=0.03, data=None):
        ...         self.save_hyperparameters(ignore=["data"])
        >>> model = Model(2)
        >>> model.lr, model.hparams
        (0.03, {'num_inputs': 2, 'lr': 0.03})
        """
        names, rest, keywords, values = inspect.getargvalues(sys._getframe(1))
        arguments = [name for name in (*names, rest, keywords) if name is not None and name in values]
        if not arguments or values[arguments[0]] is not self:
            raise RuntimeError(
                "save_hyperparameters() saves the arguments of the method that calls it: call it in a method "
                f"of {type(self).__name__}, such as __init__, as self.save_hyperparameters()"
            )
        ignored = {ignore} if isinstance(ignore, str) else set(ignore)
        saved = {n: values[n] for n in arguments[1:] if n not in ignored and not n.startswith("_")}
        self.hparams = {**getattr(self, "hparams", {}), **saved}
        for name, value in saved.items():
            setattr(self, name, value)
