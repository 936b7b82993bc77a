"""Errors of tasks and their children."""


class NotInCache(Exception):
    """No cached result answers this call."""


class CacheResultNotPopulatedYetInRedis(NotInCache):
    """A task is known to have answered this call, but its result is not stored yet."""


class UidNotInjectedInAbog(Exception):
    """The task asks for ``uid``, and nobody put one into its bag."""


class IllegalTaskNameException(Exception):
    """A task's name ends with the postfix that is kept for replaced originals."""
