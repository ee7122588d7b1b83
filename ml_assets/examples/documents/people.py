"""Names of invented people, companies and places, as they occur in the United States."""

from ml_assets.examples.documents.dice import Dice

_FIRST = """
James Mary Robert Patricia John Jennifer Michael Linda David Elizabeth William Barbara Richard Susan Joseph Jessica
Thomas Karen Carlos Sarah Christopher Lisa Daniel Nancy Matthew Sandra Anthony Ashley Mark Emily Steven Kimberly
Andrew Donna Paul Michelle Joshua Carol Kenneth Amanda Kevin Melissa Brian Deborah Luis Stephanie Ronald Rebecca
Timothy Laura Jason Sharon Jeffrey Cynthia Ryan Dorothy Jacob Amy Gary Kathleen Nicholas Angela Eric Shirley
Jonathan Emma Stephen Brenda Larry Pamela Justin Nicole Scott Anna Brandon Samantha Benjamin Katherine Samuel
Christine Gregory Helen Alexander Wei Priya Mohammed Aisha Hiroshi Mei Rajesh Fatima Dmitri Olga Kwame Ngozi Mateo
Lucia Omar Leila Sean Siobhan Ivan Ingrid
""".split()  # noqa: SIM905 - a hundred names read better as prose
_LAST = """
Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez Wilson Anderson
Thomas Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez Clark Ramirez Lewis Robinson Walker Young
Allen King Wright Scott Torres Nguyen Hill Flores Green Adams Nelson Baker Hall Rivera Campbell Mitchell Carter
Roberts Gomez Phillips Evans Turner Diaz Parker Cruz Edwards Collins Reyes Stewart Morris Morales Murphy Cook Rogers
Gutierrez Ortiz Morgan Cooper Peterson Bailey Reed Kelly Howard Ramos Kim Cox Ward Richardson Watson Brooks Chavez
Wood Bennett Gray Mendoza Ruiz Hughes Patel Okafor Yamamoto Kowalski O'Brien McCarthy Goldberg Petrov Haddad
Lindqvist Castellano Dubois Fitzgerald Abernathy
""".split()  # noqa: SIM905
_STEMS = (
    """
Harbor|Summit|Cedar Ridge|Blue Heron|Granite|Lakeshore|Meridian|Ironwood|Silver Birch|Pacific Crest|Redstone|Maple Grove
Northgate|Keystone|Evergreen|Falcon|Highland|Orchard|Pinnacle|Riverbend|Stonebridge|Sunset|Timberline|Vanguard|Westfield
Bayview|Copper Canyon|Eagle Rock|Fox Hollow|Gateway|Horizon|Juniper|Larkspur|Magnolia|Old Mill|Palisade|Quarry|Rosewood
Sandpiper|Union Square|Willow Creek|Apex|Beacon|Cascade|Delta|Emerald|Foundry|Glenwood|Hawthorne|Inland Empire
Crown Point|Liberty|Monarch|Nautilus|Oak Hill|Prairie|Quantum|Ridgeline|Sterling|Atlas|Birchwood|Concord|Ellison
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
_OWNERS = (
    """
Properties|Realty|Holdings|Real Estate Partners|Development|Plaza Associates|Investors|Property Group|Land Group
Commercial Realty|Equities|Ventures|Asset Management|Capital Partners|Apartments|Residential
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
_TRADES = (
    """
Coffee Roasters|Dental Group|Software|Logistics|Fitness|Bakery|Consulting|Biosciences|Hardware|Insurance Services|Foods
Design Studio|Pharmacy|Auto Parts|Engineering|Robotics|Apparel|Physical Therapy|Brewing|Learning Centers|Optical
Freight Systems|Medical Supply|Analytics|Staffing|Pet Supplies|Books|Electronics|Printing|Catering|Media|Legal Services
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
_FORMS = (
    (", LLC", "limited liability company"),
    (", Inc.", "corporation"),
    (", L.P.", "limited partnership"),
    (" Corporation", "corporation"),
    (" LLC", "limited liability company"),
    (" Company", "corporation"),
    (", L.L.C.", "limited liability company"),
)
STATES = [
    "California",
    "Texas",
    "New York",
    "Florida",
    "Illinois",
    "Georgia",
    "Ohio",
    "Washington",
    "Colorado",
    "Arizona",
    "Massachusetts",
    "Oregon",
    "Virginia",
    "Utah",
]
_CITIES = {
    "California": "San Diego|Oakland|Fresno|Long Beach|Sacramento",
    "Texas": "Austin|Houston|Plano|San Antonio|Fort Worth",
    "New York": "Albany|Buffalo|Rochester|White Plains|Syracuse",
    "Florida": "Tampa|Orlando|Jacksonville|Naples|Sarasota",
    "Illinois": "Chicago|Naperville|Peoria|Evanston|Aurora",
    "Georgia": "Atlanta|Savannah|Macon|Athens|Marietta",
    "Ohio": "Columbus|Dayton|Akron|Toledo|Cincinnati",
    "Washington": "Seattle|Tacoma|Bellevue|Spokane|Everett",
    "Colorado": "Denver|Boulder|Aurora|Fort Collins|Pueblo",
    "Arizona": "Phoenix|Mesa|Tempe|Tucson|Chandler",
    "Massachusetts": "Boston|Worcester|Quincy|Lowell|Newton",
    "Oregon": "Portland|Salem|Eugene|Bend|Medford",
    "Virginia": "Richmond|Norfolk|Arlington|Roanoke|Reston",
    "Utah": "Salt Lake City|Provo|Ogden|Sandy|Lehi",
}
CITIES = {state: cities.split("|") for state, cities in _CITIES.items()}
COUNTIES = [
    "Orange",
    "Jefferson",
    "Monroe",
    "Lincoln",
    "Franklin",
    "Clark",
    "Madison",
    "Wayne",
    "Marion",
    "Douglas",
    "Jackson",
    "Fulton",
]
_STREETS = (
    """
Main|Oak|Market|Washington|Industrial|Lakeview|Park|Commerce|Elm|Second|Harbor|College|Mission|Broadway|Peachtree|Mill
Technology|Canal|Sunset|Lincoln|Airport|Maple|Center|Franklin|Spring|Highland|Riverside|Corporate|Orchard|Chestnut
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
_WAYS = ("Street", "Avenue", "Boulevard", "Road", "Drive", "Way", "Parkway", "Lane", "Court")
_CENTERS = ("Plaza", "Tower", "Business Park", "Shopping Center", "Commons", "Corporate Center", "Crossing", "Village")


def person(dice: Dice) -> str:
    """`Maria Lopez`, sometimes with a middle initial."""
    middle = f"{dice.pick('ABCDEFGHJKLMNPRSTW')}. " if dice.chance(0.25) else ""
    return f"{dice.pick(_FIRST)} {middle}{dice.pick(_LAST)}"


def owner(dice: Dice) -> tuple[str, str]:
    """A company that owns property, and what it is: (`Cedar Ridge Holdings, LLC`, `a Texas corporation`)."""
    return _company(dice, _OWNERS)


def business(dice: Dice) -> tuple[str, str]:
    """A company that uses property, and what it is."""
    return _company(dice, _TRADES)


def street(dice: Dice) -> str:
    """`1420 Market Street`."""
    return f"{dice.between(10, 9900)} {dice.pick(_STREETS)} {dice.pick(_WAYS)}"


def center(dice: Dice) -> str:
    """The name of a building or shopping center."""
    return f"{dice.pick(_STEMS)} {dice.pick(_CENTERS)}"


def _company(dice: Dice, trades: list[str]) -> tuple[str, str]:
    ending, form = dice.pick(_FORMS)
    stem = dice.pick(_STEMS) if dice.chance(0.75) else dice.pick(_LAST)
    state = dice.pick(("Delaware", "Delaware", "Nevada", dice.pick(STATES)))
    article = "an" if state[0] in "AIOU" and state != "Utah" else "a"
    return f"{stem} {dice.pick(trades)}{ending}", f"{article} {state} {form}"
