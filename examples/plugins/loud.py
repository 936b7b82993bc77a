"""A louder party: replaces the task ``greet`` wherever it is used, without a change in the file that defines it.

Each greeting is still made by the original, now as a child of the task that took its place::

    $ firex run greet_all -t examples/greetings.py --plugins examples/plugins/loud.py --guests ada,grace
      greetings = ['HELLO, ADA!', 'HELLO, GRACE!']
"""

from __future__ import annotations

from firexkit import FireX, FireXTask, returns

app = FireX("loud")


@app.task(bind=True)
@returns("greeting")
def greet(self: FireXTask, guest: str, word: str = "Hello") -> str:
    """Greet one guest so that all can hear it.

    Args:
        self: the task; ``orig`` is the one that it replaces.
        guest: who comes.
        word: what to say.
    """
    said = self.enqueue_child_and_get_results(self.orig.s(guest=guest, word=word))
    return said["greeting"].upper()
