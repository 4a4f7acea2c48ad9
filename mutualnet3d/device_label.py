"""Which texts can name a device, and what runs on it, in tables and charts."""


def is_device_label(value: object) -> bool:
    """Whether it is one line of text, without spaces around it."""
    return isinstance(value, str) and bool(value) and value == value.strip() and value.isprintable()
