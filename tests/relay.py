"""Sentry's own normaliser judges events: JSON lines on standard input, complaints on standard output."""

import json
import sys

from sentry_relay.processing import StoreNormalizer


def complaints(event):
    """What the normaliser would change or refuse of an event."""
    normal = StoreNormalizer(project_id=1, enable_trimming=True).normalize_event(json.loads(json.dumps(event)))
    for error in normal.get("errors") or []:
        yield f"error: {error}"
    if normal.get("_meta"):
        yield f"changed: {json.dumps(normal['_meta'])}"
    before = {key: str(value) for key, value in event["tags"].items()}
    after = {key: value for key, value in normal["tags"] if key in before}
    if before != after:
        yield f"tags: {before} became {after}"
    # Sentry treats an event without a level as an error, so the client leaves out the level `error` on the wire.
    for part, default in (("fingerprint", None), ("level", "error"), ("transaction", None)):
        if event.get(part, default) != normal.get(part):
            yield f"{part}: {event.get(part)} became {normal.get(part)}"
    block, normal_block = event["contexts"]["process"], normal["contexts"]["process"]
    for key in (block.keys() | normal_block.keys()) - {"type"}:
        if block.get(key) != normal_block.get(key):
            yield f"context {key}: {block.get(key)} became {normal_block.get(key)}"
    for part in ("exception", "threads"):
        yield from lost(part, event.get(part), normal.get(part))
    for ids in ("trace_id", "span_id"):
        if event["contexts"]["trace"][ids] != normal["contexts"]["trace"][ids]:
            yield f"{ids} changed"


def lost(place, before, after):
    """What of a part of an event is not there any more, or is something else. The normaliser may add to it."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            yield from lost(f"{place}.{key}", value, after.get(key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (value, other) in enumerate(zip(before, after)):
            yield from lost(f"{place}[{index}]", value, other)
    elif before != after:
        yield f"{place}: {before} became {after}"


lines = [line for line in sys.stdin if line.strip()]
for line in lines:
    for complaint in complaints(json.loads(line)):
        print(complaint)
print(f"judged {len(lines)}")
