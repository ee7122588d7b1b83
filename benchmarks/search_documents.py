"""Documents of commercial leases with known truth, and questions about them, for the benchmark of search.

A deal has a lease, amendments, statements of operating costs, letters, invoices. Contracts speak of a thing as lawyers
do ("the Base Rent shall escalate"), letters mostly as people do ("the rent goes up"), and so do the questions: neither
the words alone nor their company alone find everything. Everything is a function of the seed.
"""

# ruff: noqa: E501, ISC004, S311 - sentences are easier to read whole; what is drawn are data, not secrets

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 2000


@dataclass(frozen=True)
class Topic:
    """One thing that documents are about, in both languages."""

    legal: tuple[str, ...]
    plain: tuple[str, ...]
    asked: tuple[str, ...]


TOPICS = {
    "escalation": Topic(
        ("The Base Rent shall escalate annually by {percent} percent upon each anniversary of the Commencement Date.",
         "Escalation of Base Rent shall be computed upon the Consumer Price Index and shall be compounding.",
         "No escalation shall be waived by Landlord's failure to invoice the adjusted Base Rent."),
        ("We noticed that the rent increase this year is {percent} percent.", "The rent goes up again in the spring.",
         "Could you explain how the yearly rent increase was worked out?"),
        ("rent increase", "how much does the rent go up each year", "yearly rent raise")),
    "termination": Topic(
        ("Tenant may terminate this Lease prior to the Expiration Date upon {percent} days' notice and a termination fee.",
         "Upon early termination Tenant shall surrender the Premises in broom-clean condition.",
         "The termination option shall lapse if Tenant is in default hereunder."),
        ("We would like to leave early and end our contract.", "Moving out before the end would cost us a fee.",
         "Can we get out of the contract ahead of time?"),
        ("leave early", "moving out before the end of the contract", "end contract ahead of time")),
    "assignment": Topic(
        ("Tenant shall not assign this Lease nor sublet the Premises without Landlord's prior written consent.",
         "Any assignee shall assume the obligations of the assignor by a written instrument of assumption.",
         "A transfer of a controlling interest shall be deemed an assignment."),
        ("We want to hand the space over to another company.", "Another business will take over our space.",
         "May we let a partner use part of the space?"),
        ("hand space over to another company", "let another business take over", "take over space")),
    "repairs": Topic(
        ("Landlord shall maintain the structural elements, roof and foundation in good repair and condition.",
         "Tenant shall maintain the heating, ventilation and air conditioning equipment at its sole expense.",
         "Landlord shall commence repairs within {percent} days after written notice of the defect."),
        ("The roof is leaking and somebody has to fix it.", "The heater is broken again, please send someone.",
         "Water comes through the ceiling; when will it be fixed?"),
        ("who has to fix the leaking roof", "broken heater", "water coming through ceiling")),
    "deposit": Topic(
        ("Tenant has deposited with Landlord a Security Deposit as security for the faithful performance hereof.",
         "The Security Deposit may be applied to any default and shall be replenished within {percent} days.",
         "The Security Deposit shall not bear interest."),
        ("When will we get our money back?", "We are still waiting for the money that we paid up front.",
         "Please return the money held for us."),
        ("money paid up front", "get our money back", "return of money held")),
    "insurance": Topic(
        ("Tenant shall procure commercial general liability insurance naming Landlord as additional insured.",
         "Each policy shall contain a waiver of subrogation and {percent} days' notice of cancellation.",
         "Certificates of insurance shall be delivered before the Commencement Date."),
        ("Attached is proof that we are covered.", "Our coverage was renewed with the same carrier.",
         "Please send us proof of your coverage."),
        ("proof of coverage", "are we covered against damage", "show coverage")),
    "renewal": Topic(
        ("Tenant shall have the option to renew the Term for {percent} additional months at the prevailing market rate.",
         "The renewal option must be exercised by written notice, time being of the essence.",
         "The renewal term shall be upon the same covenants and conditions."),
        ("We would be glad to stay longer in the building.", "We hope to stay for some more years.",
         "What would it take to stay longer?"),
        ("stay longer in the building", "stay some more years", "prolong our stay")),
    "parking": Topic(
        ("Tenant shall have the non-exclusive use of {percent} unreserved stalls in the vehicular facility.",
         "Stalls shall be allocated by Landlord without charge during the initial Term.",
         "Overnight storage of vehicles in the stalls is prohibited."),
        ("Our staff cannot find parking for their cars.", "There is no place left to park in the morning.",
         "Could we have more room for cars?"),
        ("parking for our staff", "where can we park our cars", "room for cars")),
}  # fmt: skip

