"""YouTube as a source: from a pasted link to the bytes of a video's audio.

`url`, `job` and `messages` are for both sides. The server's is `download`, `launcher`, `downloader`
and `preloaded`. The downloader's (`child`, `confinement`, `runner`, `extract`, `transfer`,
`failures`, `egress`; and `template`, `rehearsal`) runs in processes of its own and is the only one
that imports yt-dlp.
"""

from serve.sources.youtube.download import YouTubeSource
from serve.sources.youtube.job import YouTubeOptions
from serve.sources.youtube.launcher import Launcher
from serve.sources.youtube.url import video_id, watch_url

__all__ = ["Launcher", "YouTubeOptions", "YouTubeSource", "video_id", "watch_url"]
