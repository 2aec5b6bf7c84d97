"""DRF viewsets mounted as they are, each with something of its own that has to hold."""

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import mixins, pagination, permissions, renderers, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import APIException
from rest_framework.response import Response

from tests.app.models import Document, Question, Tag
from tests.app.serializers import DocumentSerializer, QuestionSerializer, TagSerializer
from tests.app.streams.policies import IsOwner, Pages, PagesWithoutSize, TextSerializer, UserTwo


class Questions(viewsets.ModelViewSet):
    """No more than a queryset and a serializer; no pagination."""

    queryset = Question.objects.order_by("pk")
    serializer_class = QuestionSerializer
    permission_classes = [permissions.AllowAny]


class OwnQuestions(Questions):
    """What projects override: the rows by user, the owner of a new row, hooks of writing."""

    queryset = None
    permission_classes = [permissions.IsAuthenticated]

    def get_queryset(self):
        return Question.objects.filter(owner=self.request.user).order_by("pk")

    def perform_create(self, serializer):
        serializer.save(owner=self.request.user, published=False)

    def perform_update(self, serializer):
        # Called for patch as well, as over HTTP: that is `update(partial=True)`.
        serializer.save(votes=serializer.instance.votes + 1)

    def perform_destroy(self, instance):
        instance.published = False
        instance.save()

    def get_serializer_context(self):
        return {**super().get_serializer_context(), "extra": self.action}


class ByAction(Questions):
    """Serializer and permissions by the action."""

    def get_serializer_class(self):
        return TextSerializer if self.action in ("list", "partial_update") else QuestionSerializer

    def get_permissions(self):
        if self.action in ("create", "destroy"):
            return [permissions.IsAdminUser()]
        return [permissions.AllowAny()]


class Actions(Questions):
    """`@action` methods: of a row, of all rows, by several HTTP methods."""

    @action(detail=True, methods=["post"])
    def publish(self, request, pk=None):
        question = self.get_object()
        question.published = True
        question.save()
        return Response(self.get_serializer(question).data, status=status.HTTP_202_ACCEPTED)

    @action(detail=False, url_path="by-votes", permission_classes=[permissions.IsAuthenticated])
    def by_votes(self, request):
        questions = self.get_queryset().order_by(request.query_params.get("order", "votes"))
        return Response(self.get_serializer(questions, many=True).data)

    @action(detail=True, methods=["put"], serializer_class=TextSerializer)
    def text(self, request, pk):
        serializer = self.get_serializer(self.get_object(), data=request.data)
        serializer.is_valid(raise_exception=True)
        serializer.save()
        return Response(serializer.data)

    @text.mapping.delete
    def clear_text(self, request, pk):
        Question.objects.filter(pk=self.get_object().pk).update(question_text="")
        return Response(status=status.HTTP_204_NO_CONTENT)

    @action(detail=False, methods=["get", "post"])
    def seen(self, request, **kwargs):
        return Response(
            {
                "method": request.method,
                "action": self.action,
                "detail": self.detail,
                "kwargs": kwargs,
                "data": request.data,
                "query": request.query_params,
                "of_view": self.request is request,
            }
        )

    @action(detail=True, methods=["get"], pagination_class=Pages)
    def similar(self, request, pk):
        others = self.get_queryset().exclude(pk=self.get_object().pk)
        page = self.paginate_queryset(others)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @action(detail=False, throttle_classes=[UserTwo])
    def slowly(self, request):
        return Response("in time")

    @action(detail=False, methods=["post"])
    def fails(self, request):
        return Response({"detail": "Not today."}, status=status.HTTP_409_CONFLICT)

    def not_an_action(self, request):
        raise AssertionError("a frame called a method that is no action")


class Teapot(APIException):
    status_code = status.HTTP_418_IM_A_TEAPOT
    default_detail = "Short and stout."


class Raising(Questions):
    """Each exception that a view may raise."""

    @action(detail=False, methods=["post"])
    def throw(self, request):
        raise {
            "http404": Http404("secret"),
            "denied": PermissionDenied("Members only."),
            "denied without words": PermissionDenied(),
            "teapot": Teapot(),
            "teapot with a body": Teapot({"lid": ["missing"]}),
            "bug": ZeroDivisionError("secret"),
        }[request.data["what"]]


class Initial(Questions):
    """A project's `initial()`, which every request goes through."""

    def initial(self, request, *args, **kwargs):
        super().initial(request, *args, **kwargs)
        if "HTTP_X_CLOSED" in request.META:
            raise Teapot("Closed.")
        self.greeting = f"{self.action} {sorted(kwargs)}"

    @action(detail=False)
    def greet(self, request):
        return Response(self.greeting)


class GetAndPost(Questions):
    """As a router leaves it: what is not in `http_method_names` does not exist."""

    http_method_names = ["get", "post"]

    @action(detail=False, methods=["delete"])
    def clear(self, request):
        raise AssertionError("DELETE is not allowed")


class WriteOnly(mixins.CreateModelMixin, viewsets.GenericViewSet):
    queryset = Question.objects.all()
    serializer_class = QuestionSerializer


class ReadOnly(viewsets.ReadOnlyModelViewSet):
    queryset = Question.objects.order_by("pk")
    serializer_class = QuestionSerializer


class ByText(Questions):
    """Found by another field, under another name in the URL."""

    lookup_field = "question_text"
    lookup_url_kwarg = "slug"

    @action(detail=True)
    def shout(self, request, slug):
        return Response(self.get_object().question_text.upper())


class Documents(viewsets.ModelViewSet):
    queryset = Document.objects.order_by("title")
    serializer_class = DocumentSerializer


class Tags(viewsets.ModelViewSet):
    queryset = Tag.objects.order_by("pk")
    serializer_class = TagSerializer


class Paged(Questions):
    pagination_class = Pages


class WithoutSize(Questions):
    """Paginators that are told no size: all rows over HTTP."""

    pagination_class = PagesWithoutSize


class OffsetsWithoutLimit(Questions):
    class Unlimited(pagination.LimitOffsetPagination):
        default_limit = None

    pagination_class = Unlimited


class Owned(Questions):
    permission_classes = [IsOwner]


class HtmlOnly(Questions):
    """What it renders for HTTP is no matter to a socket, which speaks JSON."""

    renderer_classes = [renderers.StaticHTMLRenderer]


class Plain(viewsets.ViewSet):
    """Without a queryset and without a serializer."""

    permission_classes = [permissions.AllowAny]

    def list(self, request):
        return Response(["a", "b"])

    def retrieve(self, request, pk=None):
        return Response({"pk": pk})

    @action(detail=False, methods=["post"])
    def echo(self, request):
        return Response(request.data)


CONSUMERS = {
    "vs-questions": Questions,
    "vs-own": OwnQuestions,
    "vs-by-action": ByAction,
    "vs-actions": Actions,
    "vs-raising": Raising,
    "vs-initial": Initial,
    "vs-get-and-post": GetAndPost,
    "vs-write-only": WriteOnly,
    "vs-read-only": ReadOnly,
    "vs-by-text": ByText,
    "vs-documents": Documents,
    "vs-tags": Tags,
    "vs-paged": Paged,
    "vs-without-size": WithoutSize,
    "vs-offsets-without-limit": OffsetsWithoutLimit,
    "vs-owned": Owned,
    "vs-html-only": HtmlOnly,
    "vs-plain": Plain,
}
