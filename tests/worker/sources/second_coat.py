"""A plugin that sends what it replaces, which is a plugin's."""

from firexkit.app import FireX

app = FireX("second_coat")


@app.task(bind=True, returns="colour")
def paint(self, red):
    (below,) = self.enqueue_child_and_get_results(self.orig.s(red + 1), return_keys="colour")
    return [f"{self.name} {red}", *below]
