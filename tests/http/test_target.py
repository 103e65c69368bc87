"""Urls and headers from users, refused before they are stored."""

import pytest

from runner.http import check_headers, check_url


@pytest.mark.parametrize(
    "url",
    ["http://example.org", "https://example.org/hooks?a=1&b=%20#top", "https://example.org:8443/", "http://127.0.0.1:1/",
     "http://[::1]:65535/", "https://bücher.example/ä", "https://xn--bcher-kva.example/", "HTTPS://EXAMPLE.ORG/",
     "http://localhost/", "http://a_b.example./"],
)  # fmt: skip
def test_a_plain_url_passes(url):
    """Inner addresses too: whether one may be called is judged when the connection is opened."""
    check_url(url)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.org/", "scheme is 'ftp'"),
        ("file:///etc/passwd", "scheme is 'file'"),
        ("javascript:alert(1)", "scheme"),
        ("example.org/hooks", "scheme is ''"),
        ("//example.org/", "scheme is ''"),
        ("", "scheme is ''"),
        ("http://", "no host"),
        ("http:///hooks", "no host"),
        ("https://:443/", "no host"),
        ("http://user@example.org/", "user name or password"),
        ("http://user:hunter2@example.org/", "user name or password"),
        ("http://example.org:0/", "port is 0"),
        ("http://example.org:65536/", "port is 65536"),
        ("http://example.org:99999999999/", "port"),
        ("http://example.org:http/", "port"),
        ("http://example.org/a b", "space"),
        ("http://example.org/\n", "line break"),
        ("http://example.org/\r\nhost: x", "line break"),
        ("http://exa\tmple.org/", "control character"),
        ("http://example.org/\x00", "control character"),
        ("http://example.org\\@127.0.0.1/", "backslash"),
        ("http://2130706433/", "IPv4"),
        ("http://0x7f.1/", "IPv4"),
        ("http://0x7f000001/", "IPv4"),
        ("http://0177.0.0.1/", "IPv4"),
        ("http://127.1/", "IPv4"),
        ("http://256.0.0.1/", "IPv4"),
        ("http://[::g]/", "IPv6|address"),
        ("http://[::1%25lo]/", "percent"),
        ("http://%31.0.0.1/", "percent"),
        ("http://a..b/", "label"),
        ("http://.example.org/", "label"),
        ("http://" + "a" * 64 + ".example/", "label"),
        ("http://①②⑦.0.0.1/", "IDNA"),
        ("http://example.org/" + "a" * 2048, "more than 2048"),
    ],
)
def test_any_other_url_is_refused_in_one_line(url, says):
    """The line says what is wrong, and shows neither password nor query."""
    with pytest.raises(ValueError, match=says) as caught:
        check_url(url)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_plain_headers_pass():
    """Names as tokens, values in visible ASCII."""
    check_headers(
        {"x-tenant": "a b\tc", "Authorization": "Bearer x", "content-type": "text/plain", "x-empty": ""}
    )


@pytest.mark.parametrize(
    "value", ["a\r\nb: c", "a\nb", "a\rb", "a\x00b", "a\x7f", "grüß", "☃", 1, None, b"x"]
)
def test_a_value_that_could_break_out_of_its_line_is_refused(value):
    """Header injection; the value is not shown, since it may be a secret."""
    with pytest.raises(ValueError, match=r"'x-mine'.*ASCII") as caught:
        check_headers({"x-mine": value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ä", "a\x00", "(x)", 1])
def test_a_name_that_is_no_token_is_refused(name):
    """RFC 9110, section 5.6.2."""
    with pytest.raises(ValueError, match="name"):
        check_headers({name: "x"})


@pytest.mark.parametrize(
    "name",
    ["Host", "content-length", "Transfer-Encoding", "connection", "TE", "expect", "Webhook-Id", "webhook-x"],
)
def test_what_frames_or_signs_the_message_cannot_be_set(name):
    """The sender's own headers, in any case."""
    with pytest.raises(ValueError, match="cannot be overridden"):
        check_headers({name: "x"}, prefix="webhook-")
