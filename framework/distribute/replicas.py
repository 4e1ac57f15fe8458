"""Runs a function once for each replica, in threads that take turns.

Only one thread runs at any time: replica 0 until it calls `merge_call` or ends, then replica 1,
and so on; when all wait in a `merge_call` the thread that called `Strategy.run` runs the merge
function, and the replicas go on in the same order. So what a run does follows from the program
alone, as if there were no threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from shardtape.autograph import convert_in_graph
from shardtape.backend import random
from shardtape.context import refresh, state
from shardtape.devices import device
from shardtape.distribute.replica import SeveralReplicaContext
from shardtape.distribute.values import regroup, select
from shardtape.errors import DeadlineExceededError
from shardtape.graph.scopes import name_scope
from shardtape.replica_context import across_replicas, scopes
from shardtape.summary.writer import state as summaries
from shardtape.variable_creation import listeners

# A turn is as long as what the user's function does in it, which may be a whole training.
_LONGEST_TURN_S = 24 * 3600.0
_LOOK_S = 5.0  # after which a waiting thread looks whether the other one still lives

_CARRIED: list[threading.local] = [state, scopes, listeners, random._local, summaries]


class _Abandoned(BaseException):
    """Ends the function of a replica of which nobody wants the result any more."""


class Replica(threading.Thread):
    """One replica of a run.

    Args:
      run: the run that it belongs to.
      number: of the replica.
      call: its function, with the arguments bound.
    """

    def __init__(self, run: Run, number: int, call: Callable[[], Any]) -> None:
        super().__init__(name=f"replica-{number}", daemon=True)
        self._run, self._call, self.number = run, call, number
        self._turn = threading.Lock()
        self._turn.acquire()
        self.done = self._abandoned = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.merging: tuple[Callable[..., Any], Any, Any] | None = None
        self.merged: Any = None
        self.made: dict[Any, int] = {}  # Variables so far by name
        self.graph: Any = None
        self.held: dict[str, Any] = {}  # the thread's state while it waits in a merge_call

    # ---- in the thread of the replica -----------------------------------------------------
    def run(self) -> None:
        try:
            self._await_turn()
            for carried, values in self._run.carried:
                carried.__dict__.update(values)
            listeners.functions, listeners.creators = (
                list(listeners.functions), list(listeners.creators),
            )  # fmt: skip
            state.recorders = ()  # tapes watch the thread that opened them
            refresh()
            self.graph = state.graph
            scopes.in_replica = True
            scopes.replica = SeveralReplicaContext(self._run.strategy, self)
            if self.number:  # ops with a seed of their own draw from a stream for each device
                random._local.within = (*random._local.within, -self.number)
                summaries.recording = False  # of what all replicas see one is enough
            place = device(self._run.strategy.worker_devices[self.number])
            with place, name_scope(f"replica_{self.number}") if self.number else nullcontext():
                self.result = self._call()
        except _Abandoned:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised where the run was called
            self.error = error
        finally:
            self.done = True
            if not self._abandoned:  # else nobody waits
                self._run.paused.release()

    def merge(self, merge_fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Waits for the same call of all replicas; what the merge function gave this one."""
        if state.graph is not self.graph:
            raise RuntimeError(
                "`merge_call` was called while another graph than that of the replica's function "
                "is built: a tf.function (a loop or a branch) inside the function that "
                "Strategy.run was given writes an aggregated Variable, applies gradients or "
                "reduces. Put tf.function around Strategy.run, and merge outside of control flow."
            )
        self.merging = merge_fn, args, kwargs
        self.held = {
            name: state.__dict__[name]
            for name in ("name_stack", "control_inputs", "autocast", "training")
            if name in state.__dict__
        }
        self._run.paused.release()
        self._await_turn()
        result, self.merged = self.merged, None
        return result

    def _await_turn(self) -> None:
        run = self._run
        limit_s = _LONGEST_TURN_S * (len(run.replicas) + 1)  # turns of the others, and the merge
        try:
            _await(self._turn, run.caller, f"replica {self.number} waits for its turn", limit_s)
        except DeadlineExceededError:
            self._abandoned = True  # the turn is another's, and not to be passed on
            raise
        if self._abandoned:
            raise _Abandoned

    # ---- in the thread of the run ---------------------------------------------------------
    def go_on(self) -> None:
        """Gives the replica its turn, until it merges or ends."""
        if self.done:  # it waited too long
            return
        self._turn.release()
        what = f"Strategy.run waits for replica {self.number}"
        _await(self._run.paused, self, what, _LONGEST_TURN_S)

    def abandon(self) -> None:
        """Ends a replica that waits in a merge_call."""
        if not self.done:
            self._abandoned = True
            if self._turn.locked():  # else it has its turn, and has not taken it yet
                self._turn.release()


