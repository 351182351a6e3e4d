"""The hosts that a plan may use: what each costs, which partitions it gets, what joins it to the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from spike_runtime import hosts
from spike_runtime import manifest as mf

from spikec.errors import model_error
from spikec.planning.cost import layout_cost, rest_cost, step_time
from spikec.planning.flow import waiting
from spikec.planning.profile import HostProfile, read
from spikec.program import layout as la
from spikec.records import dataclass

BETWEEN_HOSTS = "tcp"


@dataclass(frozen=True)
class Site:
    """One host as the planner sees it; `host` is None where there is only the one that runs the model."""

    profile: HostProfile
    host: mf.Host | None = None


@dataclass(frozen=True)
class Spread:
    """`counts[k]` partitions on `sites[k]`, numbered site by site; `transport` joins those of one site."""

    sites: tuple[Site, ...]
    counts: tuple[int, ...]
    transport: str

    @property
    def site_of(self) -> tuple[int, ...]:
        """Number of the site of every partition."""
        return tuple(site for site, count in enumerate(self.counts) for _ in range(count))

    @property
    def hosts(self) -> tuple[mf.Host, ...]:
        """The hosts that are used; none where there is only the one that runs the model."""
        return tuple(site.host for site in self.sites if site.host)

    @property
    def places(self) -> tuple[str, ...]:
        """Name of the host of every partition; none where there is only the one that runs the model."""
        names = [host.name for host in self.hosts]
        return tuple(names[k] for k in self.site_of) if names else ()

    def costs(self, layouts: Sequence[la.Layout]) -> tuple[mf.Cost, ...]:
        """Predicted cost of every partition, on its host and with what joins it to each of the others."""
        site_of, slacks = self.site_of, self._slacks(layouts)

        def cost(layout: la.Layout) -> mf.Cost:
            own = site_of[layout.partition]
            profile = self.sites[own].profile
            profile = replace(profile, cache=profile.cache_of(self.counts[own]))
            return layout_cost(
                layout,
                profile,
                lambda other: self.transport if site_of[other] == own else BETWEEN_HOSTS,
                slack=slacks[layout.partition],
            )

        return tuple(cost(layout) for layout in layouts)

    def _slacks(self, layouts: Sequence[la.Layout]) -> list[float]:
        """ns for which the messages of every partition may travel before somebody waits for them.

        Of two that wait for each other, what each does after its message gives time to the messages of both.
        One that waits for nobody goes at its own pace (see `flow`).
        """
        waits = waiting(layouts)
        rest = [rest_cost(x, self.sites[site].profile) for x, site in zip(layouts, self.site_of, strict=True)]

        def slack(layout: la.Layout) -> float:
            if layout.partition not in waits:
                return math.inf
            peers = waits & {*layout.send, *layout.receive}
            return min(((rest[layout.partition] + rest[peer]) / 2 for peer in peers), default=0.0)

        return [slack(layout) for layout in layouts]

    def step(self, costs: Sequence[mf.Cost]) -> float:
        """ns per step of all partitions together: that of the slowest host."""
        site_of = self.site_of
        times = []
        for number, site in enumerate(self.sites):
            own = [cost for cost, k in zip(costs, site_of, strict=True) if k == number]
            times.append(step_time(own, site.profile, self.transport))
        return max(times)


def spread(n: int, sites: Sequence[Site], transport: str) -> Spread:
    """n partitions over the sites: at least one for each, the others in proportion to cores.

    Where there are more sites than partitions, the first n get one each.
    """
    used = tuple(sites[: max(1, n)])
    counts = [1] * len(used)
    for _ in range(n - len(used)):
        least = min(range(len(used)), key=lambda k: ((counts[k] + 1) / used[k].profile.cores, k))
        counts[least] += 1
    return Spread(used, tuple(counts), transport)


def load(path: Path, default: Callable[[], HostProfile]) -> tuple[Site, ...]:
    """The sites of a hosts file; `default` gives the profile of hosts that name none.

    Raises `HostsError` where the file cannot be used, `ModelError` where a profile cannot.
    """
    sites = []
    for entry in hosts.load(path):
        profile = read(entry.profile) if entry.profile else default()
        if BETWEEN_HOSTS not in profile.wires:
            raise model_error(
                f"the profile of host {entry.host.name} has no costs for {BETWEEN_HOSTS}",
                "measure again: python -m spike_runtime.calibrate --output FILE",
            )
        sites.append(Site(replace(profile, cores=entry.host.cores), entry.host))
    return tuple(sites)
