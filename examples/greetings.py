"""A party in small tasks: what a task can do, one thing at a time. Each command below can be typed as it is.

A task takes what its parameters name, from the command line; what it returns has a name, too. A converter makes a name
of what was typed::

    $ firex run greet -t examples/greetings.py --guest ada
      greeting = 'Hello, Ada!'

Tasks in a chain find by name what those before them returned. ``frame`` alone would not even start, because nobody says
what the greeting is. Who watches the run sees the banner as soon as it is there::

    $ firex run greet,frame -t examples/greetings.py --guest ada --edge "#"
      banner = '# Hello, Ada! #'
      width = 15

``@`` hands a value over under another name: ``shout`` takes a text, and here the text is the greeting::

    $ firex run greet,shout -t examples/greetings.py --guest ada --text @greeting
      shouted = 'HELLO, ADA!'

A task starts others as its children, many at a time, and uses what they return::

    $ firex run greet_all -t examples/greetings.py --guests ada,grace
      greetings = ['Hello, Ada!', 'Hello, Grace!']

Children may be a chain, and get all that reached their parent, also ``--edge``, which the parent itself does not take::

    $ firex run write_card -t examples/greetings.py --guest Ada --edge "~"
      card = 'To Ada: ~ Hello, Ada! ~'

Whoever asks first for the cake has it baked, and all others get a piece of the same one: ``bake`` runs once. In a
picture of the run the children of ``party`` are folded away::

    $ firex run party -t examples/greetings.py --guests Ada,Grace,Edsger --flavour lemon
      pieces = ['Ada: lemon cake', 'Grace: lemon cake', 'Edsger: lemon cake']

Who calls a second time gets the same result, even if that was luck, because it comes from the cache::

    $ firex run raffle -t examples/greetings.py --guest ada
      is_same_ticket = True

``plugins/loud.py``, beside this file, replaces ``greet`` in all of these.
"""

from __future__ import annotations

import random
from html import escape

from firexkit import (
    ConverterRegister,
    FireX,
    FireXTask,
    InjectArgs,
    SingleArgDecorator,
    flame,
    flame_collapse,
    get_results,
    returns,
)

app = FireX("greetings")


@app.task
@returns("greeting")
def greet(guest: str, word: str = "Hello") -> str:
    """Greet one guest.

    Args:
        guest: who comes.
        word: what to say.
    """
    return f"{word}, {guest}!"


@ConverterRegister.register_for_task(greet)
@SingleArgDecorator("guest")
def tidy_name(name: str) -> str:
    """Change what the task is about to get, or refuse it by an error."""
    if not name.strip():
        raise ValueError("somebody without a name can't be greeted")
    return name.strip().title()


def as_heading(banner: str) -> str:
    """HTML that shows the banner."""
    return f"<h2>{escape(banner)}</h2>"


@app.task
@returns("banner", "width")
@flame("banner", as_heading)
def frame(greeting: str, edge: str = "*") -> tuple[str, int]:
    """Put a frame around a greeting; who watches the run sees it at once.

    Args:
        greeting: what is framed.
        edge: what the frame is made of.
    """
    banner = f"{edge} {greeting} {edge}"
    return banner, len(banner)


@app.task
@returns("shouted")
def shout(text: str) -> str:
    """Say something so that all can hear it.

    Args:
        text: what to say.
    """
    return text.upper()


@app.task(bind=True)
@returns("greetings")
def greet_all(self: FireXTask, guests: list[str]) -> list[str]:
    """Greet all guests, in parallel.

    Args:
        self: the task, which sends its children.
        guests: who comes, with commas between them.
    """
    greeted = self.enqueue_in_parallel([greet.s(guest=guest) for guest in guests])
    return [get_results(child)["greeting"] for child in greeted]


@app.task(bind=True)
@returns("card")
def write_card(self: FireXTask, guest: str) -> str:
    """Write a card by a chain of children: one greets, the next frames.

    Args:
        self: the task; its ``abog`` has all that reached it.
        guest: whom the card is for.
    """
    chain = InjectArgs(**self.abog) | greet.s() | frame.s()
    framed = self.enqueue_child_and_get_results(chain)
    return f"To {guest}: {framed['banner']}"


@app.task(bind=True)
@returns("pieces")
@flame_collapse("descendants")
def party(self: FireXTask, guests: list[str], flavour: str = "apple") -> list[str]:
    """Serve every guest a piece of cake.

    Args:
        self: the task.
        guests: who comes, with commas between them.
        flavour: of the cake.
    """
    served = self.enqueue_in_parallel([serve.s(guest=guest, flavour=flavour) for guest in guests])
    return [get_results(child)["piece"] for child in served]


@app.task(bind=True)
@returns("piece")
def serve(self: FireXTask, guest: str, flavour: str) -> str:
    """Serve one guest; the first to be served waits for the cake as all others do.

    Args:
        self: the task.
        guest: who gets a piece.
        flavour: of the cake.
    """
    baked = self.enqueue_child_once_and_extract(bake.s(flavour=flavour), enqueue_once_key="cake")
    return f"{guest}: {baked['cake']}"


@app.task
@returns("cake")
def bake(flavour: str) -> str:
    """Bake a cake.

    Args:
        flavour: of the cake.
    """
    return f"{flavour} cake"


@app.task(bind=True)
@returns("is_same_ticket")
def raffle(self: FireXTask, guest: str) -> bool:
    """Ask twice for a guest's ticket: at the door and when the winner is called.

    Args:
        self: the task.
        guest: who has the ticket.
    """
    first, second = (self.enqueue_child_and_get_results(draw_ticket.s(guest=guest)) for _ in range(2))
    return first == second


@app.task(use_cache=True)
@returns("ticket")
def draw_ticket(guest: str) -> str:
    """Draw a ticket for a guest, once in a run.

    Args:
        guest: who gets it.
    """
    return f"{guest[:1].upper()}{random.randrange(1_000_000):06}"
