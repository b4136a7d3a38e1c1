"""The invented world of the sandbox: countries, names, products and couriers. Data only."""

from __future__ import annotations

from dataclasses import dataclass

STATUS_WEIGHTS: dict[str, int] = {
    "paid": 55,
    "new": 6,
    "processing": 9,
    "printed": 5,
    "consolidated": 3,
    "complete": 12,
    "refunded": 5,
    "pre_order": 3,
    "moderation": 2,
}
STATUSES = frozenset(STATUS_WEIGHTS)
PRIORITY_LEVELS = frozenset({"standard", "priority"})
FROZEN_REASONS = (
    "moderation",
    "internal_screen_print",
    "manual",
    "client_credit_control",
    "factory_credit_control",
    "billing_failed",
    "pickface_flagged",
    "flow_frozen",
    "fraud",
)


@dataclass(frozen=True)
class Place:
    """A town. In `postal`, `#` stands for any digit and `@` for any letter; empty: no postal codes."""

    city: str
    postal: str
    state_code: str | None = None
    state_name: str | None = None


@dataclass(frozen=True)
class Country:
    """A country to ship to; `phone` holds the digits of a range reserved for fiction."""

    code: str
    weight: int
    currency: str
    phone: str
    streets: tuple[str, ...]
    places: tuple[Place, ...]


_UK_PHONE = "+44 7700 900###"
_US_PHONE = "+1 ###-555-01##"


def _country(code: str, currency: str, streets: tuple[str, ...], *places: Place, weight: int = 2) -> Country:
    return Country(code, weight, currency, _UK_PHONE, streets, places)


COUNTRIES: tuple[Country, ...] = (
    Country(
        "GB",
        46,
        "GBP",
        _UK_PHONE,
        ("Sample Street", "Test Lane", "Mockup Road", "Placeholder Avenue"),
        (Place("London", "SW# #@@"), Place("Bristol", "BS# #@@"), Place("Newport", "PO30 #@@")),
    ),
    Country(
        "US",
        14,
        "USD",
        _US_PHONE,
        ("Example Avenue", "Fiction Boulevard", "Sample Drive"),
        (
            Place("Boston", "021##", "MA", "Massachusetts"),
            Place("Hoboken", "070##", "NJ", "New Jersey"),
            Place("Austin", "787##", "TX", "Texas"),
            Place("Portland", "972##", "OR", "Oregon"),
        ),
    ),
    Country(
        "CA",
        4,
        "CAD",
        _US_PHONE,
        ("Maple Sample Road", "Rue de l'Exemple"),
        (Place("Toronto", "M#@ #@#", "ON", "Ontario"), Place("Montréal", "H#@ #@#", "QC", "Québec")),
    ),
    Country(
        "AU",
        4,
        "AUD",
        "+61 2 5550 ####",
        ("Example Parade", "Test Crescent"),
        (
            Place("Sydney", "20##", "NSW", "New South Wales"),
            Place("Darwin", "08##", "NT", "Northern Territory"),
        ),
    ),
    Country(
        "DE",
        5,
        "EUR",
        "+49 30 23125 ###",
        ("Musterstraße", "Beispielallee"),
        (Place("Dresden", "01###"), Place("Berlin", "10###"), Place("Köln", "50###")),
    ),
    Country(
        "FR",
        4,
        "EUR",
        "+33 1 99 00 ## ##",
        ("rue de l'Exemple", "avenue du Modèle"),
        (Place("Nice", "06###"), Place("Lyon", "690##")),
    ),
    _country("IE", "EUR", ("Sample Quay",), Place("Dublin", "D0# @###"), Place("Cork", ""), weight=4),
    _country("NL", "EUR", ("Voorbeeldstraat",), Place("Utrecht", "35## @@")),
    _country("BE", "EUR", ("Voorbeeldlaan",), Place("Gent", "90##")),
    _country("ES", "EUR", ("Calle Ejemplo",), Place("Barcelona", "080##")),
    _country("IT", "EUR", ("Via Esempio",), Place("Roma", "001##")),
    _country("PT", "EUR", ("Rua do Exemplo",), Place("Lisboa", "11##-0##")),
    _country("SE", "SEK", ("Exempelgatan",), Place("Malmö", "211 ##")),
    _country("NO", "NOK", ("Eksempelveien",), Place("Oslo", "01##")),
    _country("DK", "DKK", ("Eksempelvej",), Place("Aarhus", "80##")),
    _country("FI", "EUR", ("Esimerkkikatu",), Place("Helsinki", "001##")),
    _country("PL", "PLN", ("ul. Przykładowa",), Place("Łódź", "90-###")),
    _country("CZ", "CZK", ("Ukázková",), Place("Brno", "602 ##")),
    _country("AT", "EUR", ("Mustergasse",), Place("Wien", "10##")),
    _country("CH", "CHF", ("Beispielweg",), Place("Zürich", "80##")),
    _country("GR", "EUR", ("Odos Paradeigma",), Place("Athina", "10# ##")),
    _country("JP", "JPY", ("Mihon-cho",), Place("Sapporo", "06#-00##")),
    _country("NZ", "NZD", ("Example Terrace",), Place("Auckland", "06##")),
    _country("SG", "SGD", ("Sample Walk",), Place("Singapore", "0#####")),
    _country("HK", "HKD", ("Specimen Road",), Place("Hong Kong", "")),
    _country("AE", "AED", ("Sample Tower Street",), Place("Dubai", "")),
)

