"""What is counted of one voice."""

from __future__ import annotations

from attrs import frozen


@frozen
class Tally:
    """What happened to one voice since it began.

    `lost` counts the packets that never came and `late` what came in vain; `recovered` the frames that were played from
    a copy, `stretched` how often a piece was left out or played twice.
    """

    received: int = 0
    lost: int = 0
    late: int = 0
    played: int = 0
    blocks: int = 0
    concealed: int = 0
    delay: float = 0.0  # s a packet waits here, lately
    recovered: int = 0
    stretched: int = 0
