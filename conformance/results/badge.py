"""The badge: the certificate in one line for a README."""

from xml.sax.saxutils import escape

from conformance.clauses import DECISIVE
from conformance.results.certificate import FAILED, KNOWN, Certificate

LABEL = "asyncio streams"
CONFORMS, DEVIATES = "#1a7f37", "#b3261e"  # dark enough for white text to be read on them

HEIGHT = 20
MARGIN = 6
CHARACTER = 6.8  # about as wide as Verdana's, of size 11, are; `textLength` makes the text fit


def badge(certificate: Certificate) -> str:
    """Return an SVG image: `asyncio streams | conforms 3.15`, or in how many clauses it deviates.

    If not all clauses apply, it says how many do.

    It needs nothing else to be shown; its title names the implementation, the Python and the loop.
    """
    deviations = sum(
        each.verdict in (FAILED, KNOWN) and each.clause.level in DECISIVE
        for each in certificate.verdicts
    )
    total = len(certificate.verdicts)
    if not certificate.complete:
        message = "incomplete"
    elif not certificate.conforms:
        message = f"deviates: {deviations} clause{'' if deviations == 1 else 's'}"
    elif certificate.applied < total:
        message = f"conforms {certificate.spec} ({certificate.applied} of {total} clauses)"
    else:
        message = f"conforms {certificate.spec}"
    left, right = (round(len(text) * CHARACTER) + 2 * MARGIN for text in (LABEL, message))
    title = escape(
        f"{certificate.implementation} on Python {certificate.python}, loop {certificate.loop}: "
        f"{LABEL}, {message}"
    )
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{HEIGHT}" \
role="img" aria-labelledby="title">
<title id="title">{title}</title>
<rect width="{left}" height="{HEIGHT}" fill="#444c56"/>
<rect x="{left}" width="{right}" height="{HEIGHT}" \
fill="{CONFORMS if certificate.conforms else DEVIATES}"/>
<g fill="#ffffff" font-family="Verdana, DejaVu Sans, sans-serif" font-size="11">
<text x="{MARGIN}" y="14" textLength="{left - 2 * MARGIN}">{LABEL}</text>
<text x="{left + MARGIN}" y="14" textLength="{right - 2 * MARGIN}">{message}</text>
</g>
</svg>
"""
