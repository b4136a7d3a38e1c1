"""The carriers that are known, and their own public pages for following a parcel."""

from __future__ import annotations

TRACKING_ADDRESSES: dict[str, str] = {
    "Royal Mail": "https://www.royalmail.com/track-your-item#/tracking-results/{code}",
    "DPD": "https://track.dpd.co.uk/search?reference={code}",
    "Evri": "https://www.evri.com/track/parcel/{code}",
    "DHL": "https://www.dhl.com/global-en/home/tracking.html?tracking-id={code}",
    "UPS": "https://www.ups.com/track?tracknum={code}",
    "FedEx": "https://www.fedex.com/fedextrack/?trknbr={code}",
    "USPS": "https://tools.usps.com/go/TrackConfirmAction?tLabels={code}",
    "La Poste": "https://www.laposte.fr/outils/suivre-vos-envois?code={code}",
    "Deutsche Post": "https://www.deutschepost.de/de/s/sendungsverfolgung.html?piececode={code}",
    "PostNL": "https://jouw.postnl.nl/track-and-trace/{code}",
}
"""By the courier's name; the couriers' own public tracking pages, as of November 2026."""
