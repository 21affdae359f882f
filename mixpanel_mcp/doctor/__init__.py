"""What `mixpanel-mcp doctor` finds, worst first, and the exit code of each.

   0  well            all is well (warnings are told, and do not count)
   2                  the settings themselves are wrong, as for every other command
  10  not-configured  no service account or no project id
  11  wrong-region    the project lives in another region, which is named
  12  bad-secret      the service account's name or secret is wrong (401)
  13  wrong-project   the service account cannot see the project
  14  role            the service account's role is too low (403), or perhaps the project is wrong
  15  wrong-token     the project token is unknown, or belongs to another project
  20  proxy           the environment's proxy refuses, or cannot be used
  21  dns             the name of a host has no address
  22  tls             no secure connection: certificates, a proxy that reads along
  23  unreachable     no connection, or no answer within 5 seconds
  24  odd-reply       something answers that is not Mixpanel
  25  unavailable     Mixpanel itself fails (5xx)
  26  rate-limited    Mixpanel counts too many calls (429): credentials stay unknown until then
  30  plan            the plan has no Query API (402)
  31  clock           the local clock is off by more than 5 minutes
  32  no-token        no project token, which names the project in what is written

It writes nothing and costs little: GET /me on the app host, the saved funnels (one of the 60
queries an hour), an export of an event that nobody sends, the lookup tables, an import of no
events. Only where the region does not know the project, it asks /me of the other regions too.
Several connections are examined side by side. With --read-only a missing token is no fault, nor
is a role that cannot see the lookup tables.
"""

from enum import StrEnum


class Ailment(StrEnum):
    """A class of faults. The first of several names the whole."""

    NOT_CONFIGURED = "not-configured"
    WRONG_REGION = "wrong-region"
    BAD_SECRET = "bad-secret"  # noqa: S105 - the name of a fault
    WRONG_PROJECT = "wrong-project"
    ROLE = "role"
    WRONG_TOKEN = "wrong-token"  # noqa: S105
    PROXY = "proxy"
    DNS = "dns"
    TLS = "tls"
    UNREACHABLE = "unreachable"
    ODD_REPLY = "odd-reply"
    UNAVAILABLE = "unavailable"
    RATE_LIMITED = "rate-limited"
    PLAN = "plan"
    CLOCK = "clock"
    NO_TOKEN = "no-token"  # noqa: S105

    @property
    def exit_code(self) -> int:
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Ailment.NOT_CONFIGURED: 10,
    Ailment.WRONG_REGION: 11,
    Ailment.BAD_SECRET: 12,
    Ailment.WRONG_PROJECT: 13,
    Ailment.ROLE: 14,
    Ailment.WRONG_TOKEN: 15,
    Ailment.PROXY: 20,
    Ailment.DNS: 21,
    Ailment.TLS: 22,
    Ailment.UNREACHABLE: 23,
    Ailment.ODD_REPLY: 24,
    Ailment.UNAVAILABLE: 25,
    Ailment.RATE_LIMITED: 26,
    Ailment.PLAN: 30,
    Ailment.CLOCK: 31,
    Ailment.NO_TOKEN: 32,
}
