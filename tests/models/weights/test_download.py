"""Published weights from a real server: whole, cut, wrong and refused."""

import hashlib
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from mindcv.errors import UserError
from mindcv.models.weights.pretrained import fetch_weights
from tests.support.file_server import CONTENT, DIGEST, NAME, FileServer, serving

QUICK = (0.01, 0.01, 0.01)


def fetch(server: FileServer) -> Path:
    return fetch_weights(server.url + NAME, waits=QUICK)


def refused(url: str) -> str:
    with pytest.raises(UserError) as caught:
        fetch_weights(url, waits=QUICK)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def by_hand(url: str, path: Path) -> str:
    return (
        f"download it by hand to {path}, set MINDCV_MIRROR to another source, or give a file as "
        "checkpoint_path (--pretrained false --ckpt_path FILE)"
    )


def part(cache: Path, content: bytes) -> Path:
    """Write the partial file of an earlier download."""
    cache.mkdir()
    path = cache / f"{NAME}.part"
    path.write_bytes(content)
    return path


def test_a_file_is_fetched_once_and_then_comes_from_the_cache(server, cache):
    path = fetch(server)
    assert path == cache / NAME
    assert path.read_bytes() == CONTENT
    assert fetch(server) == path
    assert server.requests == [(f"/{NAME}", None)]
    assert sorted(p.name for p in cache.iterdir()) == [NAME, f"{NAME}.lock"]


def test_a_longer_hash_in_the_name_is_compared_in_full(server):
    name = f"tiny-{DIGEST}.ckpt"
    server.files["/" + name] = CONTENT
    assert fetch_weights(server.url + name).read_bytes() == CONTENT


def test_a_download_resumes_where_the_connection_was_cut(server):
    server.cuts = [100_000, 50_000]
    assert fetch(server).read_bytes() == CONTENT
    assert [wanted for _, wanted in server.requests] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_connection_may_be_cut_often_as_long_as_something_new_arrives(server):
    server.cuts = [30_000] * 9
    assert fetch(server).read_bytes() == CONTENT
    assert len(server.requests) == 10


def test_a_connection_that_brings_nothing_new_is_tried_four_times_and_the_part_is_kept(server, cache):
    server.cuts = [100_000, 0, 0, 0, 0, 0]
    path = cache / NAME
    assert refused(server.url + NAME) == (
        f"{server.url}{NAME} cannot be downloaded (the connection was cut after 100000 of 300000 bytes): "
        + by_hand(server.url, path)
    )
    assert len(server.requests) == 4
    assert path.with_name(f"{NAME}.part").read_bytes() == CONTENT[:100_000]
    server.cuts = []
    assert fetch(server).read_bytes() == CONTENT
    assert server.requests[-1] == (f"/{NAME}", "bytes=100000-")


def test_a_server_that_ignores_the_range_is_read_from_the_beginning(server):
    server.cuts, server.continues = [100_000], False
    assert fetch(server).read_bytes() == CONTENT
    assert [wanted for _, wanted in server.requests] == [None, "bytes=100000-"]


def test_a_server_that_sends_other_bytes_than_asked_for_is_asked_for_all(server):
    server.cuts, server.continues = [100_000], "elsewhere"
    assert fetch(server).read_bytes() == CONTENT
    assert [wanted for _, wanted in server.requests] == [None, "bytes=100000-", None]


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server, cache):
    part(cache, bytes(400_000))
    assert fetch(server).read_bytes() == CONTENT
    assert [wanted for _, wanted in server.requests] == ["bytes=400000-", None]


def test_a_part_of_another_file_is_thrown_away(server, cache, caplog):
    part(cache, bytes(1000))
    assert fetch(server).read_bytes() == CONTENT
    assert [wanted for _, wanted in server.requests] == ["bytes=1000-", None]
    assert (
        f"{NAME}.part: left by an earlier download of another file; the download starts again" in caplog.text
    )


