"""The dashboard answers to its own names only, to reading only, and where others reach it with its token only."""

from pathlib import Path

import pytest

from .conftest import Serve


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_only_reading_is_allowed(method: str, root: Path, serve: Serve) -> None:
    served = serve(root)
    for path in ("/", "/runs.json", "/static/style.css"):
        answer = served.ask(path, method)
        assert answer.status == 405
        assert answer.headers["allow"] == "GET, HEAD"
    assert served.ask("/", "HEAD").text == ""


def test_other_names_are_refused(root: Path, serve: Serve) -> None:
    served = serve(root, hosts=["Big.lab"])
    for host in ("localhost", "localhost:9", "127.0.0.1", "[::1]:80", "big.LAB:80", "10.0.0.7"):
        assert served.ask("/", host=host).status == 200, host
    for host in ("evil.com", "localhost.evil.com", "127.0.0.1.evil.com:80", "evil.com:127.0.0.1", "biglab", " "):
        assert served.ask("/runs.json", host=host).status in (400, 421), host


def test_every_answer_has_its_headers(root: Path, serve: Serve) -> None:
    served = serve(root)
    for path in ("/", "/runs.json", "/run?path=single", "/run?path=none", "/static/plotly.js", "/nowhere"):
        headers = served.ask(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self';" in policy
        assert "unsafe" not in policy
        assert headers["referrer-policy"] == "no-referrer"
    assert served.ask("/", "POST").headers["x-content-type-options"] == "nosniff"
    assert served.ask("/").headers["cache-control"] == "no-store"


def test_a_token_opens_it_and_is_kept_in_a_cookie(root: Path, serve: Serve) -> None:
    served = serve(root, token="s3cret")
    for path in ("/", "/runs.json", "/static/style.css", "/?token=", "/?token=wrong", "/?token=s3cret&token=wrong"):
        assert served.ask(path).status == 403, path
    first = served.ask("/run?path=single&token=s3cret")
    assert (first.status, first.headers["location"]) == (303, "/run?path=single")
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie
    name = cookie.partition("=")[0]
    assert served.ask("/run?path=single", Cookie=cookie.partition(";")[0]).status == 200
    assert served.ask("/", Cookie=f"{name}=wrong").status == 403
    assert served.ask("//evil.com/?token=s3cret").headers["location"] == "/evil.com/"
    other = serve(root, token="other")
    assert other.ask("/?token=other").headers["set-cookie"].partition("=")[0] != name
