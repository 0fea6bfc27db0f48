"""A stand-in for YouTube on 127.0.0.1, for tests that run the real yt-dlp.

It is an HTTP proxy. A CONNECT to one of YouTube's hosts is answered, and then the stand-in speaks
TLS itself, with a certificate of its own authority; so yt-dlp runs its unmodified extractor and
its unmodified networking. A CONNECT to any other host gets 403 and is kept in `refused`: nothing
leaves the machine.

    with StandIn() as youtube:
        youtube.add(Video("AAAAAAAAAAA", media={140: audio}))
        subprocess.run(..., env=os.environ | youtube.env())
        youtube.log, youtube.refused, youtube.errors
"""

from tests.standin.server import Handler, Request, StandIn
from tests.standin.videos import AUDIO_HOST, Video

__all__ = ["AUDIO_HOST", "Handler", "Request", "StandIn", "Video"]
