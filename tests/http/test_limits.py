"""The limits of a request: length, size, time, and how many at once."""

import threading
import time

import pytest

from tests.eventually import until
from tests.http.posts import drip, multipart, raw
from tests.media import by_name, encode, music
from tests.server import running_server


@pytest.fixture(scope="module")
def strict(tiny_model):
    """A server with small limits."""
    with running_server(
        model=tiny_model,
        max_duration_s=10,
        max_body_bytes=1 << 20,
        deadline_s=3.0,
        max_requests=1,
        decoders=1,
    ) as running:
        yield running


def test_the_longest_track_is_taken_and_no_longer_one(strict):
    with strict.client() as client:
        right = client.post("/predict", **raw(encode(music(10.0), by_name("mp3"))))
        assert right.status_code == 200
        long = client.post("/predict", **raw(encode(music(12.0), by_name("mp3"))))
    assert long.status_code == 400
    assert long.json()["code"] == "too_long"


def endless_zeros(limit=400):
    for _ in range(limit):
        yield bytes(1 << 16)


@pytest.mark.parametrize(
    "request_",
    [
        multipart(content=bytes((1 << 20) + 70_000)),
        raw(bytes((1 << 20) + 70_000)),
        raw(endless_zeros()),
        raw(endless_zeros(), "application/octet-stream"),
    ],
    ids=["form", "raw", "chunked", "octets"],
)
def test_bodies_are_counted(strict, request_):
    with strict.client() as client:
        response = client.post("/predict", **request_)
    assert response.status_code == 413
    assert response.json()["code"] == "too_big"


def test_a_chunked_form_is_counted(strict):
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'

    def form():
        yield head
        yield from endless_zeros()

    with strict.client() as client:
        response = client.post("/predict", **raw(form(), "multipart/form-data; boundary=b"))
    assert response.json()["code"] == "too_big"


def test_a_slow_body_meets_the_deadline(strict):
    stop = threading.Event()
    start = time.monotonic()
    with strict.client() as client:
        response = client.post("/predict", **raw(drip(stop)))
    assert response.status_code == 504
    assert response.json()["code"] == "timeout"
    assert response.json()["retryable"] is True
    assert time.monotonic() - start < 20
    with strict.client() as client:
        again = client.post("/predict", **raw(encode(music(3.0), by_name("mp3"))))
    assert again.status_code == 200


def test_a_slow_json_meets_the_deadline(strict):
    def endless():
        yield b'{"url": "'
        for _ in range(100):
            time.sleep(0.05)
            yield b"x"

    with strict.client() as client:
        headers = {"Content-Type": "application/json"}
        response = client.post("/predict", content=endless(), headers=headers)
    assert response.json()["code"] == "timeout"


@pytest.mark.usefixtures("eager")
def test_too_many_requests_are_refused_at_once(strict):
    stop = threading.Event()
    outcome = []

    def slow():
        with strict.client() as client:
            outcome.append(client.post("/predict", **raw(drip(stop))))

    thread = threading.Thread(target=slow)
    thread.start()
    try:
        until(lambda: strict.metric("topgenre_requests_active") == 1)
        with strict.client() as client:
            refused = client.post("/predict", **raw(b"x"))
            assert refused.status_code == 429
            assert refused.json()["code"] == "overloaded"
            assert refused.json()["retryable"] is True
            assert refused.headers["retry-after"] == "1"
            assert refused.json()["retry_after_s"] == 1
            streamed = client.post("/predict", **raw(b"x", accept="text/event-stream"))
            assert '"retry_after_s":1' in streamed.text
            assert client.get("/health/live").status_code == 200
    finally:
        stop.set()
        thread.join()
    assert outcome[0].status_code in (200, 422, 504)  # as much as had arrived, in time or not
    until(lambda: strict.metric("topgenre_requests_active") == 0)