def _await(lock: threading.Lock, other: threading.Thread, what: str, limit_s: float) -> None:
    """Takes a lock that another thread releases.

    Raises DeadlineExceededError where that thread is dead, or keeps it longer than `limit_s`.
    """
    end = time.monotonic() + limit_s
    while True:
        lives = other.is_alive()  # before the lock, which a thread may release as its last act
        if lock.acquire(timeout=_LOOK_S if lives else 0.0):
            return
        if not lives or time.monotonic() > end:
            break
    raise DeadlineExceededError(
        None, None,
        f"{what}, but the thread {other.name!r} "
        + (f"has kept it waiting for {limit_s / 3600:g} h: functions of replicas have to return, "
           "or to merge, sooner" if lives else "has ended"),
    )  # fmt: skip


class Run:
    """One call of `Strategy.run` of a strategy with several replicas.

    Attributes:
      made: Variables that replica 0 made, by (name, number); the other replicas take them.
    """

    def __init__(self, strategy: Any, fn: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self.strategy, self.caller = strategy, threading.current_thread()
        self.paused = threading.Lock()
        self.paused.acquire()
        self.carried = [(local, dict(local.__dict__)) for local in _CARRIED]
        self.made: dict[Any, Any] = {}
        fn = convert_in_graph(fn)
        self.replicas = []
        for i in range(strategy.num_replicas_in_sync):
            own_args, own_kwargs = select(i, tuple(args)), select(i, dict(kwargs or {}))
            self.replicas.append(
                Replica(self, i, lambda a=own_args, k=own_kwargs: fn(*a, **k))  # type: ignore[misc]
            )

    def results(self) -> Any:
        """What the replicas return, put together.

        Raises what a replica raised, and RuntimeError where they merge differently often.
        """
        try:
            for replica in self.replicas:
                replica.start()
            while True:
                for replica in self.replicas:
                    replica.go_on()
                    if replica.error is not None:
                        raise replica.error
                ended = [replica.done for replica in self.replicas]
                if all(ended):
                    return regroup([replica.result for replica in self.replicas])
                if any(ended):
                    at = [i for i, done in enumerate(ended) if not done]
                    raise RuntimeError(
                        "replicas made different numbers of merge_call calls (updates of "
                        f"aggregated Variables, all_reduce, apply_gradients): replicas {at} wait "
                        "for the others, which have ended"
                    )
                self._merge()
        finally:
            for replica in self.replicas:
                replica.abandon()

    def _merge(self) -> None:
        calls = [replica.merging for replica in self.replicas]
        functions = [call[0] for call in calls if call is not None]
        args = regroup([tuple(call[1]) for call in calls if call is not None])
        kwargs = regroup([dict(call[2] or {}) for call in calls if call is not None])
        outer = {name: getattr(state, name) for name in self.replicas[0].held}
        for name, value in self.replicas[0].held.items():
            setattr(state, name, value)
        try:
            with across_replicas(self.strategy):
                merged = functions[0](self.strategy, *args, **kwargs)
        finally:
            for name, value in outer.items():
                setattr(state, name, value)
        for replica in self.replicas:
            replica.merging, replica.merged = None, select(replica.number, merged)

    def variable(self, replica: Replica, name: str, make: Callable[[], Any]) -> Any:
        """A Variable that a replica makes: replica 0 makes it, the others get the same one.

        Raises RuntimeError where replica 0 has made none with this name.
        """
        number = replica.made.get(name, 0)
        replica.made[name] = number + 1
        if replica.number == 0:
            self.made[name, number] = make()
        found = self.made.get((name, number))
        if found is None:
            raise RuntimeError(
                f"replica {replica.number} makes the Variable {name!r} (number {number + 1} of "
                "this name), which replica 0 has not made: replicas have to make the same "
                "Variables"
            )
        return found
