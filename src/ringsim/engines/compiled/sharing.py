"""Max-min fair rates, kept up to date as rows come and go.

Rates are max-min fair if and only if every row is at its cap or has a *bottleneck*: a full link on which nobody is
faster (D. Bertsekas, R. Gallager, "Data Networks", 1992, section 6.5). So it is enough to share again among the rows on
the links that were touched, everybody else standing still, and then to ask whether everybody else still has a
bottleneck and leaves one to these. Who does not joins in, until nobody does. Changes mostly die out after a hop or two,
which is what makes large clusters cheap; where they do not, this ends with progressive filling of the whole component.

Nor are all rows on a touched link asked. Who was held back by a link that somebody left may rise; where somebody came, who
has more than an equal part may have to give some back. The others keep what they have, unless they are asked after all.
And a link where nobody's rate or bottleneck changed has nothing to ask.
"""

import numpy as np

from ringsim.engines.compiled.kernel import Floats, Places, inner
from ringsim.engines.compiled.tables import Table
from ringsim.engines.compiled.tournament import schedule

#: Rates and limits this close, relatively, are equal.
ROUNDING = 1e-13

#: Marks of a link that is looked at: somebody came, or not.
TOUCHED, JOINED = 1, 2


@inner
def join(R: Table, L: Table, H: Table, clock: Table, touched: Places, v: int) -> None:
    """Put row `v` on its tight links. Its rate follows when the instant is over."""
    for h in range(R[v].hop, R[v].hop_end):
        link = H[h].link
        first = L[link].head
        H[h].next = first
        H[h].previous = -1
        if first >= 0:
            H[first].previous = h
        L[link].head = h
        touch(L, clock, touched, link, 1)
        L[link].marked = JOINED


@inner
def part(R: Table, L: Table, H: Table, clock: Table, touched: Places, v: int) -> None:
    """Take row `v` off its tight links."""
    for h in range(R[v].hop, R[v].hop_end):
        link, before, after = H[h].link, H[h].previous, H[h].next
        if before >= 0:
            H[before].next = after
        else:
            L[link].head = after
        if after >= 0:
            H[after].previous = before
        touch(L, clock, touched, link, 1)


@inner
def touch(L: Table, clock: Table, touched: Places, link: int, moved: int) -> None:
    """Note that the share of `link` has to be looked at, and whether anything changed on it."""
    if L[link].marked == 0:
        L[link].marked = TOUCHED
        L[link].moved = moved
        touched[clock[0].touched] = link
        clock[0].touched += 1


@inner
def include(R: Table, clock: Table, included: Places, v: int) -> None:
    """Let row `v` take part in the new sharing."""
    if R[v].marked == 0:
        R[v].marked = 1
        R[v].was = R[v].bottleneck
        included[clock[0].included] = v
        clock[0].included += 1


@inner
def share(R: Table, L: Table, H: Table, queue: Floats, clock: Table, touched: Places, included: Places) -> None:
    """Make all rates max-min fair again and move the events of the rows whose rate changed."""
    now = clock[0].now
    for i in range(clock[0].touched):
        ask(R, L, H, clock, included, touched[i])
    settled = 0
    while settled < clock[0].included:
        for i in range(settled, clock[0].included):
            v = included[i]
            for h in range(R[v].hop, R[v].hop_end):
                touch(L, clock, touched, H[h].link, 0)
        settled = clock[0].included
        fill(R, L, H, clock, touched, included)
        for i in range(settled):
            v = included[i]
            if R[v].trial != R[v].rate or R[v].bottleneck != R[v].was:
                for h in range(R[v].hop, R[v].hop_end):
                    L[H[h].link].moved = 1
        for i in range(clock[0].touched):
            link = touched[i]
            if L[link].moved and L[link].others > 0:
                challenge(R, L, H, clock, included, link)
    for i in range(clock[0].included):
        v = included[i]
        R[v].marked = 0
        if R[v].trial != R[v].rate:
            R[v].to_go = max(0.0, R[v].to_go - R[v].rate * (now - R[v].since))
            R[v].rate = R[v].trial
            R[v].since = now
            R[v].key = now + R[v].to_go / R[v].rate
            schedule(queue, v - clock[0].row, R[v].key)
    for i in range(clock[0].touched):
        L[touched[i]].marked = L[touched[i]].moved = 0
    clock[0].touched = 0
    clock[0].included = 0


@inner
def ask(R: Table, L: Table, H: Table, clock: Table, included: Places, link: int) -> None:
    """Include the rows on a link where somebody came or went whose rate that may change; who came has none yet."""
    fair = np.inf
    if L[link].marked == JOINED:
        total = 0
        h = L[link].head
        while h >= 0:
            total += H[h].weight
            h = H[h].next
        fair = L[link].bandwidth / total * (1 - ROUNDING)
    h = L[link].head
    while h >= 0:
        v = H[h].row
        if R[v].bottleneck == link or R[v].rate == 0.0 or R[v].rate > fair:
            include(R, clock, included, v)
        h = H[h].next


@inner
def fill(R: Table, L: Table, H: Table, clock: Table, touched: Places, included: Places) -> None:
    """Fill progressively among the included rows, with what the others leave of each touched link."""
    links, left = clock[0].touched, clock[0].included
    for i in range(links):
        link = touched[i]
        free, rising, others = L[link].bandwidth, 0, 0
        h = L[link].head
        while h >= 0:
            v = H[h].row
            if R[v].marked:
                rising += H[h].weight
            else:
                free -= H[h].weight * R[v].rate
                others += 1
            h = H[h].next
        L[link].others = others
        L[link].free = max(free, 0.0)
        L[link].rising = rising
    while left > 0:
        level = np.inf
        for i in range(links):
            if L[touched[i]].rising > 0:
                level = min(level, L[touched[i]].free / L[touched[i]].rising)
        for i in range(left):
            level = min(level, R[included[i]].cap)
        # Whoever has met a limit is moved behind `left`; limits that differ by roundings are one.
        full, before, i = level * (1 + ROUNDING), left, 0
        while i < left:
            v = included[i]
            met = R[v].cap <= full
            R[v].bottleneck = -1
            for h in range(R[v].hop, R[v].hop_end):
                link = H[h].link
                if L[link].free <= full * L[link].rising:
                    met = True
                    R[v].bottleneck = link
            if met:
                left -= 1
                included[i] = included[left]
                included[left] = v
            else:
                i += 1
        for i in range(left, before):
            v = included[i]
            rate = min(level, R[v].cap)
            R[v].trial = rate
            for h in range(R[v].hop, R[v].hop_end):
                link = H[h].link
                L[link].free = max(L[link].free - H[h].weight * rate, 0.0)
                L[link].rising -= H[h].weight


@inner
def challenge(R: Table, L: Table, H: Table, clock: Table, included: Places, link: int) -> None:
    """Include the rows on `link` that lost their bottleneck there or stand in the way of an included row's."""
    full = L[link].free <= ROUNDING * L[link].bandwidth
    fastest, held = 0.0, np.inf
    h = L[link].head
    while h >= 0:
        v = H[h].row
        if R[v].marked:
            fastest = max(fastest, R[v].trial)
            if R[v].bottleneck == link:
                held = min(held, R[v].trial)
        else:
            fastest = max(fastest, R[v].rate)
        h = H[h].next
    h = L[link].head
    while h >= 0:
        v = H[h].row
        if R[v].marked == 0:
            lost = R[v].bottleneck == link and (not full or R[v].rate * (1 + ROUNDING) < fastest)
            if lost or R[v].rate > held * (1 + ROUNDING):
                include(R, clock, included, v)
        h = H[h].next
