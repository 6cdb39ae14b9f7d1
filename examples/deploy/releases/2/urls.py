"""Release 2 of the Django site."""

from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("", lambda request: HttpResponse("release 2\n"))]
