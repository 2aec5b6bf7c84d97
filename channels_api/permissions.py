"""0.4.1's permission classes, which can be mixed and composed with DRF's own."""

from __future__ import annotations

from typing import Any

from rest_framework import permissions as drf


class BasePermission(metaclass=drf.BasePermissionMetaclass):
    """The base of 0.4.1-style permission classes.

    A subclass overrides `has_permission`. It is asked before the action is looked up; no is
    answered with 401. Composed by `&`, `|` or `~`, with its own kind or with DRF's, it is part of
    a DRF permission and answered as one.
    """

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        """Whether `user` may run `action` (its name on the wire) on `pk` (None without one)."""
        raise NotImplementedError(f"{type(self).__name__} must override has_permission().")


class AllowAny(BasePermission):
    """Everybody may do everything."""

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        return True


class IsAuthenticated(BasePermission):
    """Users who are logged in may do everything."""

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        return bool(user and user.pk and user.is_authenticated)


# Those of DRF's that let nobody in who is not logged in.
FOR_USERS = (
    *(drf.IsAuthenticated, drf.IsAdminUser),
    *(drf.DjangoModelPermissions, drf.DjangoObjectPermissions),
)


def is_classic(permission_class: Any) -> bool:
    """Whether an entry of `permission_classes` is of 0.4.1's family (a composition never is)."""
    return isinstance(permission_class, type) and issubclass(permission_class, BasePermission)


def drf_permission(permission_class: Any) -> Any:
    """An instance of a DRF permission class or composition, 0.4.1's classes inside it adapted."""
    return _adapted(permission_class())


def decides_per_object(permission: Any) -> bool:
    """Whether a permission instance may say yes to one row and no to another."""
    operands = _operands(permission)
    if isinstance(permission, drf.NOT):
        # The negation of the default, which is always yes, is always no.
        return True
    if operands:
        return any(decides_per_object(operand) for operand in operands.values())
    own = getattr(type(permission), "has_object_permission", None)
    return own is not drf.BasePermission.has_object_permission


def is_open(permission: Any) -> bool:
    """Whether a permission class or instance lets everybody do everything, whoever it is."""
    own = permission if isinstance(permission, type) else type(permission)
    return own in (AllowAny, drf.AllowAny)


def is_built_in(permission: Any) -> bool:
    """Whether a permission class or instance is one of DRF's or of this module.

    Those ask who the user is; `decides_per_object` tells which of them look at rows as well.
    """
    if isinstance(permission, _ClassicOperand):
        return is_built_in(permission.permission)
    operands = _operands(permission)
    if operands:
        return all(is_built_in(operand) for operand in operands.values())
    own = permission if isinstance(permission, type) else type(permission)
    return own.__module__ in (drf.__name__, __name__)


def needs_user(permission_class: Any) -> bool:
    """Whether an entry of `permission_classes` surely lets nobody in who is not logged in.

    Not of a class of the project's own, nor of one that lets everybody read.
    """
    return _needs_user(drf_permission(permission_class))


def _needs_user(permission: Any) -> bool:
    if isinstance(permission, _ClassicOperand):
        return isinstance(permission.permission, IsAuthenticated)
    if isinstance(permission, drf.AND):
        return any(map(_needs_user, _operands(permission).values()))
    if isinstance(permission, drf.OR):
        return all(map(_needs_user, _operands(permission).values()))
    return type(permission) in FOR_USERS


class _ClassicOperand(drf.BasePermission):
    """A 0.4.1-style permission inside a composition."""

    def __init__(self, permission: BasePermission) -> None:
        self.permission = permission

    def has_permission(self, request: Any, view: Any) -> bool:
        return bool(self.permission.has_permission(request.user, view.frame.action, view.pk))


def _operands(permission: Any) -> dict[str, Any]:
    if not isinstance(permission, (drf.AND, drf.OR, drf.NOT)):
        return {}
    return {name: value for name, value in vars(permission).items() if name.startswith("op")}


def _adapted(permission: Any) -> Any:
    if isinstance(permission, BasePermission):
        return _ClassicOperand(permission)
    for name, operand in _operands(permission).items():
        setattr(permission, name, _adapted(operand))
    return permission
