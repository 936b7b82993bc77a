"""A plugin that calls what it replaces."""

from firexkit.app import FireX

app = FireX("undercoat")


@app.task(bind=True)
def paint(self, red):
    return [f"{self.name} {red}", *self.orig(red + 1)["colour"]]


@app.task(bind=True)
def varnish(self):
    return self.enqueue_child_and_get_results(self.orig.s())