_CLASSES = {
    "lease": ("Lease Agreement", "lease"),
    "amendment": ("Amendment to Lease", "amendment"),
    "cam_statement": ("Statement of Operating Expenses", "operating expenses"),
    "letter": ("Letter", "letter"),
    "invoice": ("Invoice", "invoice"),
}
_CAM = (
    "Common area maintenance charges were reconciled against the estimated payments for the calendar year.",
    "Tenant's proportionate share of operating expenses, real estate taxes and snow removal is shown below.",
    "The balance is due within thirty days; a credit shall be applied to the next installment.",
)
_INVOICE = ("Please remit payment to the account below.", "Monthly base rent and additional charges are listed.",
            "A late charge applies after ten days.")  # fmt: skip
_BOILERPLATE = (
    "This instrument shall be governed by the laws of the State in which the Premises are located, without regard to "
    "its principles of conflicts of law, and the parties submit to the jurisdiction of its courts.",
    "If any provision hereof is held invalid or unenforceable, the remainder shall not be affected thereby and shall "
    "be enforced to the fullest extent permitted by law.",
    "All notices shall be in writing and shall be deemed given when delivered by hand, by a nationally recognized "
    "overnight courier, or by certified mail, return receipt requested, postage prepaid.",
    "The captions are for convenience of reference only and in no way define, limit or describe the scope or intent of "
    "this instrument nor in any way affect its interpretation.",
    "Time is of the essence with respect to each obligation to be performed hereunder. No waiver of any breach shall "
    "be construed as a waiver of any succeeding breach of the same or any other covenant.",
    "This instrument may be executed in counterparts, each of which shall be deemed an original, and all of which "
    "together shall constitute one and the same instrument; electronic signatures are binding.",
    "The parties represent that they have dealt with no broker in connection herewith other than as disclosed, and "
    "each shall indemnify the other against the claims of any other broker.",
    "Landlord and its agents may enter the Premises at reasonable hours to inspect the same, to exhibit them to "
    "prospective purchasers, mortgagees or occupants, and to post notices required by law.",
    "Each party waives trial by jury in any action or proceeding brought by either of them against the other on any "
    "matter arising out of or in any way connected with this instrument or the use of the Premises.",
    "This instrument is subject and subordinate to all mortgages now or hereafter placed upon the Building, and to all "
    "renewals, modifications, consolidations, replacements and extensions thereof.",
)
_POLITE = (
    "Thank you for your call last week; we are glad to hear that business is good.", "Please call us with any questions.",
    "We look forward to hearing from you soon.", "Our accountant will be on holiday until the end of the month.",
    "We enclose a copy for your records and ask you to return one signed copy.", "With kind regards from the whole team.",
)  # fmt: skip
_FIRST = [
    "Ana", "Ben", "Carla", "David", "Elena", "Frank", "Grace", "Hugo", "Irene", "James", "Karen", "Liam",
    "Maria", "Nora", "Oscar", "Paula", "Quinn", "Rosa",
]  # fmt: skip
_ONSET, _CORE, _END = ["B", "D", "F", "G", "K", "L", "M", "N", "P", "R", "S", "T", "V", "Br", "Tr", "St"], \
    ["a", "e", "i", "o", "u", "al", "en", "or", "am", "il"], ["ber", "din", "go", "kov", "lan", "mer", "nik", "ron",
    "sen", "ton", "var", "wick", "ski", "feld", "dale", "mont"]  # fmt: skip
_TRADES = [
    "Freight", "Dental", "Foods", "Textiles", "Robotics", "Fitness", "Printing", "Optics", "Books", "Coffee",
    "Toys", "Software", "Design", "Roofing", "Pharmacy", "Bakery", "Travel", "Music", "Flowers", "Cycles",
]  # fmt: skip
_STREETS = [
    "Maple", "Oak", "Cedar", "Elm", "Harbor", "Mill", "River", "Church", "Station", "Market", "Grant", "Union",
    "Prospect", "Willow", "Canal", "Franklin", "Summit", "Orchard", "Bridge", "Foundry",
]  # fmt: skip
_ROADS = ("Avenue", "Street", "Road", "Boulevard", "Lane")
_CITIES = [
    "Albany", "Boise", "Camden", "Dayton", "Eugene", "Fresno", "Greeley", "Helena", "Ithaca", "Joliet", "Keene",
    "Laredo", "Mobile", "Nashua", "Ogden", "Peoria", "Quincy", "Racine", "Salem", "Toledo",
]  # fmt: skip


@dataclass(frozen=True)
class Document:
    """A document and its truth; `topic` is what it is mainly about, None for those about money alone."""

    document_id: str
    deal: int
    label: str
    topic: str | None
    topics: tuple[str, ...]
    tenant: str
    landlord: str
    person: str
    address: str
    signed: date
    amount: float
    text: str
    title: str | None

    @property
    def row(self) -> dict[str, Any]:
        """As the index takes it."""
        rng = Random(self.document_id)
        received = datetime.combine(self.signed + timedelta(days=3), datetime.min.time())
        days = [
            self.signed,
            *(self.signed + timedelta(days=rng.randint(-2000, 4000)) for _ in range(rng.randint(1, 5))),
        ]
        others = [round(rng.lognormvariate(8, 2), 2) for _ in range(rng.randint(2, 12))]
        return {
            "document_id": self.document_id, "title": self.title, "kind": ("pdf", "docx")[self.deal % 2],
            "label": self.label, "label_confidence": 0.9, "received_at": received,
            "parties": [self.tenant, self.landlord, self.person], "dates": days, "amounts": [self.amount, *others],
            "text": self.text, "fingerprint": self.document_id,
        }  # fmt: skip


