"""What YouTube's site answers: the least of it that yt-dlp accepts."""

from __future__ import annotations

import json
from typing import Any

PLAYER_ID = "0a1b2c3d"
PLAYER_PATH = f"/s/player/{PLAYER_ID}/player_ias.vflset/en_US/base.js"
VISITOR = "CgtTVEFORElOX1ZEUQ%3D%3D"

#: A player just large enough to have the shape that yt-dlp-ejs looks for. Its signature challenge
#: reverses the text, its n challenge swaps the case.
PLAYER = """var _yt_player={};(function(g){var window=this;
g.cfg={signatureTimestamp:20500};
function Url(u){this.u=u;this.p={}}
Url.prototype.set=function(k,v){this.p[k]=v};
Url.prototype.get=function(k){return this.p[k]};
Url.prototype.clone=function(){return this};
Url.prototype.mangle=function(){if(this.p.n)this.p.n=this.p.n.split('').map(function(c){
var u=c.toUpperCase();return c===u?c.toLowerCase():u}).join('')};
function build(u,sp,s){var r=new Url(u);r.set("alr","yes");
if(s)r.set(sp,encodeURIComponent(decodeURIComponent(s).split('').reverse().join('')));return r}
g.build=build;})(_yt_player);
"""

IFRAME_API = (
    f'var scriptUrl = "https:\\/\\/www.youtube.com\\/s\\/player\\/{PLAYER_ID}'
    '\\/www-widgetapi.vflset\\/www-widgetapi.js";'
)


def solve_n(challenge: str) -> str:
    """What `PLAYER` makes of an n challenge."""
    return challenge.swapcase()


def solve_signature(challenge: str) -> str:
    """What `PLAYER` makes of a signature challenge."""
    return challenge[::-1]


def config(client: str = "WEB") -> str:
    """The script with the site's configuration, which every page carries."""
    settings = {
        "INNERTUBE_API_KEY": "AIzaStandIn",
        "INNERTUBE_CLIENT_NAME": "WEB",
        "INNERTUBE_CLIENT_VERSION": "2.20260708.00.00",
        "INNERTUBE_CONTEXT_CLIENT_NAME": 1,
        "VISITOR_DATA": VISITOR,
        "STS": 20500,
        "PLAYER_JS_URL": PLAYER_PATH,
        "LOGGED_IN": False,
        "INNERTUBE_CONTEXT": {
            "client": {
                "hl": "en",
                "gl": "US",
                "clientName": client,
                "clientVersion": "2.20260708.00.00",
                "visitorData": VISITOR,
            }
        },
    }
    return f"<script>ytcfg.set({json.dumps(settings)});</script>"


def unavailable(video_id: str) -> dict[str, Any]:
    """The player response for an id that does not exist."""
    return {
        "playabilityStatus": {"status": "ERROR", "reason": "Video unavailable"},
        "videoDetails": {"videoId": video_id},
    }


def watch(player_response: dict[str, Any]) -> str:
    """The page of one video."""
    # Without `contents` yt-dlp asks for them in requests of their own.
    data: dict[str, Any] = {"contents": {"twoColumnWatchNextResults": {}}}
    return (
        f"<!DOCTYPE html><html><head><title>YouTube</title></head><body>{config()}"
        f"<script>var ytInitialPlayerResponse = {json.dumps(player_response)};</script>"
        f"<script>var ytInitialData = {json.dumps(data)};</script></body></html>"
    )


def embed() -> str:
    """The page of an embedded video."""
    return config("WEB_EMBEDDED_PLAYER")
