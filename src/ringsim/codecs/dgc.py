"""Deep Gradient Compression: top-k that remembers what it has not sent, with its momentum."""

from dataclasses import dataclass, replace

import numpy as np

from ringsim.codecs.carrier import Carrier
from ringsim.codecs.codec import Code, Floats, Passes, Shape, State, elements
from ringsim.codecs.sparse import SECTOR, TopK
from ringsim.codecs.tiles import check, over

#: Shares of the warm-up: 25 %, 6.25 %, 1.5625 %, 0.4 %.
WARM_UP = tuple(0.25**stage for stage in (1, 2, 3, 4))


@dataclass(frozen=True)
class Dgc(Carrier):
    """Top-k of an accumulated, momentum-corrected gradient, denser in the first steps.

    Y. Lin, S. Han, H. Mao, Y. Wang, W. J. Dally, "Deep Gradient Compression: Reducing the Communication Bandwidth for
    Distributed Training", 2018, arXiv:1712.01887.

    Each step: ``u = m u + g``, ``v = v + u``; the largest of v are sent, and there u and v become zero (momentum factor
    masking). The optimiser must then have no momentum of its own, and error feedback is built in. Warm-up goes through
    densities of 25, 6.25, 1.5625 and 0.4 %, a quarter of `steps` each. The paper estimates the k-th largest from a sample;
    here it is exact. Its gradient clipping is the training loop's business.

    Bound: that of top-k, about v. What was sent and what v holds add up to all that entered v, to rounding.

    `wire_bytes` is the size after the warm-up; in it codes are larger, as `Code.nbytes` says.

    Parameters
    ----------
    density : float
        Share that is sent after the warm-up.
    steps : int
        Length of the warm-up in encoded steps; the paper's is four epochs.
    momentum : float
        m.
    """

    density: float
    steps: int = 0
    momentum: float = 0.9
    combine = "sparsifier"
    pieces = False
    first = True
    #: Read g, u and v and write u and v, counting the histogram on the way (5); collect from v (1); then top-k's
    #: selection, and zeros into u and v, a sector for each (of the code's 8 bytes), in and out.
    cost = replace(TopK.cost, encode=Passes(6, 3 + 2 * 2 * SECTOR / 8))

    @property
    def spec(self) -> str:
        """Such as ``dgc:0.001:0:0.9``."""
        return f"dgc:{self.density}:{self.steps}:{self.momentum}"

    @property
    def hop(self) -> TopK:
        """Sums have no memory."""
        return TopK(self.density)

    def at(self, step: int) -> TopK:
        """Top-k with the density of a step."""
        if step >= self.steps:
            return TopK(self.density)
        return TopK(max(self.density, WARM_UP[len(WARM_UP) * step // self.steps]))

    def init(self, shape: Shape, *, messages: int = 1, seed: int = 0) -> State:
        """Nothing accumulated."""
        zeros = np.zeros((messages, elements(shape)), np.float32)
        return State(seed, kept={"u": zeros, "v": zeros})

    def encode(self, x: Floats, state: State) -> tuple[Code, State]:
        """Accumulate, choose, and forget what is sent."""
        check(x, self.spec)
        over(x, state.kept["u"], self.spec)
        u = state.kept["u"] * np.float32(self.momentum) + x
        v = state.kept["v"] + u
        code, _ = self.at(state.step).encode(v, State())
        for accumulated in (u, v):
            np.put_along_axis(accumulated, code.parts[1], np.float32(0), axis=1)
        return code, state.after(u=u, v=v)

    def decode(self, code: Code) -> Floats:
        """As top-k."""
        return TopK(self.density).decode(code)

    def payload(self, shape: Shape) -> int:
        """Elements that are sent after the warm-up."""
        return TopK(self.density).payload(shape)

    def wire_bytes(self, shape: Shape) -> int:
        """As top-k, after the warm-up."""
        return TopK(self.density).wire_bytes(shape)
