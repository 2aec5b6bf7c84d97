"""For subscriptions with state: filters, keys of every kind, doors, and writers of many rows."""

from django.db import transaction
from django_filters import rest_framework as django_filters
from rest_framework import serializers
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.viewsets import ModelViewSet

from channels_api.bindings import ResourceBinding, ResourceBindingBase
from channels_api.decorators import list_action
from channels_api.live import changed
from tests.app.models import Leaf, Question, Survey
from tests.app.serializers import QuestionSerializer
from tests.load_doors import Door

PADDING = "x" * 20_000


class Filters:
    """What list takes, of a binding as of a viewset."""

    queryset = Question.objects.all()
    serializer_class = QuestionSerializer
    filter_backends = [django_filters.DjangoFilterBackend, SearchFilter, OrderingFilter]
    filterset_fields = {"votes": ["exact", "gte", "in"], "published": ["exact"]}
    search_fields = ["question_text"]
    ordering_fields = ["votes", "id"]
    ordering = ["id"]


class FiltersBinding(Filters, ResourceBinding):
    pass


class FiltersViewSet(Filters, ModelViewSet):
    pass


class KeySet(django_filters.FilterSet):
    """A filter by the name that a frame has for its row."""

    pk = django_filters.NumberFilter()

    class Meta:
        model = Question
        fields = ["pk"]


class KeyBinding(FiltersBinding):
    filterset_fields = None
    filterset_class = KeySet


class KeyViewSet(FiltersViewSet):
    filterset_fields = None
    filterset_class = KeySet


class DoorSerializer(QuestionSerializer):
    """Waits where the text of a row is the directory of a door."""

    def to_representation(self, instance):
        if instance.question_text.startswith("/"):
            Door(instance.question_text).pass_through("row")
        return super().to_representation(instance)


class DoorBinding(ResourceBinding):
    queryset = Question.objects.all()
    serializer_class = DoorSerializer


class PaddedSerializer(QuestionSerializer):
    padding = serializers.SerializerMethodField()

    class Meta(QuestionSerializer.Meta):
        fields = (*QuestionSerializer.Meta.fields, "padding")

    def get_padding(self, instance):
        return PADDING


class PaddedBinding(ResourceBinding):
    queryset = Question.objects.all()
    serializer_class = PaddedSerializer


class TextLookupBinding(ResourceBinding):
    """Rows are asked for by another field than the one that events name."""

    lookup_field = "question_text"
    queryset = Question.objects.all()
    serializer_class = QuestionSerializer


class SurveySerializer(serializers.ModelSerializer):
    class Meta:
        model = Survey
        fields = ("id", "question_text", "audience")


class SurveyBinding(ResourceBinding):
    """A multi-table child."""

    queryset = Survey.objects.all()
    serializer_class = SurveySerializer


class LeafSerializer(serializers.ModelSerializer):
    class Meta:
        model = Leaf
        fields = ("id_of_leaf", "name", "code")


class LeafBinding(ResourceBinding):
    """A multi-table child whose key is not that of its parent."""

    queryset = Leaf.objects.all()
    serializer_class = LeafSerializer


class WriteBinding(ResourceBindingBase):
    """Writes many rows in the server's process."""

    @list_action()
    def create(self, data=None, **kwargs):
        """So many rows, each in a transaction of its own."""
        return _create(**data)

    @list_action()
    def create_together(self, data=None, **kwargs):
        with transaction.atomic():
            return _create(**data)

    @list_action()
    def create_and_fail(self, data=None, **kwargs):
        with transaction.atomic():
            _create(**data)
            raise serializers.ValidationError("Not today.")

    @list_action()
    def save_each(self, data=None, **kwargs):
        """Save each of the rows again and again, with a number of votes that grows."""
        for votes in range(data["times"]):
            for question in Question.objects.filter(pk__in=data["pks"]):
                question.votes = votes
                question.save()

    @list_action()
    def come_and_go(self, data=None, **kwargs):
        """Create, update and delete rows, 300 times and on until the door is open."""
        door, rows, number = Door(data), [], 0
        door.pass_through("begin")
        while number < 300 or not door.is_open("end"):
            number += 1
            if number % 4 == 0 or len(rows) > 50:
                # Neither always the oldest nor always the newest.
                rows.pop(number * 7 % len(rows)).delete()
            elif number % 4 == 3:
                rows[number * 5 % len(rows)].votes = number
                rows[number * 5 % len(rows)].save()
            else:
                rows.append(Question.objects.create(question_text=str(number), votes=number % 2))

    @list_action()
    def rename_node_of(self, data=None, **kwargs):
        """Change what a leaf has of its parent, by the parent."""
        node = Leaf.objects.get(pk=data["pk"]).node
        node.name = data["name"]
        node.save()

    @list_action()
    def create_leaf(self, data=None, **kwargs):
        return Leaf.objects.create(name=data, code=data).pk

    @list_action()
    def update_silently(self, data=None, **kwargs):
        """Update without signals, and announce these rows; without `pks` all rows."""
        Question.objects.filter(pk__in=data["update"]).update(votes=data["votes"])
        changed(Question, data.get("pks"))


def _create(count=1, **fields):
    fields.setdefault("question_text", "many")
    return [Question.objects.create(**fields).pk for _ in range(count)]


CONSUMERS = {
    "state-filters": FiltersBinding,
    "state-filters-viewset": FiltersViewSet,
    "state-keys": KeyBinding,
    "state-keys-viewset": KeyViewSet,
    "state-doors": DoorBinding,
    "state-padded": PaddedBinding,
    "state-texts": TextLookupBinding,
    "state-surveys": SurveyBinding,
    "state-leaves": LeafBinding,
    "state-write": WriteBinding,
}
