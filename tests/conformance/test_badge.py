"""The badge."""

import xml.etree.ElementTree as ET

from conformance.results.badge import CONFORMS, DEVIATES, badge
from conformance.results.certificate import Certificate

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str | None]:
    return [each.text for each in ET.fromstring(svg).iter(f"{SVG}text")]


def test_it_says_that_an_implementation_conforms(conforming: Certificate) -> None:
    assert texts(badge(conforming)) == ["asyncio streams", "conforms 3.15"]
    assert CONFORMS in badge(conforming)


def test_it_counts_what_decides_and_known_deviations_too(deviating: Certificate) -> None:
    assert texts(badge(deviating)) == ["asyncio streams", "deviates: 2 clauses"]
    assert DEVIATES in badge(deviating)


def test_its_title_says_it_to_who_cannot_see_it(deviating: Certificate) -> None:
    root = ET.fromstring(badge(deviating))
    title = root.find(f"{SVG}title")
    assert root.attrib["role"] == "img"
    assert title is not None
    assert root.attrib["aria-labelledby"] == title.attrib["id"]
    assert title.text == (
        f"other.streams:<b> on Python {deviating.python}, loop uvloop: "
        "asyncio streams, deviates: 2 clauses"
    )


def test_the_texts_stay_in_their_fields(conforming: Certificate, deviating: Certificate) -> None:
    for certificate in (conforming, deviating):
        root = ET.fromstring(badge(certificate))
        fields = [(int(r.get("x", 0)), int(r.attrib["width"])) for r in root.iter(f"{SVG}rect")]
        for (x, width), text in zip(fields, root.iter(f"{SVG}text"), strict=True):
            assert x < int(text.attrib["x"])
            assert int(text.attrib["x"]) + int(text.attrib["textLength"]) < x + width
        assert sum(width for _, width in fields) == int(root.attrib["width"])
