"""The arguments of a run: words, names that tasks declare, text as values of their types. Pure: nothing is started.

``words`` splits the command line, ``parameters`` knows what tasks take, ``conversion`` makes values of text (with
``annotations`` and ``validation``), ``descriptions`` tells people and shells about them.
"""
