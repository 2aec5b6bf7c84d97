"""Questions that everybody sees, and notes that each user sees others of."""

from django.conf import settings
from django.db import models


class Question(models.Model):
    question_text = models.CharField(max_length=200)
    pub_date = models.DateTimeField(auto_now_add=True)
    votes = models.IntegerField(default=0)

    def __str__(self):
        return self.question_text


class Note(models.Model):
    text = models.CharField(max_length=200)
    votes = models.IntegerField(default=0)
    readers = models.ManyToManyField(settings.AUTH_USER_MODEL)

    def __str__(self):
        return self.text
