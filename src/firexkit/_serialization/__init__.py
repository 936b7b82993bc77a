"""What JSON can carry for us: values that come back as they were, and views of values that are only shown.

:func:`encode` and :func:`decode` are for arguments and results; :func:`encode_exception` and :func:`decode_exception`
for failures; :func:`convert_to_serializable` for events. Nothing here knows Celery, reads a clock or opens a file.
"""

from firexkit._serialization.classes import allow, allow_annotated, allow_signature
from firexkit._serialization.decoding import decode, decode_exception
from firexkit._serialization.encoding import MAX_DEPTH, encode, encode_exception
from firexkit._serialization.errors import Json, LostValueError, WireError
from firexkit._serialization.exceptions import RemoteError
from firexkit._serialization.readable import convert_to_serializable, describe_with, is_jsonable

__all__ = [
    "MAX_DEPTH",
    "Json",
    "LostValueError",
    "RemoteError",
    "WireError",
    "allow",
    "allow_annotated",
    "allow_signature",
    "convert_to_serializable",
    "decode",
    "decode_exception",
    "describe_with",
    "encode",
    "encode_exception",
    "is_jsonable",
]
