"""The Celery side of tasks. Nothing else of the package imports Celery, and this only when used."""
