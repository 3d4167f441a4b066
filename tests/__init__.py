"""The tests; they mirror `app/`, with what they stand on in `support/`."""

import gc

# Looking for garbage takes a tenth of the time to import all of it; see `pytest_collection_finish`.
gc.disable()
