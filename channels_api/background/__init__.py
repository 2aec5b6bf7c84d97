"""Tasks in the background: who may see them, what they are at, and who is told. No Celery here."""
