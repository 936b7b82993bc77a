"""Workflows of named tasks on Celery."""
