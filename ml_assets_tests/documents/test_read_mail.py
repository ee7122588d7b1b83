"""E-mails and archived pages are decoded: what a person sees is the text, in whatever way it was sent."""

from collections.abc import Callable
from email.message import EmailMessage

import pytest

from ml_assets.documents.document import UnreadableError
from ml_assets.documents.file_type import kind_of
from ml_assets.documents.mail import pages
from ml_assets.documents.read import read

BODY = "The lessee waters the garden – twice a week.\nGrüße, Søren"


def message(subject: str = "Garden lease", to: str = "Søren Ø <s@example.org>") -> EmailMessage:
    sent = EmailMessage()
    sent["Subject"], sent["From"], sent["To"] = subject, "agent@example.org", to
    return sent


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
@pytest.mark.parametrize("charset", ["utf-8", "cp1252"])
def test_the_body_is_decoded_whatever_it_was_sent_in(encoding: str, charset: str) -> None:
    sent = message("Pacht für den Garten")
    sent.set_content(BODY, charset=charset, cte=encoding)
    document = read(sent.as_bytes())
    assert (document.kind, document.title) == ("email", "Pacht für den Garten")
    assert BODY in document.text
    assert "To: Søren Ø <s@example.org>" in document.text
    assert read(sent.as_bytes().replace(b"\n", b"\r\n")).text == document.text


def test_html_is_read_as_it_is_seen_and_attachments_are_named() -> None:
    sent = message()
    sent.set_content("<p>Rent is <b>ninety</b> euros.</p><style>p {color: red}</style>", subtype="html", cte="base64")
    sent.add_attachment(b"%PDF-1.4 stub", maintype="application", subtype="pdf", filename="Vertrag für Søren.pdf")
    sent.add_attachment("not read", filename="notes.txt")
    text = read(sent.as_bytes()).text
    assert "Rent is ninety euros." in text
    assert "Attachment: Vertrag für Søren.pdf (application/pdf)\nAttachment: notes.txt (text/plain)" in text
    assert not [word for word in ("stub", "not read", "color", "base64") if word in text]


def test_of_alternatives_one_is_read_and_an_excuse_is_not() -> None:
    sent = message()
    sent.set_content("The lessee waters the garden twice a week.")
    sent.add_alternative("<p>The lessee waters the garden twice a week.</p>", subtype="html")
    assert read(sent.as_bytes()).text.count("waters") == 1
    sent = message()
    sent.set_content("Turn on HTML.")
    sent.add_alternative("<p>The lessee waters the garden and the roof twice a week.</p>", subtype="html")
    assert "waters" in read(sent.as_bytes()).text
    assert "Turn on" not in read(sent.as_bytes()).text


def test_a_forwarded_message_is_part_of_the_text() -> None:
    inner, outer = message("The old lease"), message("Fwd")
    inner.set_content(BODY)
    outer.set_content("See below.")
    outer.add_attachment(inner)
    text = read(outer.as_bytes()).text
    assert [part for part in ("See below.", "The old lease", BODY) if part in text] == [
        "See below.",
        "The old lease",
        BODY,
    ]


def test_a_mailbox_of_several_messages_is_named_and_one_message_is_read() -> None:
    sent = message()
    sent.set_content(BODY, cte="base64")
    one = b"From agent@example.org Mon Jan  5 10:00:00 2026\n" + sent.as_bytes()
    assert BODY in read(one).text
    with pytest.raises(UnreadableError, match=r"several messages \(mbox\).*send the files that are in it"):
        read(one + b"\n" + one)


def test_an_archived_page_gives_its_html() -> None:
    page = (
        b"From: <Saved by Blink>\r\nSubject: =?utf-8?Q?P=C3=A1gina?=\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/related; type="text/html"; boundary="xx"\r\n\r\n--xx\r\n'
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b'<html><head><meta charset=3D"x"></head><body><p>The lessee pays =E2=82=AC 90.</p></body></html>\r\n--xx\r\n'
        b"Content-Type: text/css\r\n\r\np { color: red }\r\n--xx--\r\n"
    )
    document = read(page)
    assert (document.kind, document.title, document.text) == ("mht", "Página", "The lessee pays € 90.")


@pytest.mark.parametrize(
    "text",
    [
        b"To: all tenants\nFrom: the landlord\nSubject: rent\n\nRent is due.",
        b"Note: this is no message\n\nMIME-Version: 1.0 is what one begins with.",
        b"Lease: 12\nTenant pays. Content-Type: text/html\n",
    ],
)
def test_a_memorandum_is_plain_text(text: bytes) -> None:
    assert read(text).kind == "text"
    assert read(text).text == text.decode().strip()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sent: sent.replace(b'charset="utf-8"', b'charset="no-such"'),
        lambda sent: sent.replace(b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: what"),
        lambda sent: sent[:-30],
        lambda sent: sent.replace(b"Subject: ", b"Subject: =?utf-8?B?!?= =?x?Q?=FF?= "),
    ],
)
def test_a_broken_message_is_read_as_far_as_it_goes(spoil: Callable[[bytes], bytes]) -> None:
    sent = message()
    sent.set_content(BODY, cte="base64")
    assert read(spoil(sent.as_bytes())).kind == "email"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ('multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b', "encrypted"),
        ("application/pkcs7-mime; smime-type=enveloped-data", "encrypted"),
        ("application/pkcs7-mime; smime-type=signed-data", "unknown-kind"),
    ],
)
def test_a_sealed_message_is_refused(kind: str, code: str) -> None:
    content = f"From: a@b.example\nTo: c@d.example\nMIME-Version: 1.0\nContent-Type: {kind}\n\nMIAGCSqGSIb3\n".encode()
    assert kind_of(content, "a.eml") == "email"
    with pytest.raises(UnreadableError, match=r"^a\.eml") as caught:
        pages(content, "a.eml")
    assert caught.value.code == code
