"""Rows of 100 kB, so that a few events are much, and a door of its own for them to change by."""

from rest_framework import serializers

from channels_api.bindings import ResourceBinding
from channels_api.permissions import AllowAny
from tests.app.models import Question

PADDING = "x" * 100_000


class PaddedSerializer(serializers.ModelSerializer):
    padding = serializers.SerializerMethodField()

    class Meta:
        model = Question
        fields = ("id", "votes", "padding")

    def get_padding(self, instance):
        return PADDING


class PaddedBinding(ResourceBinding):
    permission_classes = [AllowAny]
    serializer_class = PaddedSerializer
    queryset = Question.objects.all()


CONSUMERS = {"flow": PaddedBinding}
