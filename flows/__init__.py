"""One file per flow; each reads aloud as extract, transform, load, report."""

import logging

# Prefect hands these loggers to the run's log (PREFECT_LOGGING_EXTRA_LOGGERS) but leaves them at WARNING.
for _package in ("flows", "tasks"):
    logging.getLogger(_package).setLevel(logging.INFO)