FIRST_NAMES = (
    "Alex",
    "Zoë",
    "Łukasz",
    "Maria",
    "Siân",
    "Jörg",
    "Amélie",
    "Noah",
    "Priya",
    "Mei",
    "Omar",
    "Freya",
)
LAST_NAMES = (
    "Sample",
    "O'Example",
    "Müller-Test",
    "Fiktiva",
    "Nowhere",
    "Dupont",
    "Novák",
    "Placeholder",
    "Doe",
)
COMPANIES = ("Example & Sons Ltd", 'The "Sample" Company', "Muster GmbH", "Fictional Prints/Studio")
SECOND_LINES = ("Flat 2", "Unit 7, Back Yard", "c/o Reception", "3rd floor")


@dataclass(frozen=True)
class Product:
    """Something to print on. Sizes are of the print area, in millimetres."""

    title: str
    sku: str
    variants: tuple[str, ...]
    technologies: tuple[str, ...]
    price_pence: int
    grams: int
    width: int
    height: int


_TEE_SIZES = ("WHT-S", "WHT-M", "BLK-M", "BLK-L", "NVY-XL")
PRODUCTS: tuple[Product, ...] = (
    Product("Organic Cotton T-Shirt", "TEE01", _TEE_SIZES, ("dtg", "dtf", "pretreat"), 1900, 160, 356, 406),
    Product("Kids' T-Shirt", "TEE02", ("RED-5", "RED-7", "BLU-9"), ("dtg", "dtf"), 1500, 110, 280, 320),
    Product("Heavy Hoodie", "HOOD1", _TEE_SIZES, ("dtg", "embroidery", "manual_print"), 4200, 620, 330, 380),
    Product("Beanie", "BEAN1", ("BLK", "GRY"), ("embroidery", "additional_application"), 1400, 80, 110, 50),
    Product("Tote Bag / Natural", "TOTE1", ("NAT",), ("dtg", "dtf"), 900, 140, 300, 300),
    Product("11oz Mug", "MUG11", ("WHT",), ("mug_sublimation",), 1100, 380, 200, 92),
    Product("Mini Ornament", "MINI1", ("RND", "STR"), ("mini_sublimation",), 700, 40, 60, 60),
    Product(
        "A5 Notebook", "NOTE5", ("LIN", "DOT"), ("notebook_sublimation", "duplex_insert"), 1250, 260, 148, 210
    ),
    Product("Greeting Card", "CARD6", ("A6",), ("duplex_print", "duplex_insert"), 350, 15, 105, 148),
)

SHIPPING_METHODS = (
    ("standard", "Standard Delivery", 3, 5),
    ("express", "Express Delivery", 1, 2),
    ("intl_tracked", "International Tracked", 5, 12),
)
COURIERS = ("Example Mail", "Sample Parcel", "Test Express")
PLATFORMS = ("Storefront", "Market Square", "Shopkit", "API")
