"""The serializers that all servers use."""

from rest_framework import serializers

from tests.benchmarks.project.models import Note, Question


class QuestionSerializer(serializers.ModelSerializer):
    class Meta:
        model = Question
        fields = ["id", "question_text", "pub_date", "votes"]


class NoteSerializer(serializers.ModelSerializer):
    class Meta:
        model = Note
        fields = ["id", "text", "votes"]
