"""Law: whatever is asked, jumping and folding change nothing, and nothing beats its bound.

The other laws run on clusters as they are shipped. Here networks are narrow, slow, hashed and far apart, which is where
flows share links for long and deliveries pile up on their way.
"""

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ringsim import fabric
from ringsim.study import Question, StudyError, answer
from ringsim.topology import TopologyError

NETWORKS = st.builds(
    lambda *changes: [change for change in changes if change],
    st.sampled_from([f"network.oversubscription={ratio}" for ratio in (1, 2, 3, 8)]),
    st.sampled_from([f"network.radix={ports}" for ports in (4, 6, 8, 16)]),
    st.sampled_from([f"network.routing={way}" for way in ("hash", "spread")]),
    st.sampled_from(["", "", "nic.latency=10us", "nic.latency=100us", "nic.latency=1000us"]),
    st.sampled_from(["", "", "network.kind=leaf-spine"]),
)

QUESTIONS = st.builds(
    Question,
    fabric=st.sampled_from(fabric.available()),
    cards=st.sampled_from([4, 8, 9, 12, 16, 17, 24, 32, 40, 64]),
    size=st.sampled_from(["1K", "64K", "1M", "64M"]),
    rings=st.sampled_from([None, None, 1]),
    domain=st.sampled_from([None, None, None, 1, 2, 3, 4]),
    seed=st.integers(0, 4),
    changes=NETWORKS,
    slices=st.sampled_from([None, 1, 2, 5, 16]),
    chunks=st.sampled_from([None, 1, 5, 64]),
)


@given(QUESTIONS)
@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_jumping_changes_nothing_and_nothing_beats_its_bound(question: Question) -> None:
    try:
        jumped = answer(question)
    except (StudyError, TopologyError):
        assume(False)
        return
    plain = answer(Question(**{**vars(question), "jump": False}))
    times = {(r.case.algorithm, r.case.protocol, r.case.channels): r.time_us for r in plain.candidates}
    for result in jumped.candidates:
        other = times[result.case.algorithm, result.case.protocol, result.case.channels]
        if result.time_us is not None and other is not None:
            assert result.time_us == pytest.approx(other, rel=1e-9)
            assert result.time_us >= max(result.bound_us, result.floor_us) * (1 - 1e-9)
