from django.db import models
from django.db.models import Count, F, Sum
from django.utils import timezone


class QuestionQuerySet(models.QuerySet):
    def totals(self) -> dict[str, int]:
        """How many questions, choices and votes there are."""
        choices = Choice.objects.filter(question__in=self)
        counts = choices.aggregate(choices=Count("pk"), votes=Sum("votes", default=0))
        return {"questions": self.count(), **counts}


class Question(models.Model):
    question_text = models.CharField(max_length=200)
    pub_date = models.DateTimeField("date published", default=timezone.now)

    objects = QuestionQuerySet.as_manager()

    class Meta:
        ordering = ["-pub_date", "-pk"]

    def __str__(self) -> str:
        return self.question_text

    def reset(self) -> None:
        """Take all votes back."""
        for choice in self.choices.exclude(votes=0):
            choice.votes = 0
            # One by one: `QuerySet.update` sends no signals, and then nobody would hear of it.
            choice.save(update_fields=["votes"])


class Choice(models.Model):
    question = models.ForeignKey(Question, on_delete=models.CASCADE, related_name="choices")
    choice_text = models.CharField(max_length=200)
    votes = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.choice_text

    def vote(self) -> None:
        """Add one vote; of many at the same time, none is lost."""
        # The database counts, not this process. And `save` sends the signal that tells the
        # subscribers, which `QuerySet.update` would not.
        self.votes = F("votes") + 1
        self.save(update_fields=["votes"])
        self.refresh_from_db(fields=["votes"])
