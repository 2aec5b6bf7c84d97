"""Models that differ in what the library has to care about: the kind of key, an owner, a flag."""

import uuid

from django.conf import settings
from django.db import models

from channels_api.live import LiveQuerySet


class Question(models.Model):
    """An integer key; `published` for querysets that hide rows, `owner` for object permissions."""

    question_text = models.CharField(max_length=200)
    votes = models.IntegerField(default=0)
    published = models.BooleanField(default=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True
    )

    def __str__(self) -> str:
        return self.question_text


class Document(models.Model):
    """A UUID as key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    title = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.title


class Tag(models.Model):
    """Text as key: a key that the client chooses, and that may hold any character."""

    name = models.CharField(primary_key=True, max_length=50)

    def __str__(self) -> str:
        return self.name


class PublishedQuestion(Question):
    """A proxy: rows of another model under a class of its own."""

    class Meta:
        proxy = True


class Survey(Question):
    """A multi-table child: each row is a question as well, with its key in both tables."""

    audience = models.CharField(max_length=50)


class Node(models.Model):
    """Related to others of its kind in every way, with a queryset that announces its updates."""

    name = models.CharField(max_length=50)
    code = models.CharField(max_length=50, unique=True)
    above = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="below")
    friends = models.ManyToManyField("self")
    idols = models.ManyToManyField("self", symmetrical=False, through="Follow", related_name="fans")

    objects = LiveQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class Follow(models.Model):
    """A table of the project's own between two rows, one of which is not named by its key."""

    fan = models.ForeignKey(Node, on_delete=models.CASCADE, to_field="code", related_name="+")
    idol = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return f"{self.fan_id} follows {self.idol_id}"


class Leaf(Node):
    """A multi-table child whose key is not that of its parent."""

    id_of_leaf = models.AutoField(primary_key=True)
    node = models.OneToOneField(Node, on_delete=models.CASCADE, parent_link=True)


class Note(models.Model):
    """Who may see it depends on its owner, its readers, its team; `secret` on who is asking."""

    text = models.CharField(max_length=50)
    secret = models.CharField(max_length=50, blank=True)
    published = models.BooleanField(default=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True
    )
    readers = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="notes_to_read")
    team = models.ForeignKey("auth.Group", on_delete=models.SET_NULL, null=True, blank=True)

    def __str__(self) -> str:
        return self.text
