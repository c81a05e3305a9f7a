"""Fee: what the exchange charges for one fill."""

from __future__ import annotations

from simcore.engine.money import E8, mul_div_trunc_nb
from simcore.jit import kernel


@kernel
def fee_e8_nb(notional_e8, rate_e8):
    """Return the fee of a fill in 1e-8 quote units; negative when the rate is a rebate.

    The exchange cuts values to eight places instead of rounding them; a rebate cut the same way is the smaller one.
    """
    return mul_div_trunc_nb(notional_e8, rate_e8, E8)
