"""Serializers of every kind: those whose fields may be copied, and those whose may not."""

from contextvars import ContextVar

from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.validators import MinLengthValidator, RegexValidator
from django.db import models
from django.test.utils import isolate_apps
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy
from rest_framework import serializers
from rest_framework.validators import UniqueTogetherValidator, UniqueValidator

from tests.app.models import Document, Node, Question

tenant = ContextVar("tenant", default="a")

COLOURS = [("r", "red"), ("more", [("g", "green"), ("b", gettext_lazy("Yes"))])]


def colours():
    return [("r", "red")]


def plain(value):
    return value


class Own(serializers.CharField):
    """A field of a project's own, with a state that it makes itself."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.heard = []


class OwnModelField(models.CharField):
    """Which may be of another length each time."""


with isolate_apps("tests.app"):

    class Row(models.Model):
        class Meta:
            abstract = True
            app_label = "app"

        def __str__(self):
            return str(self.pk)

    class Other(Row):
        name = models.CharField(max_length=9, unique=True)

        class Meta:
            app_label = "app"

    class Every(Row):
        big = models.BigIntegerField(default=3)
        binary = models.BinaryField(default=b"")
        boolean = models.BooleanField(default=True)
        char = models.CharField(gettext_lazy("Name"), max_length=50, blank=True)
        date = models.DateField(auto_now=True)
        moment = models.DateTimeField(null=True, help_text=gettext_lazy("Date"))
        decimal = models.DecimalField(max_digits=9, decimal_places=2, default=1)
        duration = models.DurationField(null=True)
        email = models.EmailField()
        file = models.FileField(max_length=20, null=True)
        number = models.FloatField(validators=[plain], null=True)
        small = models.PositiveSmallIntegerField(choices=[(1, "one"), (2, "two")], default=1)
        address = models.GenericIPAddressField(protocol="IPv4", null=True)
        json = models.JSONField(default=dict)
        slug = models.SlugField(unique=True)
        text = models.TextField(validators=[MinLengthValidator(2)])
        time = models.TimeField(null=True)
        url = models.URLField()
        key = models.UUIDField(null=True)
        colour = models.CharField(max_length=1, choices=COLOURS)
        other = models.ForeignKey(Other, models.CASCADE, null=True, related_name="+")
        by_name = models.ForeignKey(Other, models.CASCADE, to_field="name", related_name="+")
        others = models.ManyToManyField(Other, related_name="every")

        class Meta:
            app_label = "app"

    class Together(Row):
        one = models.IntegerField(default=1)
        two = models.IntegerField()
        day = models.DateField()
        title = models.CharField(max_length=9, unique_for_date="day")

        class Meta:
            app_label = "app"
            unique_together = [("one", "two")]
            constraints = [
                models.UniqueConstraint(fields=["title"], name="alone"),
                models.UniqueConstraint(
                    fields=["two", "title"], condition=models.Q(two=1), name="conditional"
                ),
            ]

    class Tenants(models.Manager):
        def get_queryset(self):
            return super().get_queryset().filter(name=tenant.get())

    class Owned(Row):
        name = models.CharField(max_length=9)
        plain = models.ForeignKey("self", models.CASCADE, related_name="+")
        limited = models.ForeignKey(
            "self", models.CASCADE, limit_choices_to={"name": "a"}, related_name="+"
        )
        limited_by_q = models.ForeignKey(
            "self", models.CASCADE, limit_choices_to=models.Q(name="a"), related_name="+"
        )
        several = models.ManyToManyField("self", limit_choices_to={"name": "a"})
        conditional = models.CharField(max_length=9)
        unique = models.CharField(max_length=9, unique=True)

        objects = Tenants()

        class Meta:
            app_label = "app"
            constraints = [
                models.UniqueConstraint(
                    fields=["conditional"], condition=models.Q(conditional="a"), name="one"
                )
            ]

    class Shifting(Row):
        chosen = models.CharField(max_length=1, choices=colours)
        limited = models.ForeignKey(
            Other, models.CASCADE, limit_choices_to=lambda: {"name": "a"}, related_name="+"
        )
        own = OwnModelField(max_length=5)
        path = models.FilePathField(path="/")

        class Meta:
            app_label = "app"


def of(model, *names, **options):
    """A ModelSerializer class."""
    meta = {"model": model, "fields": list(names) or "__all__", **options}
    declared = meta.pop("declared", {})
    bases = meta.pop("bases", (serializers.ModelSerializer,))
    return type(f"{model.__name__}Serializer", bases, {"Meta": type("Meta", (), meta), **declared})


class Declared(serializers.Serializer):
    boolean = serializers.BooleanField(allow_null=True)
    char = serializers.CharField(max_length=5, min_length=1, style={"rows": [1]})
    email = serializers.EmailField(error_messages={"invalid": gettext_lazy("No")})
    pattern = serializers.RegexField("^a+$")
    slug = serializers.SlugField(allow_unicode=True)
    url = serializers.URLField(required=False)
    key = serializers.UUIDField(format="hex")
    address = serializers.IPAddressField(protocol="ipv6")
    whole = serializers.IntegerField(min_value=1, max_value=9, source="a.b")
    # DRF 3.16 has none.
    big = getattr(serializers, "BigIntegerField", serializers.IntegerField)()
    number = serializers.FloatField(default=1.5, max_value=2)
    decimal = serializers.DecimalField(5, 2, max_value=9)
    moment = serializers.DateTimeField(format="%Y", input_formats=["%Y"])
    date = serializers.DateField(initial=lambda: "x")
    time = serializers.TimeField(label=gettext_lazy("Time"))
    duration = serializers.DurationField(help_text="long")
    choice = serializers.ChoiceField(["r", ("g", "green")], allow_blank=True)
    grouped = serializers.ChoiceField(choices=COLOURS, html_cutoff=3)
    multiple = serializers.MultipleChoiceField(choices=COLOURS, allow_empty=False)
    file = serializers.FileField(use_url=False)
    image = serializers.ImageField()
    listed = serializers.ListField(child=serializers.IntegerField(max_value=3), max_length=4)
    anything = serializers.ListField()
    mapping = serializers.DictField(child=serializers.CharField())
    store = serializers.HStoreField()
    json = serializers.JSONField(binary=True)
    shown = serializers.ReadOnlyField(source="x")
    hidden = serializers.HiddenField(default=serializers.CurrentUserDefault())
    made = serializers.HiddenField(default=serializers.CreateOnlyDefault(plain))
    method = serializers.SerializerMethodField()
    related = serializers.PrimaryKeyRelatedField(
        queryset=User.objects.all(), pk_field=serializers.IntegerField(), many=True
    )
    text = serializers.StringRelatedField(many=True)
    named = serializers.SlugRelatedField(slug_field="username", queryset=User.objects.all())
    link = serializers.HyperlinkedRelatedField(view_name="x", read_only=True)
    identity = serializers.HyperlinkedIdentityField(view_name="x")
    checked = serializers.CharField(
        validators=[RegexValidator("a"), UniqueValidator(User.objects.all()), plain]
    )

    def get_method(self, row):
        return str(row)


class Nesting(serializers.ModelSerializer):
    nested = Declared(source="owner", read_only=True)
    several = Declared(many=True, required=False)
    inside = serializers.ListField(child=Declared(), required=False)
    own = Own(max_length=3)
    by_manager = serializers.PrimaryKeyRelatedField(queryset=Question.objects)
    path = serializers.FilePathField("/", required=False)
    lazily = serializers.ChoiceField(lazy(colours, list)())

    class Meta:
        model = Question
        fields = ("nested", "several", "inside", "own", "by_manager", "path", "lazily", "id")


class Stateful(serializers.ModelSerializer):
    """Changes its fields as it is made."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields.pop("votes")
        self.fields["question_text"].validators.append(plain)

    class Meta:
        model = Question
        fields = ("id", "question_text", "votes")


