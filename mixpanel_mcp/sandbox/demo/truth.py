"""What is true of the demo project: whoever asks it well must come to these answers.

The generator reads its rates from here, tests hold what comes out against them. Days are counted
back from `today`, the day on whose morning the project is looked at.
"""

from __future__ import annotations

from datetime import date, timedelta

SEED = 20_240_229
USERS = 3_000
DAYS = 60
"""The last of them is yesterday."""

SIGN_UP = "Sign up"
APP_OPENED = "App opened"
ITEM_VIEWED = "Item viewed"
CHECKOUT_STARTED = "Checkout started"
PURCHASE_COMPLETED = "Purchase completed"

DIRTY_EVENT = "App opened "
"""Mind the blank: one platform's SDK sends it now and then for an `App opened`."""
DIRTY_PLATFORM = "Web"
DIRTY_SHARE = 0.12
"""Of that platform's openings."""

PLATFORMS = {"iOS": 45, "Android": 35, "Web": 20}
COUNTRIES = {"US": 40, "DE": 20, "IN": 15, "BR": 15, "JP": 10}
PLANS = {"free": 75, "pro": 25}
PAYMENT_METHODS = {"card": 60, "paypal": 30, "invoice": 10}
"""In percent, as those before them."""
ITEMS = {"Notebook": 12, "Fountain pen": 48, "Ink": 9, "Desk lamp": 64, "Satchel": 129, "Mug": 14}
CURRENCY = "EUR"

NEW_USERS_SHARE = 0.6
"""So many sign up within the sixty days; the others were there before."""

CHANCE_TO_COME = {"free": 0.21, "pro": 0.33}
"""On an ordinary day, the day after signing up."""
STAY = {"free": 0.960, "pro": 0.990}
"""What is left of that chance from one day to the next: the two plans differ in retention."""
WEEKDAY_FACTOR = (1.15, 1.2, 1.15, 1.1, 1.0, 0.65, 0.6)
"""Monday to Sunday."""

CHANCE_TO_VIEW = 0.72
"""And, once viewed, to view another item."""
CHANCE_TO_CHECK_OUT = 0.38
"""Of each item viewed; nobody views on afterwards."""
CHANCE_TO_PURCHASE = 0.64
"""Of each checkout, on every platform until the release and on the others since."""

RELEASE_DAYS_AGO = 13
RELEASE_PLATFORM = "Android"
CHANCE_TO_PURCHASE_SINCE_RELEASE = 0.21
"""On that platform, from that day on: its new checkout is broken for most."""
APP_VERSIONS = ("4.1.0", "4.2.0")
"""Before the release and since, on every platform: the version alone explains nothing."""

FUNNEL_PURCHASE = "View to purchase"
FUNNEL_ACTIVATION = "Sign-up to purchase"
INSIGHTS_PURCHASES = "Purchases by platform"
COHORT_PRO = "Pro users"
COHORT_BUYERS = "Buyers"

FUNNELS = {
    FUNNEL_PURCHASE: ((ITEM_VIEWED, CHECKOUT_STARTED, PURCHASE_COMPLETED), 1),
    FUNNEL_ACTIVATION: ((SIGN_UP, ITEM_VIEWED, CHECKOUT_STARTED, PURCHASE_COMPLETED), 14),
}
"""Steps, and the days that may pass between the first and the last."""


def first_day(today: date) -> date:
    return today - timedelta(days=DAYS)


def last_day(today: date) -> date:
    return today - timedelta(days=1)


def release_day(today: date) -> date:
    return today - timedelta(days=RELEASE_DAYS_AGO)
