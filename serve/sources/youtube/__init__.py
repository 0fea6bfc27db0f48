"""YouTube as a source: from a pasted link to the bytes of a video's audio.

`url` and `job` are for both sides. The server's is `download`, `launcher`, `process`, `preloaded`
and `frames`. The downloader's (`child`, `lifeline`, `confinement`, `work`, `extract`, `transfer`,
`failures`, `fence`; and `template`, `rehearsal`) runs in processes of its own and is the only one
that imports yt-dlp.
"""

from serve.sources.youtube.download import YouTubeSource
from serve.sources.youtube.job import YouTubeOptions
from serve.sources.youtube.launcher import Launcher
from serve.sources.youtube.url import video_id, watch_url

__all__ = ["Launcher", "YouTubeOptions", "YouTubeSource", "video_id", "watch_url"]
