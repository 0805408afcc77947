"""Files from people (上传): streamed to the blob store, counted, hashed; one that is refused leaves no trace."""

import asyncio
from dataclasses import dataclass, field

from aiohttp import BodyPartReader
from aiohttp.web import Request

from sync.blobs import BlobFault, BlobStore

_PIECE = 262_144
_FIELD_MOST = 4_000


@dataclass(slots=True)
class Upload:
    """One multipart form: its plain fields, and the file under its digest where it could be kept."""

    data: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    sha256: bytes = b""
    size: int = 0
    fresh: bool = False  # whether this upload brought the blob here

    def forget(self, blobs: BlobStore) -> None:
        """Drop the file that this upload brought; one that was here before stays."""
        if self.fresh and self.sha256:
            blobs.path(self.sha256).unlink(missing_ok=True)


async def receive_file(request: Request, blobs: BlobStore, most: int) -> Upload:
    """Return the form of a request whose one file field is named `file`."""
    upload = Upload()
    if not request.content_type.startswith("multipart/"):
        upload.errors["file"] = "请选择文件"
        return upload
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or not part.name:
                continue
            if part.name == "file":
                await _take(part, blobs, most, upload)
            else:
                piece = await part.read_chunk(_FIELD_MOST)
                upload.data[part.name] = piece.decode("utf-8", "replace")
    except (ValueError, AssertionError) as error:
        upload.errors["file"] = f"上传的内容不完整，请重新选择文件（{type(error).__name__}）"
    if not upload.sha256 and "file" not in upload.errors:
        upload.errors["file"] = "请选择文件；空文件不能接收"
    return upload


async def _take(part: BodyPartReader, blobs: BlobStore, most: int, upload: Upload) -> None:
    try:
        with blobs.incoming(most) as incoming:
            while chunk := await part.read_chunk(_PIECE):
                await asyncio.to_thread(incoming.write, chunk)
            upload.size = incoming.size
            if incoming.size:
                before = blobs.has(incoming.digest)
                upload.sha256 = await asyncio.to_thread(incoming.keep)
                upload.fresh = not before
    except BlobFault as fault:
        if fault.why == "too-large":
            upload.errors["file"] = f"文件超过 {most // (1024 * 1024)} MB，不能接收"
        else:
            upload.errors["file"] = "本机磁盘暂时不能保存文件，没有接收；请呼叫技术人员"
