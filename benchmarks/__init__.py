"""The yardstick: plain Celery and firexkit doing the same work in the same run; `README.md` says what is compared."""
