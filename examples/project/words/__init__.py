"""A few things to do with words: the project that ``examples/build.py`` releases."""
