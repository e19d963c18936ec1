"""The one helper that OpenRLHF takes from here."""

import uuid


def random_uuid() -> str:
    return uuid.uuid4().hex
