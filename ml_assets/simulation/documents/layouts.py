"""The layouts of each class. Those that are held out look and speak unlike the others, and arrive last."""

from ml_assets.errors import DataError
from ml_assets.simulation.documents.styles import LEGAL, Layout, Style
from ml_assets.simulation.documents.truth import LABELS, Label

_LEASE = (
    Layout("lease", "office", Style(numbering="section", indent=18), ("lease_office",), boilerplate=26),
    Layout(
        "lease",
        "retail",
        Style("Helvetica", 10, 1.25, numbering="article", heading_caps=True, footer="- {page} -", sign="lines"),
        ("lease_retail",),
        boilerplate=26,
    ),
    Layout(
        "lease",
        "form",
        Style("Helvetica", 9.5, 1.35, 54, numbering="arabic", runin=True, title_left=True, sign="plain"),
        ("lease_form", "lease_room"),
        home=True,
        boilerplate=5,
    ),
    Layout(
        "lease",
        "house",
        Style("Courier", 10, 1.3, 80, numbering="none", letterhead=True, footer="", sign="slash"),
        ("lease_house", "lease_townhome"),
        home=True,
        boilerplate=4,
    ),
    Layout(
        "lease",
        "industrial",
        Style("Times", 9, 1.15, 50, columns=2, numbering="sign", footer="{number} / {page}", sign="witness"),
        ("lease_industrial",),
        boilerplate=22,
        held_out=True,
    ),
    Layout(
        "lease",
        "apartment",
        Style("Times", 12, 1.5, 104, numbering="letter", runin=True, header="{page}", footer="", sign="lines"),
        ("lease_apartment",),
        home=True,
        boilerplate=8,
        held_out=True,
    ),
)
_AMENDMENT = (
    Layout(
        "amendment",
        "recitals",
        Style(numbering="arabic", indent=24),
        ("amendment_recitals", "amendment_reduction"),
        boilerplate=6,
    ),
    Layout(
        "amendment",
        "letter",
        Style("Helvetica", 10.5, 1.3, numbering="paren", letterhead=True, footer="", sign="plain", runin=True),
        ("amendment_letter",),
    ),
    Layout(
        "amendment",
        "renewal",
        Style("Courier", 10, 1.5, numbering="roman", heading_caps=True, footer="{page}", sign="slash"),
        ("amendment_renewal", "amendment_option", "amendment_surrender"),
        boilerplate=3,
    ),
    Layout(
        "amendment",
        "home",
        Style("Helvetica", 10, 1.4, 60, numbering="letter", title_left=True, sign="lines", footer="{number}"),
        ("amendment_home", "amendment_month"),
        home=True,
    ),
    Layout(
        "amendment",
        "expansion",
        Style("Times", 12, 2.0, 90, numbering="section", runin=True, footer="- {page} -", sign="witness"),
        ("amendment_expansion",),
        boilerplate=7,
        held_out=True,
    ),
    Layout(
        "amendment",
        "capitals",
        Style(
            "Helvetica", 9, 1.3, 54, numbering="none", all_caps=True, paper=LEGAL, footer="{page}/{pages}", sign="by"
        ),
        ("amendment_capitals",),
        held_out=True,
    ),
)
_ADDENDUM = (
    Layout(
        "addendum",
        "pets",
        Style("Helvetica", 10, 1.3, 60),
        ("addendum_pet", "addendum_parking", "addendum_guarantor", "addendum_pool"),
        home=True,
    ),
    Layout(
        "addendum",
        "disclosure",
        Style("Times", 11, 1.25, numbering="letter", runin=True, sign="lines", footer="Form {number}"),
        ("addendum_lead", "addendum_mold", "addendum_utility", "addendum_alarm"),
        home=True,
    ),
    Layout(
        "addendum",
        "rules",
        Style("Times", 10, 1.2, 54, columns=2, numbering="arabic", heading_caps=True, sign="lines", footer="{page}"),
        ("addendum_hoa", "addendum_smoke", "addendum_early"),
        home=True,
    ),
    Layout(
        "addendum",
        "rider",
        Style("Courier", 10, 1.4, numbering="sign", footer="", sign="by"),
        ("addendum_rider", "addendum_storage", "addendum_work"),
        boilerplate=2,
    ),
    Layout(
        "addendum",
        "payment",
        Style("Helvetica", 11, 1.5, 84, numbering="paren", runin=True, title_left=True, footer="", sign="slash"),
        ("addendum_crypto", "addendum_military"),
        home=True,
        held_out=True,
    ),
    Layout(
        "addendum",
        "checklist",
        Style("Helvetica", 9, 1.4, 48, numbering="none", header="{number} {page}/{pages}", footer="", sign="plain"),
        ("addendum_bedbug", "addendum_solar"),
        home=True,
        held_out=True,
    ),
)
_CAM = (
    Layout(
        "cam_statement", "variance", Style("Helvetica", 10, 1.3, 60, sign="none", numbering="none"), ("cam_variance",)
    ),
    Layout(
        "cam_statement",
        "cover",
        Style("Times", 11, 1.25, letterhead=True, numbering="none", footer="", sign="slash", ruled=False),
        ("cam_cover",),
    ),
    Layout(
        "cam_statement",
        "ledger",
        Style("Courier", 9, 1.3, 50, numbering="none", title_left=True, sign="none", footer="{number}  {page}"),
        ("cam_ledger",),
    ),
    Layout(
        "cam_statement",
        "stop",
        Style("Times", 10.5, 1.3, 66, numbering="arabic", sign="none", ruled=False),
        ("cam_stop",),
    ),
    Layout(
        "cam_statement",
        "invoice",
        Style("Helvetica", 9.5, 1.35, 54, letterhead=True, title_left=True, numbering="none", sign="none", footer=""),
        ("cam_invoice",),
        held_out=True,
    ),
    Layout(
        "cam_statement",
        "memo",
        Style("Courier", 10, 1.25, 70, numbering="letter", heading_caps=True, sign="plain", header="{page}", footer=""),
        ("cam_memo",),
        held_out=True,
    ),
)
_OTHER = (
    Layout(
        "other",
        "contracts",
        Style(numbering="section", indent=18),
        ("other_license", "other_purchase", "other_guaranty", "other_contract_amendment", "other_contract_addendum"),
        boilerplate=18,
    ),
    Layout(
        "other",
        "letters",
        Style("Times", 11.5, 1.3, 80, numbering="none", letterhead=True, footer="", sign="slash"),
        ("other_notice", "other_letter", "other_estimate_letter", "other_demand"),
    ),
    Layout(
        "other",
        "forms",
        Style("Helvetica", 9.5, 1.35, 54, numbering="none", title_left=True, sign="lines", footer="Form {number}"),
        ("other_insurance", "other_estoppel", "other_application", "other_inspection"),
    ),
    Layout(
        "other",
        "accounts",
        Style("Helvetica", 10, 1.3, 60, numbering="none", letterhead=True, sign="none", footer="{page} / {pages}"),
        ("other_invoice", "other_budget", "other_rentroll"),
    ),
    Layout(
        "other",
        "agreements",
        Style("Helvetica", 10.5, 1.25, numbering="arabic", heading_caps=True, footer="- {page} -", sign="lines"),
        ("other_nda", "other_employment", "other_services", "other_escrow", "other_note"),
        boilerplate=12,
    ),
    Layout(
        "other",
        "plain",
        Style("Courier", 10, 1.3, 76, numbering="roman", footer="", sign="plain"),
        ("other_minutes", "other_privacy", "other_memo", "other_bylaws"),
    ),
    Layout(
        "other",
        "deeds",
        Style("Times", 12, 1.7, 96, numbering="paren", runin=True, header="{number}", footer="{page}", sign="witness"),
        ("other_deed", "other_snda", "other_addendum_purchase"),
        boilerplate=6,
        held_out=True,
    ),
    Layout(
        "other",
        "columns",
        Style("Helvetica", 8.5, 1.25, 48, columns=2, numbering="sign", footer="{page}", sign="by"),
        ("other_terms", "other_loan", "other_management"),
        boilerplate=12,
        held_out=True,
    ),
)
LAYOUTS: dict[tuple[Label, str], Layout] = {
    (layout.label, layout.name): layout for layout in (*_LEASE, *_AMENDMENT, *_ADDENDUM, *_CAM, *_OTHER)
}
HELD_OUT: frozenset[tuple[Label, str]] = frozenset(key for key, layout in LAYOUTS.items() if layout.held_out)


def names(label: Label, *, held_out: bool | None = None) -> tuple[str, ...]:
    """The layouts of a class: all, those that are held out, or the others."""
    wanted = (True, False) if held_out is None else (held_out,)
    return tuple(layout.name for layout in LAYOUTS.values() if layout.label == label and layout.held_out in wanted)


def find(label: str, name: str) -> Layout:
    """A layout by class and name.

    Raises:
        DataError: there is none.
    """
    for layout in LAYOUTS.values():
        if (layout.label, layout.name) == (label, name):
            return layout
    known = ", ".join(f"{one}/{other}" for one, other in LAYOUTS)
    raise DataError(f"no layout {label}/{name}: choose one of {known} (classes: {', '.join(LABELS)})")