def documents(number: int, seed: int = 0) -> Iterator[Document]:
    """That many documents, deal after deal."""
    made, deal = 0, 0
    while made < number:
        for document in _deal(deal, seed):
            if made < number:
                yield document
                made += 1
        deal += 1


def tables(number: int, seed: int = 0) -> "Iterator[pa.Table]":
    """The same as rows, in parts."""
    import pyarrow as pa

    from ml_assets.search.index_schema import DOCUMENTS

    held: list[dict[str, Any]] = []
    for document in documents(number, seed):
        held.append(document.row)
        if len(held) == _BATCH:
            yield pa.Table.from_pylist(held, DOCUMENTS)
            held = []
    if held:
        yield pa.Table.from_pylist(held, DOCUMENTS)


def _deal(deal: int, seed: int) -> Iterator[Document]:
    rng = Random(seed * 1_000_003 + deal)
    tenant = f"{_name(rng)} {rng.choice(_TRADES)} {rng.choice(('LLC', 'Inc.', 'Corp.'))}"
    landlord, person = f"{_name(rng)} Properties LP", f"{rng.choice(_FIRST)} {_name(rng)}"
    address = f"{rng.randint(10, 4999)} {rng.choice(_STREETS)} {rng.choice(_ROADS)}, {rng.choice(_CITIES)}"
    signed, rent = date(2010, 1, 1) + timedelta(days=rng.randrange(5000)), rng.randrange(2000, 90000) + 0.25
    labels = ["lease", *["amendment"] * rng.randint(0, 3), *["cam_statement"] * rng.randint(0, 2)]
    for number, label in enumerate([*labels, *["letter"] * rng.randint(0, 3), *["invoice"] * rng.randint(0, 2)]):
        day = signed + timedelta(days=0 if label == "lease" else rng.randint(60, 2000))
        amount = rent if label == "lease" else round(rent * rng.uniform(0.5, 1.5), 2)
        topics = tuple(rng.sample(list(TOPICS), {"lease": 4, "amendment": 2, "letter": 1}.get(label, 0)))
        facts = (tenant, landlord, person, address, day, amount)
        heading = f"{_CLASSES[label][0]} {number}" if label == "amendment" else _CLASSES[label][0]
        text = f"{heading}\n\n{_opening(label, rng, *facts)}\n\n" + "\n\n".join(_body(label, topics, rng))
        title = f"{heading} - {tenant}" if rng.random() < 0.5 else None
        name = sha256(f"{seed} {deal} {number}".encode()).hexdigest()
        topic = topics[0] if topics else None
        yield Document(name, deal, label, topic, topics, *facts, text, title)


def _opening(
    label: str, rng: Random, tenant: str, landlord: str, person: str, address: str, day: date, amount: float
) -> str:
    written = f"{day:%B} {day.day}, {day.year}"
    if label == "letter":
        return f"{written}\n\nDear {person.split(maxsplit=1)[0]},\n\nconcerning {tenant} at {address}, and the ${amount:,.2f}:"
    if label in {"invoice", "cam_statement"}:
        return f"{written}\nTo: {tenant}, attention {person}\nFrom: {landlord}\n{address}\nTotal due: ${amount:,.2f}"
    return (
        f'made as of {written} between {landlord} ("Landlord") and {tenant} ("Tenant"), by {person}, for the '
        f"Premises at {address}, Suite {rng.randint(1, 900)}, at a Base Rent of ${amount:,.2f} per month."
    )  # fmt: skip


def _body(label: str, topics: tuple[str, ...], rng: Random) -> list[str]:
    if label == "letter":
        topic = TOPICS[topics[0]]
        said = [*rng.sample(topic.plain, 2), *([rng.choice(topic.legal)] if rng.random() < 0.5 else [])]
        return [_filled(part, rng) for part in [*said, *rng.sample(_POLITE, 4)]]
    if label in {"invoice", "cam_statement"}:
        said = list(_CAM if label == "cam_statement" else _INVOICE)
        return [*said, *rng.sample(_BOILERPLATE, 8), *rng.sample(_POLITE, 2)]
    said = [part for place, name in enumerate(topics) for part in TOPICS[name].legal[: 1 if place else 3]]
    body = [*said, *rng.choices(_BOILERPLATE, k=24 if label == "lease" else 16)]
    rng.shuffle(body)
    return [f"{number}. {_filled(part, rng)}" for number, part in enumerate(body, 1)]


def _filled(part: str, rng: Random) -> str:
    return part.format(percent=rng.randint(2, 90))


def _name(rng: Random) -> str:
    return rng.choice(_ONSET) + rng.choice(_CORE) + rng.choice(_END)
