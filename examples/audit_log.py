"""An audit log: one line of JSON for each event, which a search, a counter or a log collector reads.

app = SessionMiddleware(app, secret=secret, store=store, on_event=audit_log("audit.jsonl"))
"""

import json
import logging
from datetime import datetime, timezone
from logging.handlers import WatchedFileHandler


def audit_log(path):
    """What to pass as `on_event`. The file is opened again when logrotate has moved it away."""
    log = logging.getLogger("audit")
    log.setLevel(logging.INFO)
    log.propagate = False  # the logger "sessionware" has the same events already, in words
    log.addHandler(WatchedFileHandler(path, encoding="ascii", delay=True))
    return lambda event: log.info(line(event))


def line(event):
    """One event in one line, whatever it contains: JSON escapes line breaks, and everything that is not ASCII."""
    fields = {
        "time": datetime.fromtimestamp(event.at, timezone.utc).isoformat(),
        "event": event.name,
        "user_id": event.user_id,
        "account": event.account,
        "client": event.client_address,
        "session": event.session_id,
        "keys": list(event.keys),
        "detail": event.detail,
    }
    return json.dumps({name: value for name, value in fields.items() if value})
