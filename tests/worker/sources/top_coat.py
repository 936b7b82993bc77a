"""A plugin on two others, with a task of its own."""

from firexkit.app import FireX

app = FireX("top_coat")


@app.task(bind=True, returns="colour")
def paint(self, red):
    (below,) = self.enqueue_child_and_get_results(self.orig.s(red + 1), return_keys="colour")
    return [f"{self.name} {red}", *below, self.root_orig.name]


@app.task(bind=True, returns="dried")
def dry(self, colour):
    return self.name
