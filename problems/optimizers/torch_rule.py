"""A found update rule as the source of a ``torch.optim.Optimizer``."""

from evometa.expressions import Program, text
from evometa.expressions.notation import fold, number_in
from evometa.expressions.primitives import Primitive

FUNCTIONS = {
    "add": "({0} + {1})",
    "sub": "({0} - {1})",
    "mul": "({0} * {1})",
    "div": "({0} * {1} / ({1} * {1} + 1e-16))",
    "log": "torch.log(torch.clamp(torch.abs({0}), min=1e-16))",
    "exp": "torch.exp(torch.clamp({0}, -10.0, 10.0))",
    "sqrt": "torch.sqrt(torch.abs({0}))",
    "square": "torch.square({0})",
    "tanh": "torch.tanh({0})",
    "min": "torch.minimum({0}, {1})",
    "max": "torch.maximum({0}, {1})",
    "sign": "torch.sign({0})",
    "less": "({0} < {1}).to(gradient.dtype)",
    "if_then_else": "torch.where({0} > 0.5, {1}, {2})",
}
"""The rule's primitives in PyTorch, protected as in the search."""

_TEMPLATE = '''\
import torch


class FoundOptimizer(torch.optim.Optimizer):
    """Updates each weight by minus lr times {text}."""

    def __init__(self, params, lr):
        super().__init__(params, {{"lr": lr}})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.sub_(group["lr"] * self._rule(weight, weight.grad, self.state[weight]))
        return loss

    @staticmethod
    def _rule(weight, gradient, state):
        if not state:
            state.update(steps=0, momentum=torch.zeros_like(weight), second_moment=torch.zeros_like(weight))
        state["steps"] += 1
        state["momentum"].lerp_(gradient, 1 - {fast})
        state["second_moment"].lerp_(gradient * gradient, 1 - {slow})
        momentum = state["momentum"] / (1 - {fast} ** state["steps"])
        second_moment = state["second_moment"] / (1 - {slow} ** state["steps"])
        return {value}
'''


def torch_source(program: Program, momentum_decay: float, second_moment_decay: float) -> str:
    """Return a module that needs only PyTorch and has one class, ``FoundOptimizer(params, lr)``.

    Args:
        program: the rule, a formula of gradient, momentum, second_moment and weight.
        momentum_decay: decay of the moving average of gradients.
        second_moment_decay: decay of the moving average of squared gradients.
    """
    digits = number_in(program.tree)

    def call(primitive: Primitive, parts: list[str]) -> str:
        return FUNCTIONS[primitive.name].format(*parts)

    def constant(value: float) -> str:
        return f"torch.full_like(gradient, {digits(value)})"

    value = fold(program.primitives, program.tree, str, constant, call)
    formula = text(program.primitives, program.tree)
    return _TEMPLATE.format(text=formula, fast=momentum_decay, slow=second_moment_decay, value=value)
