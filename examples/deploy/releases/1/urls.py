"""Release 1 of the Django site."""

from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("", lambda request: HttpResponse("release 1\n"))]
