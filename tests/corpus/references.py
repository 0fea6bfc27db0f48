"""Files that name other files and addresses, for a reader that would open them."""

from __future__ import annotations

import struct

from tests.corpus.damage import base

#: `{file}` is a song that must not be heard, `{url}` an address that must not be called.
TEXTS = {
    "m3u": "{file}\n{url}\n",
    "m3u8 of a file": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{file}\n#EXT-X-ENDLIST\n",
    "m3u8 of an address": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{url}\n#EXT-X-ENDLIST\n",
    "m3u8 of a master": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}\n",
    "m3u8 with a key": (
        '#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:3,\n'
        "file:{file}\n#EXT-X-ENDLIST\n"
    ),
    "m3u8 with a map": '#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXT-X-MAP:URI="{file}"\n#EXTINF:3,\nx\n',
    "pls": "[playlist]\nFile1={url}\nFile2=file://{file}\nNumberOfEntries=2\n",
    "ffconcat": "ffconcat version 1.0\nfile '{file}'\n",
    "ffconcat of an address": "ffconcat version 1.0\nfile '{url}'\n",
    "concat": "file '{file}'\nfile '{url}'\n",
    "concat protocol": "concat:{file}|{file}",
    "subfile protocol": "subfile,,start,0,end,0,,:{file}",
    "DASH": (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
        ' mediaPresentationDuration="PT3S"><Period><AdaptationSet mimeType="audio/mp4">'
        '<Representation id="1" bandwidth="1"><BaseURL>{url}</BaseURL><SegmentList><SegmentURL'
        ' media="{file}"/></SegmentList></Representation></AdaptationSet></Period></MPD>'
    ),
    "SDP": (
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n"
    ),
    "image pattern": "{folder}/%d.png",
    "ASX": '<asx version="3.0"><entry><ref href="{url}"/></entry></asx>',
    "ASF redirect": "[Reference]\nRef1={url}\nRef2={file}\n",
    "RAM": "{url}\nrtsp://127.0.0.1:{port}/x\n",
    "XSPF": "<playlist><trackList><track><location>{url}</location></track></trackList></playlist>",
    "SMIL": '<smil><body><audio src="{url}"/></body></smil>',
    "cue": 'FILE "{file}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
    "AVISynth": 'WavSource("{file}")\n',
    "VapourSynth": "import vapoursynth\nopen('{file}')\n",
    "filter graph": "amovie={file}",
    "IMF": '<CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"><Id>{url}</Id>',
    "Smooth Streaming": '<SmoothStreamingMedia><StreamIndex Url="{url}"/></SmoothStreamingMedia>',
}


def outside_data(name: bytes) -> bytes:
    """An m4a whose index says that its audio lies in another file."""
    content = base("m4a-index-first")
    at = content.index(b"dref") - 4
    size = int.from_bytes(content[at : at + 4], "big")
    entry = struct.pack(">I4sI", 12 + len(name) + 1, b"url ", 0) + name + b"\0"
    table = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    longer = len(table) - size
    damaged = bytearray(content[:at] + table + content[at + size :])
    # All boxes around it have grown.
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        place = content.index(box) - 4
        damaged[place : place + 4] = struct.pack(
            ">I", int.from_bytes(content[place : place + 4], "big") + longer
        )
    # None of its own is left: whatever is heard would be the other file's.
    made = bytes(damaged)
    return made[: made.index(b"mdat") + 4]


def texts(*, file: str, url: str, folder: str, port: int) -> dict[str, bytes]:
    """All of them, with these references; also behind the first bytes of a true container."""
    filled = {
        name: text.replace("{file}", file)
        .replace("{url}", url)
        .replace("{folder}", folder)
        .replace("{port}", str(port))
        .encode()
        for name, text in TEXTS.items()
    }
    behind = {
        f"{name} behind ID3": b"ID3\x03\x00\x00\x00\x00\x00\x0a" + bytes(10) + text
        for name, text in filled.items()
    }
    moved = {
        "audio in another file": outside_data(file.encode()),
        "audio at an address": outside_data(url.encode()),
    }
    return filled | behind | moved
