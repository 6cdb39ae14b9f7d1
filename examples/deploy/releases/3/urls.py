"""Release 3, which cannot be loaded either."""

import no_such_module

urlpatterns = no_such_module.urlpatterns
