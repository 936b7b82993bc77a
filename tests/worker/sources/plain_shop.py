"""A task file of somebody who has a Celery app of his own, which points elsewhere."""

from celery import Celery

from firexkit.result import get_results
from firexkit.task import FireXTask

shop = Celery("shop", broker="redis://nowhere.invalid", backend="redis://nowhere.invalid", task_cls=FireXTask)
plain = Celery("plain", broker="redis://nowhere.invalid", backend="redis://nowhere.invalid")


@shop.task(returns="price")
def price(amount):
    return 3 * amount


@shop.task(bind=True, returns=("price", "app"))
def sell(self, amount):
    (total,) = self.enqueue_child_and_get_results(price.s(amount), return_keys="price")
    return total, self.app.main


@shop.task(bind=True, returns="prices")
def sell_many(self, amounts):
    children = self.enqueue_in_parallel(price.s(amount) for amount in amounts)
    return [get_results(child)["price"] for child in children]


@plain.task
def add(x, y):
    return x + y


@plain.task(returns="total")
def add_by_name(x, y):
    return x + y