def test_a_complete_part_is_only_renamed(server, cache):
    part(cache, CONTENT)
    assert fetch(server).read_bytes() == CONTENT
    assert server.requests == []


def test_a_file_of_a_wrong_hash_is_removed_and_both_hashes_are_named(server, cache):
    server.files["/" + NAME] = b"x" + CONTENT
    found = hashlib.sha256(b"x" + CONTENT).hexdigest()[:8]
    assert refused(server.url + NAME) == (
        f"{server.url}{NAME}: the SHA-256 of the download starts with {found}, not with {DIGEST[:8]}; it was "
        "removed: try again, or set MINDCV_MIRROR to another source"
    )
    assert [p.name for p in cache.iterdir()] == [f"{NAME}.lock"]


def test_a_damaged_file_in_the_cache_is_fetched_again_with_a_word(server, cache, caplog):
    path = fetch(server)
    path.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    assert fetch(server).read_bytes() == CONTENT
    assert len(server.requests) == 2
    assert (
        f"{path}: damaged, its SHA-256 does not start with {DIGEST[:8]}; downloading it again" in caplog.text
    )


@pytest.mark.parametrize("state", [404, 403, 410])
def test_a_file_that_is_not_there_is_asked_for_once(server, cache, state):
    server.states = [state] * 9
    assert f"{NAME} cannot be downloaded (HTTP {state} " in refused(server.url + NAME)
    assert len(server.requests) == 1


def test_a_server_that_is_busy_is_asked_again(server):
    server.states = [503, 429]
    assert fetch(server).read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_offline_the_message_says_how_to_go_on(cache, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/{NAME}"
    assert refused(url) == (f"{url} cannot be downloaded (Connection refused): " + by_hand(url, cache / NAME))
    (cache / NAME).write_bytes(CONTENT)  # by hand
    assert fetch_weights(url) == cache / NAME


def test_a_silent_server_is_given_up_in_time(cache, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/{NAME}"
        with pytest.raises(UserError, match=r"cannot be downloaded \(no answer in time\)"):
            fetch_weights(url, waits=(0.01,), timeout=0.2)


def test_a_redirect_is_followed_and_takes_the_range_along(server):
    server.redirects["/old/" + NAME] = "/" + NAME
    server.cuts = [100_000]
    assert fetch_weights(f"{server.url}old/{NAME}", waits=QUICK).read_bytes() == CONTENT
    assert server.requests[2:] == [(f"/old/{NAME}", "bytes=100000-"), (f"/{NAME}", "bytes=100000-")]


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x"])
def test_a_redirect_to_anything_but_http_is_refused(server, target):
    server.redirects["/" + NAME] = target
    assert "cannot be downloaded (" in refused(server.url + NAME)
    assert len(server.requests) == 1


@pytest.fixture
def encrypted(tmp_path, server, monkeypatch):
    """A second server, for https, with a certificate that is its own authority."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    try:
        subprocess.run(
            ["openssl", *command.split(), "-keyout", key, "-out", certificate],
            check=True,
            capture_output=True,
            timeout=60,
        )
    except FileNotFoundError:
        pytest.skip("the program openssl makes the certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    other = FileServer()
    other.socket = context.wrap_socket(other.socket, server_side=True)
    other.scheme = "https"
    other.files = server.files
    with serving(other):
        yield other, certificate


def test_https_is_verified(encrypted, monkeypatch):
    server, certificate = encrypted
    assert "cannot be downloaded (the server's certificate is not trusted (self" in refused(server.url + NAME)
    assert server.requests == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetch(server).read_bytes() == CONTENT


def test_a_redirect_from_https_to_http_is_refused(encrypted, server, monkeypatch):
    secure, certificate = encrypted
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    secure.redirects["/" + NAME] = server.url + NAME
    reason = f"the server redirects to {server.url}{NAME}, which is refused"
    assert f"{NAME} cannot be downloaded ({reason}): " in refused(secure.url + NAME)
    assert (len(secure.requests), server.requests) == (1, [])
