import io
import os
import socket
from pathlib import Path

import pytest

from serve.errors import BadRequest
from serve.library.files import read
from serve.library.tracks import jobs_of, read_list

ID = "dQw4w9WgXcQ"


@pytest.fixture
def music(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, content in {
        "music/b.mp3": "bb",
        "music/a.FLAC": "a",
        "music/cover.jpg": "x",
        "music/.hidden.mp3": "x",
        "music/.trash/c.mp3": "x",
        "music/rock/c.ogg": "cc",
        "music/rock/deep/d.wav": "dddd",
        "plain": "e",
        "what[1].mp3": "eeeee",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (tmp_path / "empty").mkdir()
    return tmp_path


def tracks(*given):
    return [job.tracks for job in jobs_of(given)]


FOLDER = [["music/a.FLAC"], ["music/b.mp3"], ["music/rock/c.ogg"], ["music/rock/deep/d.wav"]]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["music"], FOLDER),
        (["music/"], FOLDER),
        (["music/*"], FOLDER),
        (["music/**"], FOLDER),
        (["music/**/*.jpg"], [["music/cover.jpg"]]),
        (["music/*.mp3"], [["music/b.mp3"]]),
        (["music/b.mp3", "music"], [FOLDER[1], FOLDER[0], *FOLDER[2:]]),
        (["plain", "music/cover.jpg"], [["plain"], ["music/cover.jpg"]]),
        (["what[1].mp3"], [["what[1].mp3"]]),  # a name before it is a pattern
    ],
)
def test_files_folders_and_patterns(music, given, found):
    assert sorted(tracks(*given)) == sorted(found)
    if "*" not in given[0]:
        assert tracks(*given) == found
    assert all(job.path and not job.error for job in jobs_of(given))


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        ("empty", "bad_request", "no audio in this folder"),
        ("nowhere.mp3", "bad_request", "No such file"),
        ("nowhere*.mp3", "bad_request", "No such file"),
        ("dangling.mp3", "bad_request", "No such file"),
        ("hello", "bad_request", "No such file"),
        ("music/nowhere", "bad_request", "No such file"),
        ("a\0b", "bad_request", "No file can have this name"),
        ("", "bad_request", "no audio in this folder"),
        ("pipe.mp3", "bad_request", "not a regular file"),
        ("socket.mp3", "bad_request", "not a regular file"),
        ("/dev/zero", "bad_request", "not a regular file"),
        ("youtu.be/short", "bad_url", "11 letters"),
        ("www.youtube.com/playlist?list=PL1", "playlist", "one video"),
        (f"youtu.be/{ID} or (youtu.be/{ID[::-1]})", "bad_url", "more than one"),
        ("rips of youtube.com", "bad_request", "No such file"),
        ("music/youtu.be/a", "bad_request", "No such file"),
        ("my youtube.com rips/a.mp3", "bad_request", "No such file"),
        ("https://vimeo.com/1", "not_youtube", "Only YouTube"),
    ],
)
def test_what_is_nothing_is_a_job_that_fails(music, given, code, text):
    (music / "dangling.mp3").symlink_to("nowhere")
    os.mkfifo("pipe.mp3")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.mp3")
    (job,) = jobs_of([given])
    assert job.tracks == [given]
    assert job.error.code == code
    assert text in job.error.message


def test_one_file_under_several_names_is_one_job(music):
    os.link("music/b.mp3", "music/hard.mp3")
    (music / "music" / "soft.mp3").symlink_to("b.mp3")
    # A loop, which is not walked into.
    (music / "music" / "again").symlink_to(music / "music")
    jobs = jobs_of(["music", "music/b.mp3", "./music/b.mp3", str(music / "music" / "b.mp3")])
    names = ["music/b.mp3", "music/hard.mp3", "music/soft.mp3", str(music / "music" / "b.mp3")]
    assert [job.tracks for job in jobs][1] == names
    assert len(jobs) == 4


def test_links_to_folders_are_followed_but_not_in_circles(music, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "more").mkdir()
    for name in ("x.mp3", "more/y.mp3"):
        (other / name).touch()
    for link, target in {
        music / "music" / "other": other,
        music / "music" / "same": other,
        other / "round": other,
        other / "more" / "back": music,
        music / "music" / "up": music,
        music / "music" / "nowhere": music / "gone",
    }.items():
        link.symlink_to(target)
    found = [job.tracks for job in jobs_of(["music"]) if "other" in job.tracks[0]]
    assert found == [["music/other/x.mp3"], ["music/other/more/y.mp3"]]


def test_one_video_under_several_links_is_one_job():
    links = [f"https://youtu.be/{ID}", f"https://www.youtube.com/watch?v={ID}&t=9"]
    links += [f"youtu.be/{ID}", f"M.YouTube.com/watch?v={ID}"]
    (job,) = jobs_of([*links, links[0]])
    assert job.tracks == links
    assert job.link.id == ID


def test_only_files_of_one_size_can_be_copies(music):
    jobs = {job.tracks[0]: job.has_peers for job in jobs_of(["music", "music/rock/c.ogg"])}
    assert [name for name, peers in jobs.items() if peers] == ["music/b.mp3", "music/rock/c.ogg"]


def test_lists(tmp_path, monkeypatch):
    text = f"# mine\n\n https://youtu.be/{ID} \r\nmusic/a song.mp3\n"
    (tmp_path / "list").write_text(text)
    expected = [f"https://youtu.be/{ID}", "music/a song.mp3"]
    assert read_list(str(tmp_path / "list")) == expected
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert read_list("-") == expected
    (tmp_path / "song").write_bytes(b"\xff\xfb\x90")
    for name, why in {"song": "not a list", "nowhere": "No such", "": "Is a directory"}.items():
        with pytest.raises(BadRequest, match=why):
            read_list(str(tmp_path / name))


NAMES = ["#1 hit.mp3", " a\u2028b\x85\x0c.mp3 ", "c\r.mp3", "caf\udce9.mp3"]


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_list_may_name_every_file(tmp_path, monkeypatch, start, end):
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        Path(name).touch()
    lines = ["first.mp3", "#EXTM3U", *NAMES, f"youtu.be/{ID}"]
    content = start + b"".join(os.fsencode(line + end) for line in lines)
    Path("list").write_bytes(content)
    kept = NAMES if end == "\n" else [NAMES[0], NAMES[1].strip(" "), *NAMES[2:]]
    assert read_list("list") == ["first.mp3", *kept, f"youtu.be/{ID}"]
    Path("list").write_bytes("first.mp3\r\nä.mp3".encode("utf-16"))
    assert read_list("list") == ["first.mp3", "ä.mp3"]
    Path("list").write_bytes(start + "first.mp3\rä.mp3\r".encode())
    assert read_list("list") == ["first.mp3", "ä.mp3"]


def test_a_file_that_has_become_a_pipe_is_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.mp3")
    (tmp_path / "song.mp3").touch()
    status = (tmp_path / "song.mp3").stat()
    monkeypatch.setattr(Path, "stat", lambda _: status)
    with pytest.raises(BadRequest, match="not a regular file"):
        read(tmp_path / "pipe.mp3", 100)