EXTRA = {
    "question_text": {"min_length": 3, "style": {"a": [1]}, "error_messages": {"blank": "!"}},
    "votes": {"write_only": True, "min_value": 0},
}

DEEP = of(Every, depth=1)

COPIED = [
    of(Every), of(Every, bases=(serializers.HyperlinkedModelSerializer,), exclude=["by_name"],
       fields=None), DEEP, of(Together), of(Together, "one", "title"), Declared,
    of(Together, validators=[]), of(Question), of(Question, extra_kwargs=EXTRA),
    of(Question, read_only_fields=["votes"]), of(Document), of(Node, "id", "name", "code", "below"),
    of(User), of(Permission), of(ContentType), Nesting,
    of(Owned, "plain", "unique"),
    of(Question, "id", "question_text", "twice", declared={
        "twice": serializers.CharField(source="question_text", read_only=True)}),
    of(ContentType, validators=[UniqueTogetherValidator(
        ContentType.objects.all(), ("app_label", "model"))]),
]  # fmt: skip


def _overriding(name):
    def method(self, *args, **kwargs):
        return getattr(serializers.ModelSerializer, name)(self, *args, **kwargs)

    return of(Question, "id", "votes", declared={name: method})


BUILT = [
    *map(_overriding, ("get_fields", "build_field", "build_standard_field", "include_extra_kwargs",
                       "get_field_names", "get_default_field_names", "get_extra_kwargs",
                       "get_uniqueness_extra_kwargs", "_get_model_fields")),
    of(Shifting, "chosen"), of(Shifting, "limited"), of(Shifting, "own"), of(Shifting, "path"),
    of(Owned, "limited"), of(Owned, "limited_by_q"), of(Owned, "several"), of(Owned, "conditional"),
    of(Question, "votes", extra_kwargs={"votes": {"validators": lazy(colours, list)()}}),
    of(Question, "owner", declared={"serializer_related_field": type(
        "OwnRelated", (serializers.PrimaryKeyRelatedField,), {"__module__": __name__})}),
    of(Question, "votes", declared={"Meta": property(lambda self: of(Question).Meta)}),
]  # fmt: skip
