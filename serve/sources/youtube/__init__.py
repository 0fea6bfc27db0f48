"""YouTube as a source: from a pasted link to the bytes of a video's audio.

`url` and `messages` are for both sides. The server's is `service`, `download`, `launcher`,
`downloader` and `preloaded`. The downloader's (`child`, `confinement`, `runner`, `extract`,
`transfer`, `failures`, `egress`; and `template`, `rehearsal`) runs in processes of its own and is
the only one that imports yt-dlp.
"""

from serve.sources.youtube.download import YouTubeSource
from serve.sources.youtube.launcher import Launcher
from serve.sources.youtube.messages import YouTubeOptions
from serve.sources.youtube.service import YouTube
from serve.sources.youtube.url import video_id, watch_url

__all__ = ["Launcher", "YouTube", "YouTubeOptions", "YouTubeSource", "video_id", "watch_url"]
