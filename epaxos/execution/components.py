"""Finds strongly connected components while the graph is still growing, without recursion.

Tarjan's algorithm needs the whole graph.  Here edges are unknown until more instances are committed, and to
start again at every commit would take quadratic time.  So the state of a path-based search (Purdom and
Munro, Gabow) is kept from commit to commit:

- a component follows its outgoing edges one after the other and *waits* at the first whose target
  has not been executed.  Edges are consumed, none is looked at twice;
- each component waits for one target at most, so the waiting ones form a forest.  Before a component
  is made to wait, the chain from its target is followed: if it leads back to the component, the
  cycle is contracted to one component, which goes on with the edges of all of them;
- a component without edges left can reach nothing that is not executed: it is a complete strongly
  connected component, and runs.  The components that waited for it go on.

The chains end in instances that are not grounded, or not examined.  So no component waits for ever: when
everything that X reaches is grounded and examined, X does not wait.
"""

from __future__ import annotations

from epaxos.execution.waiting import Component

__all__ = ["follow"]


def follow(component: Component) -> Component | None:
    """Follow the edges of a component that does not wait.

    Returns the component, or the one that it was merged into, when no edge is left: that one may run.
    Returns None when it waits now: it is then among the `waiters` of its target.
    """
    while component.edges:
        target = component.edges.pop()
        if target.executed:
            continue
        if target.component is not None:
            other = _find(target.component)
            if other is component:
                continue
            if _end_of_chain(other) is component:
                component = _contract(other, component)
                continue
        component.waits_for = target
        if target.waiters is None:
            target.waiters = [component]
        else:
            target.waiters.append(component)
        return None
    return component


def _find(component: Component) -> Component:
    """The component that this one was merged into, directly or indirectly; itself when it was not merged."""
    while component.merged is not None:
        if component.merged.merged is not None:
            component.merged = component.merged.merged
        component = component.merged
    return component


def _next(component: Component) -> Component | None:
    """The component that this one waits for; None when there is none, or none yet."""
    target = component.waits_for
    return None if target is None or target.component is None else _find(target.component)


def _end_of_chain(component: Component) -> Component:
    """The last component of the chain of waits that starts here.

    The end runs first, so shortcuts straight to it would soon be void.  The shortcuts set here lead from the
    k-th component before the end to the one at k without its lowest bit, so that a walk takes logarithmic
    time and the end invalidates few shortcuts.
    """
    path: list[Component] = []
    while True:
        shortcut = component.shortcut
        following = _find(shortcut) if shortcut is not None else None
        if following is None or following.executed:
            following = _next(component)
            if following is None:
                break
        path.append(component)
        component = following
    path.append(component)
    last = len(path) - 1
    for distance in range(1, last + 1):
        path[last - distance].shortcut = path[last - (distance & (distance - 1))]
    return component


def _contract(start: Component, end: Component) -> Component:
    """Merge all components on the chain of waits from `start` to `end` into one."""
    cycle = [end]
    component = start
    while component is not end:
        cycle.append(component)
        following = _next(component)
        assert following is not None
        component = following
    kept = max(cycle, key=lambda component: len(component.members))
    kept.resume()
    for component in cycle:
        if component is not kept:
            kept.members += component.members
            kept.edges += component.edges
            component.members = component.edges = []
            component.resume()
            component.merged = kept
    return kept
