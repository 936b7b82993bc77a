"""Errors of tasks and their children."""


class NotInCache(Exception):
    """No cached result answers this call."""


class CacheResultNotPopulatedYetInRedis(NotInCache):
    """A task is known to have answered this call, but its result is not stored yet."""


class UidNotInjectedInAbog(Exception):
    """The task asks for ``uid``, and nobody put one into its bag."""


class IllegalTaskNameException(Exception):
    """A task's name ends with the postfix that is kept for replaced originals."""


class TaskExitError(RuntimeError):
    """A task's function raised SystemExit, KeyboardInterrupt or GeneratorExit, by ``sys.exit()`` for instance.

    A task fails by an exception and succeeds by returning; FireXReturnCodeException chooses the run's exit code.
    """
