"""The only room that touches Celery's insides."""
