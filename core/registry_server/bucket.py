"""An S3 bucket for the registry's blobs, where they outgrow one disk.

Each blob that was pushed is one object, named after its upload: whoever takes an object away
takes it from nobody who pushes the same content once more.  Parts leave as soon as the upload's
file holds them.  boto3 finds the credentials: AWS_ACCESS_KEY_ID and its like, ~/.aws, or the
role of the machine.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import contextlib
import os
from urllib.parse import urlsplit

from core.errors import ConfigError, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from core.config import Config

PART = 16 << 20
"""Bytes a part: S3 takes 10,000 of them, which makes blobs of 160 GB."""
ATTEMPTS = 4
CONNECTIONS = 64
URL_S = 1200
BATCH = 1000
"""Objects that one request deletes."""


def open_bucket(config: Config) -> Bucket | None:
    """Return the bucket of registry_server.s3, None without one; ConfigError if it is wrong."""
    address = config["registry_server", "s3"]
    if not address:
        return None
    return Bucket(address, config["registry_server", "s3_endpoint"])


class Bucket:
    """`s3://NAME[/PREFIX]`; safe between threads.  Methods raise Unreachable when S3 fails."""

    def __init__(self, address: str, endpoint: str) -> None:
        parts = urlsplit(address)
        if parts.scheme != "s3" or not parts.netloc:
            raise ConfigError(
                f"registry_server.s3 = {address!r} is not a bucket",
                hint='s3 = "s3://BUCKET" or "s3://BUCKET/PREFIX"',
                subject=address,
            )
        try:
            import boto3
            from botocore.config import Config as Settings
        except ImportError as error:
            raise ConfigError(
                f"registry_server.s3 needs {error.name}",
                hint="pip install 'limpet[s3]', or boto3",
                subject=address,
            ) from error
        self.address = address
        self._name = parts.netloc
        prefix = parts.path.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""
        with _told(self.address):
            self._client: Any = boto3.client(
                "s3",
                endpoint_url=endpoint or None,
                config=Settings(
                    retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
                    max_pool_connections=CONNECTIONS,
                    # Not every S3 knows the sums that boto adds by itself; ours are the digests.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )

    def check(self) -> None:
        """Return if the bucket is there and lets us in."""
        with _told(self.address):
            self._client.head_bucket(Bucket=self._name)

    def key(self, upload: str) -> str:
        """Return the name of an upload's object."""
        return f"{self._prefix}blobs/{upload}"

    def upload(self, key: str, *, afresh: bool = True) -> BucketUpload:
        """Return a new upload; with `afresh` false, an earlier process may have begun it."""
        if not afresh:
            self._abort({key})
        return BucketUpload(self._client, self._name, key, self.address)

    def read(self, key: str, start: int, length: int) -> ObjectPart:
        """Return a part of an object, of one byte at least."""
        with _told(self.address):
            span = f"bytes={start}-{start + length - 1}"
            answer = self._client.get_object(Bucket=self._name, Key=key, Range=span)
        return ObjectPart(answer["Body"], self.address)

    def url(self, key: str) -> str:
        """Return an address that anybody may read an object from for a while."""
        wanted = {"Bucket": self._name, "Key": key}
        url: str = self._client.generate_presigned_url("get_object", wanted, ExpiresIn=URL_S)
        return url

    def remove(self, keys: Sequence[str]) -> None:
        """Delete objects, and what has come of those that were never finished."""
        with _told(self.address):
            for start in range(0, len(keys), BATCH):
                objects = [{"Key": key} for key in keys[start : start + BATCH]]
                answer = self._client.delete_objects(
                    Bucket=self._name, Delete={"Objects": objects, "Quiet": True}
                )
                for error in answer.get("Errors") or ():
                    raise Unreachable(
                        f"{self.address}: {error.get('Key')} stays: {error.get('Message')}",
                        subject=self.address,
                    )
        self._abort(set(keys))

    def _abort(self, keys: set[str]) -> None:
        """Throw away the parts of uploads that were never finished."""
        prefix = next(iter(keys)) if len(keys) == 1 else self.key("")
        with _told(self.address):
            pages = self._client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self._name, Prefix=prefix):
                for item in page.get("Uploads") or ():
                    if item["Key"] in keys:
                        self._client.abort_multipart_upload(
                            Bucket=self._name, Key=item["Key"], UploadId=item["UploadId"]
                        )


@contextlib.contextmanager
def _told(address: str) -> Iterator[None]:
    """Turn boto's errors, and those of a connection that breaks, into ours."""
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except (BotoCoreError, ClientError, HTTPError) as error:
        raise Unreachable(
            f"{address}: {' '.join(str(error).split())}",
            hint="registry_server.s3 of config.toml, and AWS_ACCESS_KEY_ID and its like",
            subject=address,
        ) from error


class ObjectPart:
    """A part of an object on its way."""

    def __init__(self, body: Any, address: str) -> None:
        self._body = body
        self._address = address

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, b"" at the end; Unreachable when they end too early."""
        with _told(self._address):
            chunk: bytes = self._body.read(size)
            return chunk

    def close(self) -> None:
        """Let go of the connection."""
        self._body.close()


class BucketUpload:
    """An object that grows after a file; used by one thread at a time."""

    def __init__(self, client: Any, name: str, key: str, address: str) -> None:
        self._client = client
        self._address = address
        self._names = {"Bucket": name, "Key": key}
        self._begun = ""
        self._parts: list[dict[str, Any]] = []
        self.key = key

    @property
    def begun(self) -> bool:
        """Whether anything of it is in the bucket."""
        return bool(self._begun)

    def feed(self, fd: int, size: int) -> None:
        """Send each whole part of a file that has so many bytes by now."""
        while size - len(self._parts) * PART >= PART:
            self._send(fd, PART)

    def finish(self, fd: int, size: int) -> None:
        """Send what is left: the object is there when this returns."""
        self.feed(fd, size)
        rest = size - len(self._parts) * PART
        with _told(self._address):
            if not self._begun:
                self._client.put_object(**self._names, Body=os.pread(fd, rest, 0))
                return
            if rest:
                self._send(fd, rest)
            self._client.complete_multipart_upload(
                **self._names, UploadId=self._begun, MultipartUpload={"Parts": self._parts}
            )

    def _send(self, fd: int, length: int) -> None:
        with _told(self._address):
            if not self._begun:
                self._begun = self._client.create_multipart_upload(**self._names)["UploadId"]
            number = len(self._parts) + 1
            answer = self._client.upload_part(
                **self._names, UploadId=self._begun, PartNumber=number,
                Body=os.pread(fd, length, (number - 1) * PART),
            )  # fmt: skip
            self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})
